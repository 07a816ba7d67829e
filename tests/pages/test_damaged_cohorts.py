"""Tests of the pages over damaged stores: a damaged part is one sentence, and the rest is shown as usual."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import PlayedDag, task_ref
from tests.ledger_reading import claimed_by, silence_callers
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from starlette.testclient import TestClient

CELL = "cell?essay=e_essay1&template=novelty&model=judge-a"
SURROGATE = "\ud800"
HUGE = 10**400


@pytest.fixture
def gen_id(played: PlayedDag, store: StoreBuilder) -> str:
    """Return an evaluation of cohort `pilot` in the cell CELL."""
    return next(
        row["gen_id"]
        for row in store.rows("cohorts/pilot/scores.csv")
        if (row["parent_gen_id"], row["llm_model_id"]) == ("e_essay1", "judge-a")
    )


def _folder(store: StoreBuilder, name: str) -> None:
    (store.root / name).unlink(missing_ok=True)
    (store.root / name).mkdir(parents=True)


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink()


def _file_in_place_of(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


def _loop(store: StoreBuilder, name: str) -> None:
    path = store.root / name
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def _journal_line(**more: Any) -> str:
    line = {"call": "aaaaaaaaaaaa", "gen_id": "v_1", "dag_id": "d", "run_id": "r", "host": os.uname().nodename}
    return json.dumps({**line, "until": 9e9, **more}) + "\n"


DAMAGES: dict[str, Callable[[StoreBuilder, str], object]] = {
    "membership-is-a-folder": lambda store, _: _folder(store, "cohorts/pilot/membership.csv"),
    "membership-names-no-id": lambda store, _: store.write(
        "cohorts/pilot/membership.csv",
        store.read("cohorts/pilot/membership.csv").splitlines()[0] + "\nevaluation,../../x,c,e,b,t,m,1\n",
    ),
    "membership-without-rows": lambda store, _: store.write(
        "cohorts/pilot/membership.csv", store.read("cohorts/pilot/membership.csv").splitlines()[0] + "\n"
    ),
    "scores-are-a-folder": lambda store, _: _folder(store, "cohorts/pilot/scores.csv"),
    "scores-of-infinity": lambda store, _: store.write(
        "cohorts/pilot/scores.csv", store.read("cohorts/pilot/scores.csv").replace("scored,", "scored,inf", 1)
    ),
    "manifest-is-a-loop": lambda store, _: _loop(store, "cohorts/pilot/manifest.json"),
    "manifest-of-odd-types": lambda store, _: store.json(
        "cohorts/pilot/manifest.json",
        {
            "essays": 5,
            "templates": True,
            "models": {"a": 1},
            "replicates": "4",
            "directives": "none",
            "created_at": 1,
        },
    ),
    "manifest-with-a-surrogate": lambda store, _: store.write(
        "cohorts/pilot/manifest.json", json.dumps({"created_at": SURROGATE, "directives": [SURROGATE]})
    ),
    "plan-of-the-run-deleted": lambda store, _: _unlink(store.root.glob("cohorts/*/runs/*/plan.csv")),
    "run-torn": lambda store, _: [path.write_text("{") for path in store.root.glob("cohorts/*/runs/*/run.json")],
    "evaluation-is-a-file": lambda store, gen_id: _file_in_place_of(store.root / "gens/evaluation" / gen_id),
    "parsed-is-a-loop": lambda store, gen_id: _loop(store, f"gens/evaluation/{gen_id}/parsed.txt"),
    "records-with-surrogates": lambda store, gen_id: [
        store.write(
            f"gens/evaluation/{gen_id}/{name}", json.dumps({"response_model": SURROGATE, "reason": SURROGATE})
        )
        for name in ("metadata.json", "raw_metadata.json", "parsed_metadata.json", "failure.json")
    ],
    "record-of-odd-types": lambda store, gen_id: store.write(
        f"gens/evaluation/{gen_id}/raw_metadata.json",
        json.dumps({"usage": [1], "duration_s": HUGE, "created_at": 12345, "map_index": True, "cost_usd": HUGE}),
    ),
    "record-not-a-number": lambda store, gen_id: store.write(
        f"gens/evaluation/{gen_id}/raw_metadata.json", '{"duration_s": NaN, "usage": {"prompt_tokens": [[]]}}'
    ),
    "record-nested": lambda store, gen_id: store.write(
        f"gens/evaluation/{gen_id}/raw_metadata.json", '{"a": ' + "[" * 960 + "]" * 960 + "}"
    ),
    "journal-of-odd-amounts": lambda store, _: store.write(
        "cohorts/pilot/calls.jsonl",
        _journal_line(worst_usd=HUGE, pid=-1, since=1.0)
        + _journal_line(call="b" * 12)
        + '{"call": "bbbbbbbbbbbb", "end": "charged", "cost_usd": 1e999}\n'
        + "[" * 100_000
        + "\n",
    ),
    "essay-deleted": lambda store, _: (store.root / "gens/essay/e_essay1/parsed.txt").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_no_damage_is_an_unexpected_error(
    pages: TestClient,
    played: PlayedDag,
    store: StoreBuilder,
    gen_id: str,
    damage: Callable[[StoreBuilder, str], object],
) -> None:
    """Each page is shown or says what is wrong, and the list always shows the other cohort."""
    played.run({"cohort_id": "other", "essay_ids": ["e_essay3"], "templates": ["novelty"]}, run_id="run-other")
    damage(store, gen_id)
    listed = pages.get("/?sort=cost")
    assert listed.status_code == 200
    assert "State of other" in listed.text
    for path in (
        "/c/pilot",
        "/c/pilot/progress",
        f"/c/pilot/{CELL}",
        "/c/pilot/scores",
        "/c/pilot/scores.csv",
        "/c/pilot/scores.jsonl",
        f"/evaluation/{gen_id}?cohort=pilot",
        "/compare?first=pilot&second=other",
        "/plan?cohort=pilot",
    ):
        answer = pages.get(path)
        assert "API server says why" not in answer.text, path
        assert answer.status_code in (200, 404) or "cannot be read" in answer.text, path
        assert "/dags//" not in answer.text


def test_a_claim_counts_while_its_caller_lives(
    pages: TestClient, played: PlayedDag, store: StoreBuilder, gen_id: str
) -> None:
    """The pages see whether a caller is alive, and reading this writes nothing."""
    folder = store.root / "gens/evaluation" / gen_id
    for name in ("parsed.txt", "raw.txt", "raw_metadata.json", "parsed_metadata.json"):
        (folder / name).unlink()
    with claimed_by(task_ref("run-1", "evaluation.evaluation_raw", 1, 0), store.root, gen_id):
        before = store.tree_hash()
        assert 'data-count="in_flight">1<' in pages.get("/c/pilot/progress").text
        assert store.tree_hash() == before
        silence_callers(store.root, 31.0)

        from essay_cohorts_airflow.pages import shown_cohorts

        shown_cohorts.snapshots = type(shown_cohorts.snapshots)()
        assert 'data-count="in_flight">0<' in pages.get("/c/pilot/progress").text


def test_only_one_plan_is_made_at_a_time(pages: TestClient, played: PlayedDag) -> None:
    """A second request is refused at once, so that it holds no thread of Airflow's."""
    from essay_cohorts_airflow.pages.plan import plan_page

    with plan_page._planning:
        assert "another plan is being made right now" in pages.get("/plan?cohort=pilot").text
    assert "another plan" not in pages.get("/plan?cohort=pilot").text


@pytest.mark.parametrize(
    ("corrected", "note"),
    [
        pytest.param(None, "The marked line decides the score.", id="as-it-was-read"),
        pytest.param("8.5\n", "The marked line was read, but the score has been changed since.", id="corrected"),
        pytest.param("rubbish\n", "The marked line was read but gives no score.", id="no-score-any-more"),
    ],
)
def test_a_note_says_what_the_marked_line_means(
    pages: TestClient, store: StoreBuilder, gen_id: str, corrected: str | None, note: str
) -> None:
    """The page says so when the score differs from the marked line, because a person corrected it."""
    if corrected:
        store.write(f"gens/evaluation/{gen_id}/parsed.txt", corrected)
    assert note in pages.get(f"/evaluation/{gen_id}").text


def test_times_are_shown_in_utc(pages: TestClient, store: StoreBuilder, gen_id: str) -> None:
    """A time of any zone is shown in UTC, and a text that is not a time is shown unchanged."""
    record = f"gens/evaluation/{gen_id}/raw_metadata.json"
    for written, shown in (("2026-01-02T01:30:00+02:00", "2026-01-01 23:30"), ("long after", "long after")):
        store.json(record, {"created_at": written})
        assert f"<td>{shown}</td>" in pages.get(f"/c/pilot/{CELL}").text
