"""Data roots that are nearly valid: a sample store with some files replaced, linked or added."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.odd_files import (
    COHORT,
    EVALUATIONS,
    FIRST,
    INPUTS,
    NEXT,
    ONE_WRONG_FIELD,
    RECORDS,
    SECOND,
    THIRD,
    evaluation_files,
    v1_with,
)
from tests.store_builder import StoreBuilder

# Names of folders in gens/evaluation that hold another program's evaluation or no evaluation.
ODD_FOLDERS = (".v_hidden", ".v_1.0a1b2c.tmp", "v 1", "-v", "v_ü", "v\n", "..v", "x" * 101, THIRD)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An evaluation of the sample store, before any file is changed."""

    gen_id: str
    essay: str
    template: str
    replicate: int
    origin: str
    state: str


@dataclass(frozen=True, kw_only=True)
class OddStore:
    """The content of a store: evaluations, contents that replace files, links, and folders in the place of files."""

    replicates: int = 1
    evaluations: tuple[Evaluation, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()

    def build(self, store: StoreBuilder) -> None:
        """Write the store. A link or a folder replaces a file, but never a folder."""
        for number in (1, 2):
            store.essay(number)
        store.backfill(FIRST, SECOND)
        for evaluation in self.evaluations:
            build_evaluation(store, evaluation)
        for name, content in self.contents.items():
            store.write(name, content)
        for name in self.folders:
            path = store.root / name
            path.unlink(missing_ok=True)
            path.mkdir(parents=True, exist_ok=True)
        for name, target in self.links.items():
            path = store.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                path.unlink()
            if not os.path.lexists(path):
                path.symlink_to(target)


def build_evaluation(store: StoreBuilder, evaluation: Evaluation) -> None:
    """Write the files of an evaluation that is scored, replied, refused or only begun."""
    reply = None if evaluation.state == "begun" else "Because.\nSCORE: 6.5\n"
    store.evaluation(
        evaluation.gen_id,
        evaluation.essay,
        template=evaluation.template,
        replicate=evaluation.replicate,
        origin=evaluation.origin,
        score=6.5 if evaluation.state == "scored" else None,
        reply=reply if evaluation.state != "refused" else "I would rather not.",
        refused="no score line" if evaluation.state == "refused" else None,
    )


# An evaluation of another store next to the data root.
BESIDE = Evaluation(gen_id="evaluation", essay=FIRST, template="novelty", replicate=1, origin="old", state="replied")

# Targets of links: nothing, the link itself, another place in the store, and a place outside the data root.
BESIDE_ROOT = "../../../beside/gens/evaluation/evaluation"
TARGETS = ("nowhere", "../v_1", "../../evaluation", BESIDE_ROOT, f"../{BESIDE_ROOT}/metadata.json", "/")
ITSELF = "itself"
LINKS = (
    *(f"gens/evaluation/{name}" for name in (NEXT[1], "v_link", "43ftibqi56628az1")),
    *(f"gens/evaluation/v_1/{name}" for name in ("metadata.json", "raw.txt", "parsed.txt", "raw_metadata.json")),
    *(f"gens/essay/{FIRST}/parsed.txt", f"gens/essay/{FIRST}/metadata.json", "gens/draft/d_draft1/metadata.json"),
)
FOLDERS = (
    *(f"gens/evaluation/{name}" for name in ODD_FOLDERS),
    *(f"gens/evaluation/v_1/{name}" for name in ("metadata.json", "raw.txt", "raw_metadata.json")),
    *(f"gens/essay/{FIRST}/parsed.txt", f"cohorts/{COHORT}/membership.csv", "1_raw/llm_models.csv"),
)

evaluations = st.builds(
    Evaluation,
    gen_id=st.sampled_from(EVALUATIONS),
    essay=st.sampled_from([FIRST, FIRST, FIRST, SECOND, "e_unknown"]),
    template=st.sampled_from(["novelty", "novelty", "novelty", "Novelty", "gone"]),
    replicate=st.sampled_from([1, 1, 2, 3, 7, 10**12]),
    origin=st.sampled_from(["old", COHORT]),
    state=st.sampled_from(["scored", "replied", "refused", "begun"]),
)


def begun_with(fields: Mapping[str, Mapping[str, Any]]) -> OddStore:
    """Return a store of one evaluation without a reply, whose records have these fields."""
    begun = Evaluation(gen_id="v_1", essay=FIRST, template="novelty", replicate=1, origin=COHORT, state="begun")
    return OddStore(evaluations=(begun,), contents=v1_with(fields))


def linked(name: str, target: str) -> OddStore:
    """Return a store with this link."""
    return OddStore(links={name: target})


def of_combo(combo_id: str) -> OddStore:
    """Return a store whose first essay was made from this combo."""
    return OddStore(contents={f"gens/essay/{FIRST}/metadata.json": json.dumps({"combo_id": combo_id}).encode()})


def odd_contents(files: Mapping[str, st.SearchStrategy[bytes]], most: int) -> st.SearchStrategy[dict[str, bytes]]:
    """Make odd contents for up to `most` of the files."""
    one = st.sampled_from(sorted(files)).flatmap(lambda name: st.tuples(st.just(name), files[name]))
    return st.lists(one, max_size=most).map(dict)


def link_target(name: str, target: str) -> str:
    return name.rsplit("/", 1)[-1] if target == ITSELF else target


links = st.lists(st.tuples(st.sampled_from(LINKS), st.sampled_from([*TARGETS, ITSELF])), max_size=1).map(
    lambda pairs: {name: link_target(name, target) for name, target in pairs}
)


def stores_with_odd_records() -> st.SearchStrategy[OddStore]:
    """Make stores with odd files of one evaluation, which is in the only planned cell."""
    return st.builds(
        OddStore,
        evaluations=st.sampled_from(
            [
                (Evaluation(gen_id="v_1", essay=FIRST, template="novelty", replicate=1, origin=COHORT, state=state),)
                for state in ("scored", "replied", "refused", "begun")
            ]
        ),
        contents=st.one_of(odd_contents(evaluation_files("v_1"), 2), st.sampled_from(ONE_WRONG_FIELD)),
    )


def odd_stores() -> st.SearchStrategy[OddStore]:
    """Make stores of a few evaluations with up to three odd files, and perhaps an odd link and an odd folder."""
    return st.builds(
        OddStore,
        replicates=st.integers(1, 3),
        evaluations=st.lists(evaluations, max_size=4, unique_by=lambda one: one.gen_id).map(tuple),
        contents=odd_contents({**INPUTS, **RECORDS}, 3),
        links=links,
        folders=st.lists(st.sampled_from(FOLDERS), max_size=1).map(tuple),
    )
