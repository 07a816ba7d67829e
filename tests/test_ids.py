"""Tests that ids follow fixed formulas, because existing stores of other programs already hold such ids."""

import json
import re
from collections.abc import Callable
from hashlib import blake2b, blake2s

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from essay_cohorts.domain import is_id
from essay_cohorts.ids import (
    canonical_json,
    cohort_id,
    draft_gen_id,
    essay_gen_id,
    evaluation_gen_id,
    run_key,
)

PROPERTY = settings(deadline=None, max_examples=150)
ESSAY = "e_2n6ko9fgp89xemwt"

parts = st.text(min_size=1, max_size=40).filter(lambda text: text.strip() != "")
replicates = st.integers(min_value=1, max_value=10_000)


@pytest.mark.parametrize(
    ("replicate", "expected"),
    [
        pytest.param(1, "v_1i6m1c7p4o18cct", id="first, a digit short"),
        pytest.param(2, "v_386rxklzwuaodnlb", id="second"),
        pytest.param(3, "v_4l39dj49necjh50b", id="third"),
        pytest.param(4, "v_3ndi2bbkz1jdt51o", id="fourth"),
    ],
)
def test_evaluation_vectors(replicate: int, expected: str) -> None:
    """An evaluation's gen_id is the same as in existing stores."""
    assert evaluation_gen_id(ESSAY, "eval-1", "eval-model", replicate) == expected


@pytest.mark.parametrize(
    ("replicate", "expected"),
    [
        pytest.param(1, "e_2n6ko9fgp89xemwt", id="first"),
        pytest.param(2, "e_10l8p4ulo59x27ee", id="second"),
    ],
)
def test_essay_vectors(replicate: int, expected: str) -> None:
    """An essay's gen_id is the same as in existing stores."""
    assert essay_gen_id("d_21hnyjluy35totlo", "essay-X", replicate) == expected


@pytest.mark.parametrize(
    ("replicate", "expected"),
    [
        pytest.param(1, "d_21hnyjluy35totlo", id="first"),
        pytest.param(2, "d_j20xxjx46jf04bt", id="second, a digit short"),
    ],
)
def test_draft_vectors(replicate: int, expected: str) -> None:
    """A draft's gen_id is the same as in existing stores."""
    assert draft_gen_id("combo-1", "draft-A", "gen-model", replicate) == expected


@pytest.mark.parametrize(
    ("essay", "template", "model"),
    [
        pytest.param(ESSAY.upper(), "eval-1", "eval-model", id="essay in capitals"),
        pytest.param(ESSAY, "EVAL-1", "eval-model", id="template in capitals"),
        pytest.param(ESSAY, "eval-1", "Eval-Model", id="model in capitals"),
        pytest.param(f" {ESSAY}\t", "eval-1", "eval-model", id="blanks around the essay"),
        pytest.param(ESSAY, "\n eval-1 ", "eval-model\r\n", id="blanks around template and model"),
    ],
)
def test_case_and_blanks_are_folded(essay: str, template: str, model: str) -> None:
    """Case and surrounding blanks of a part do not change the id."""
    assert evaluation_gen_id(essay, template, model, 1) == "v_1i6m1c7p4o18cct"


def test_blanks_inside_a_part_count() -> None:
    """Only blanks around a part are ignored; a blank inside a part changes the id."""
    assert evaluation_gen_id(ESSAY, "eval 1", "m", 1) != evaluation_gen_id(ESSAY, "eval1", "m", 1)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: evaluation_gen_id("", "t", "m", 1), id="evaluation without essay"),
        pytest.param(lambda: evaluation_gen_id("e", " ", "m", 1), id="evaluation, blank template"),
        pytest.param(lambda: evaluation_gen_id("e", "t", "\t\n", 1), id="evaluation, blank model"),
        pytest.param(lambda: essay_gen_id("", "t", 1), id="essay without draft"),
        pytest.param(lambda: essay_gen_id("d", "", 1), id="essay without template"),
        pytest.param(lambda: draft_gen_id("c", "", "m", 1), id="draft without template"),
    ],
)
def test_an_empty_part_raises(make: Callable[[], str]) -> None:
    """An empty part is an error, because many different things would share its id."""
    with pytest.raises(ValueError, match="non-empty"):
        make()


@PROPERTY
@given(parts, parts, parts, replicates)
def test_a_gen_id_is_the_unpadded_base36_of_its_hash(essay: str, template: str, model: str, replicate: int) -> None:
    """An id read as a base-36 number is the hash of its parts, and has no leading 0."""
    gen_id = evaluation_gen_id(essay, template, model, replicate)
    joined = "|".join([*(part.strip().lower() for part in (essay, template, model)), str(replicate)])
    expected = int.from_bytes(blake2b(joined.encode("utf-8"), digest_size=10).digest(), "big")
    assert int(gen_id.removeprefix("v_"), 36) == expected
    assert re.fullmatch(r"v_[1-9a-z][0-9a-z]{0,15}", gen_id)


@PROPERTY
@given(parts, parts, parts, st.sets(replicates, min_size=2, max_size=30))
def test_distinct_replicates_have_distinct_ids(essay: str, template: str, model: str, numbers: set[int]) -> None:
    """Two replicates of a cell never share an id, nor do two stages with the same parts."""
    ids = {evaluation_gen_id(essay, template, model, number) for number in numbers}
    ids |= {draft_gen_id(essay, template, model, number) for number in numbers}
    assert len(ids) == 2 * len(numbers)


@PROPERTY
@given(parts, parts, parts, replicates)
def test_every_id_may_become_a_path(a: str, b: str, c: str, replicate: int) -> None:
    """An id is a valid path segment, whatever text its parts hold."""
    made = [
        evaluation_gen_id(a, b, c, replicate),
        essay_gen_id(a, b, replicate),
        draft_gen_id(a, b, c, replicate),
        cohort_id({a: [b, c, replicate]}),
    ]
    assert all(is_id(gen_id) for gen_id in made)


INPUTS = {
    "mode": "evaluation-only",
    "directives": ["include-existing-evaluations"],
    "essays": ["e_1", "e_2"],
    "templates": ["novelty"],
    "models": ["judge-a"],
    "replicates": 4,
}


def test_a_cohort_id_is_the_hash_of_the_canonical_json() -> None:
    """Anyone can compute a cohort id: the blake2s of the inputs as UTF-8 JSON with sorted keys and no blanks."""
    text = json.dumps(INPUTS, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical_json(INPUTS) == text
    assert cohort_id(INPUTS) == "cohort-" + blake2s(text.encode(), digest_size=6).hexdigest()
    assert re.fullmatch(r"cohort-[0-9a-f]{12}", cohort_id(INPUTS))


def test_canonical_json_is_utf8_without_blanks() -> None:
    """Characters beyond ASCII are not escaped, so that other programs hash the same text."""
    assert canonical_json({"b": ["é", 1], "a": None}) == '{"a":null,"b":["é",1]}'


@PROPERTY
@given(st.permutations(list(INPUTS)))
def test_a_cohort_id_does_not_depend_on_the_order_of_keys(order: list[str]) -> None:
    """The same inputs with the keys in another order give the same cohort id."""
    assert cohort_id({key: INPUTS[key] for key in order}) == cohort_id(INPUTS)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"mode": "regenerate"}, id="mode"),
        pytest.param({"directives": []}, id="directives"),
        pytest.param({"essays": ["e_2", "e_1"]}, id="essays in another order"),
        pytest.param({"templates": ["novelty", "style"]}, id="one more template"),
        pytest.param({"models": ["judge-b"]}, id="model"),
        pytest.param({"replicates": 5}, id="replicates"),
        pytest.param({"essays": ["é_1", "e_2"]}, id="not ASCII"),
    ],
)
def test_other_inputs_are_another_cohort(change: dict[str, object]) -> None:
    """Every input of a cohort changes its id."""
    assert cohort_id({**INPUTS, **change}) != cohort_id(INPUTS)


def test_a_run_key_is_the_hash_of_run_and_try() -> None:
    """A run's folder name is the blake2s of `dag_id|run_id|try_number`, whatever characters the run_id has."""
    run_id = "manual__2025-01-01T00:00:00+00:00/../x"
    expected = blake2s(f"evaluation_backfill|{run_id}|2".encode(), digest_size=6).hexdigest()
    assert run_key("evaluation_backfill", run_id, 2) == expected


@PROPERTY
@given(parts, parts, replicates)
@example("dag", "run|1", 1)
def test_a_run_key_is_a_safe_folder_name_of_its_own(dag_id: str, run_id: str, try_number: int) -> None:
    """A run key is 12 hex digits, and a later try of the same run has another key."""
    key = run_key(dag_id, run_id, try_number)
    assert re.fullmatch(r"[0-9a-f]{12}", key)
    assert key != run_key(dag_id, run_id, try_number + 1)
