"""The conf of a run: every key, its limits, and how mistakes are reported."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from essay_cohorts.domain import is_id
from essay_cohorts.planning.request import KEYS, LIMITS, CohortRequest, parse_request

PROPERTY = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


def findings(conf: dict[str, Any]) -> list[str]:
    """Return the problems of a conf as a person reads them."""
    return [str(problem) for problem in parse_request(conf).problems]


def test_an_empty_conf_has_the_documented_defaults() -> None:
    """Without a conf, the selection file, the environment and the catalog decide; there are 16 calls in flight."""
    checked = parse_request({})
    assert checked.problems == ()
    assert checked.value == CohortRequest(
        cohort_id=None,
        essay_ids=None,
        mode=None,
        include_existing_evaluations=None,
        templates=None,
        models=None,
        replicates=None,
        max_concurrency=16,
        batch_size=None,
        retry_unscored=False,
        max_unscored=0,
        dry_run=False,
    )


def test_the_keys_are_the_documented_ones() -> None:
    """The conf has the fifteen keys of the DAG's params."""
    assert set(KEYS) == {
        "cohort_id",
        "essay_ids",
        "mode",
        "include_existing_evaluations",
        "templates",
        "models",
        "replicates",
        "max_concurrency",
        "batch_size",
        "retry_unscored",
        "max_unscored",
        "max_llm_calls",
        "max_cost_usd",
        "changed_inputs",
        "dry_run",
    }


@pytest.mark.parametrize("key", KEYS)
def test_null_means_the_default(key: str) -> None:
    """A key that is null has the same effect as a missing key."""
    checked = parse_request({key: None})
    assert checked.problems == ()
    assert checked.value == CohortRequest()


@pytest.mark.parametrize(
    ("key", "given_value", "expected"),
    [
        pytest.param("cohort_id", "novelty_v2_backfill", "novelty_v2_backfill", id="cohort_id"),
        pytest.param("cohort_id", "7", "7", id="cohort_id of one digit"),
        pytest.param("essay_ids", ["e_2", "e_1"], ("e_2", "e_1"), id="essay_ids keep their order"),
        pytest.param("essay_ids", ("e_1",), ("e_1",), id="essay_ids as a tuple"),
        pytest.param("mode", "evaluation-only", "evaluation-only", id="mode"),
        pytest.param("mode", " Reuse_Essays ", "evaluation-only", id="mode, alias"),
        pytest.param("include_existing_evaluations", True, True, id="include"),
        pytest.param("include_existing_evaluations", False, False, id="include off"),
        pytest.param("templates", ["novelty", "style"], ("novelty", "style"), id="templates"),
        pytest.param("models", ["judge-a", "vendor/model:free"], ("judge-a", "vendor/model:free"), id="models"),
        pytest.param("replicates", 1, 1, id="replicates, least"),
        pytest.param("replicates", 1000, 1000, id="replicates, most"),
        pytest.param("max_concurrency", 1, 1, id="max_concurrency, least"),
        pytest.param("max_concurrency", 500, 500, id="max_concurrency, most"),
        pytest.param("batch_size", 1, 1, id="batch_size, least"),
        pytest.param("batch_size", 100_000, 100_000, id="batch_size, most"),
        pytest.param("max_unscored", 0, 0, id="max_unscored, least"),
        pytest.param("max_unscored", 1_000_000, 1_000_000, id="max_unscored, most"),
        pytest.param("retry_unscored", True, True, id="retry_unscored"),
        pytest.param("retry_unscored", False, False, id="retry_unscored off"),
        pytest.param("dry_run", True, True, id="dry_run"),
        pytest.param("dry_run", False, False, id="dry_run off"),
    ],
)
def test_good_values(key: str, given_value: object, expected: object) -> None:
    """A value within the limits is accepted; a list becomes a tuple, and a mode gets its canonical name."""
    checked = parse_request({key: given_value})
    assert checked.problems == ()
    assert getattr(checked.value, key) == expected
    assert type(getattr(checked.value, key)) is type(expected)


@pytest.mark.parametrize(
    ("key", "given_value", "expected"),
    [
        pytest.param("cohort_id", "../x", "An id is 1 to 100", id="cohort_id, a path"),
        pytest.param("cohort_id", "", "An id is 1 to 100", id="cohort_id, empty"),
        pytest.param("cohort_id", "a b", "An id is 1 to 100", id="cohort_id, a space"),
        pytest.param("cohort_id", "x" * 101, "An id is 1 to 100", id="cohort_id, 101 characters"),
        pytest.param("cohort_id", 7, "An id is 1 to 100", id="cohort_id, a number"),
        pytest.param("cohort_id", ["c"], "An id is 1 to 100", id="cohort_id, a list"),
        pytest.param("cohort_id", False, "An id is 1 to 100", id="cohort_id, false"),
        pytest.param("essay_ids", "e_1", "Write a list", id="essay_ids, text"),
        pytest.param("essay_ids", [], "Write a list with at least one entry", id="essay_ids, empty"),
        pytest.param("essay_ids", {"e_1": 1}, "Write a list", id="essay_ids, an object"),
        pytest.param("essay_ids", ["e_1", "../x"], "entry 2: '../x' is not valid.", id="essay_ids, a path"),
        pytest.param("essay_ids", ["e_1", 7], "entry 2: 7 is not valid.", id="essay_ids, a number"),
        pytest.param("essay_ids", [""], "entry 1: '' is not valid.", id="essay_ids, an empty one"),
        pytest.param("essay_ids", [None], "entry 1: None is not valid.", id="essay_ids, null inside"),
        pytest.param("essay_ids", [["e_1"]], "entry 1: ['e_1'] is not valid.", id="essay_ids, a list inside"),
        pytest.param("essay_ids", ["e_1", "e_1"], "entry 2: e_1 is listed twice.", id="essay_ids, twice"),
        pytest.param("mode", "evalution-only", 'Did you mean "evaluation-only"?', id="mode, misspelt"),
        pytest.param(
            "mode", "regenerate", "known, but evaluation_backfill does not run it", id="mode, another DAG's"
        ),
        pytest.param("mode", "", "is not a mode", id="mode, empty"),
        pytest.param("mode", 1, "1 is not valid.", id="mode, a number"),
        pytest.param("mode", ["evaluation-only"], "is not valid.", id="mode, a list"),
        pytest.param("include_existing_evaluations", "true", "Write true or false.", id="include, text"),
        pytest.param("include_existing_evaluations", "false", "Write true or false.", id="include, text false"),
        pytest.param("include_existing_evaluations", 1, "Write true or false.", id="include, 1"),
        pytest.param("include_existing_evaluations", 0, "Write true or false.", id="include, 0"),
        pytest.param("templates", "novelty", "Write a list", id="templates, text"),
        pytest.param("templates", [], "Write a list", id="templates, empty"),
        pytest.param("templates", ["a/b"], "entry 1: 'a/b' is not valid.", id="templates, a path"),
        pytest.param("templates", ["a", "a"], "entry 2: a is listed twice.", id="templates, twice"),
        pytest.param("models", "judge-a", "Write a list", id="models, text"),
        pytest.param("models", [], "Write a list", id="models, empty"),
        pytest.param("models", [" "], "entry 1: ' ' is not valid.", id="models, a blank one"),
        pytest.param("models", [3], "entry 1: 3 is not valid.", id="models, a number"),
        pytest.param("models", ["m", "m"], "entry 2: m is listed twice.", id="models, twice"),
        pytest.param("models", ["\u00e8", "e\u0300"], "is listed twice.", id="models, twice by accent"),
        pytest.param("replicates", 0, "from 1 to 1000.", id="replicates, 0"),
        pytest.param("replicates", -1, "from 1 to 1000.", id="replicates, negative"),
        pytest.param("replicates", 1001, "from 1 to 1000.", id="replicates, too many"),
        pytest.param("replicates", "4", "Write a whole number", id="replicates, text"),
        pytest.param("replicates", 4.5, "Write a whole number", id="replicates, a fraction"),
        pytest.param("replicates", True, "Write a whole number", id="replicates, true"),
        pytest.param("replicates", [4], "Write a whole number", id="replicates, a list"),
        pytest.param("replicates", float("nan"), "Write a whole number", id="replicates, NaN"),
        pytest.param("max_concurrency", 0, "from 1 to 500.", id="max_concurrency, 0"),
        pytest.param("max_concurrency", 501, "from 1 to 500.", id="max_concurrency, too many"),
        pytest.param("max_concurrency", "16", "Write a whole number", id="max_concurrency, text"),
        pytest.param("max_concurrency", False, "Write a whole number", id="max_concurrency, false"),
        pytest.param("batch_size", 0, "from 1 to 100000.", id="batch_size, 0"),
        pytest.param("batch_size", 100_001, "from 1 to 100000.", id="batch_size, too many"),
        pytest.param("batch_size", "auto", "Write a whole number", id="batch_size, text"),
        pytest.param("max_unscored", -1, "from 0 to 1000000.", id="max_unscored, negative"),
        pytest.param("max_unscored", 1_000_001, "from 0 to 1000000.", id="max_unscored, too many"),
        pytest.param("max_unscored", "0", "Write a whole number", id="max_unscored, text"),
        pytest.param("retry_unscored", "true", "Write true or false.", id="retry_unscored, text"),
        pytest.param("retry_unscored", 1, "Write true or false.", id="retry_unscored, 1"),
        pytest.param("dry_run", "false", "Write true or false.", id="dry_run, text false"),
        pytest.param("dry_run", "no", "Write true or false.", id="dry_run, no"),
        pytest.param("dry_run", 0, "Write true or false.", id="dry_run, 0"),
        pytest.param("dry_run", [], "Write true or false.", id="dry_run, a list"),
    ],
)
def test_bad_values(key: str, given_value: object, expected: str) -> None:
    """A value of a wrong type, or outside the limits, is refused with its key and what to write, never guessed."""
    checked = parse_request({key: given_value})
    (problem,) = checked.problems
    assert problem.place.startswith(f"conf: {key}")
    assert expected in str(problem)
    assert getattr(checked.value, key) == getattr(CohortRequest(), key)


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        pytest.param("dryrun", "dry_run", id="dryrun"),
        pytest.param("dry-run", "dry_run", id="dry-run"),
        pytest.param("DRY_RUN", "dry_run", id="DRY_RUN"),
        pytest.param("essay_id", "essay_ids", id="essay_id"),
        pytest.param("essays", "essay_ids", id="essays"),
        pytest.param("max_concurency", "max_concurrency", id="max_concurency"),
        pytest.param("concurrency", "max_concurrency", id="concurrency"),
        pytest.param("include_existing_evaluation", "include_existing_evaluations", id="include, singular"),
        pytest.param("include-existing-evaluations", "include_existing_evaluations", id="include, dashes"),
        pytest.param("include_existing", "include_existing_evaluations", id="include, short"),
        pytest.param("batchsize", "batch_size", id="batchsize"),
        pytest.param("cohort", "cohort_id", id="cohort"),
        pytest.param("cohortid", "cohort_id", id="cohortid"),
        pytest.param("template", "templates", id="template"),
        pytest.param("model", "models", id="model"),
        pytest.param("replicate", "replicates", id="replicate"),
        pytest.param("retry_unscore", "retry_unscored", id="retry_unscore"),
        pytest.param("max_unscored_", "max_unscored", id="max_unscored_"),
        pytest.param(" mode", "mode", id="a blank before mode"),
    ],
)
def test_a_misspelt_key_is_an_error_with_a_suggestion(key: str, suggestion: str) -> None:
    """An unknown key is refused with a suggestion, because it would otherwise be ignored silently."""
    (found,) = findings({key: True})
    assert found.startswith(f"conf: {key}: there is no such setting")
    assert found.endswith(f'Did you mean "{suggestion}"?')


@pytest.mark.parametrize("key", ["zzzzzz", "", "42", "q"])
def test_the_error_for_a_strange_key_lists_all_keys(key: str) -> None:
    """The error for a key that is not similar to any known key lists all known keys."""
    (found,) = findings({key: None})
    assert f"Known: {', '.join(KEYS)}." in found


def test_all_problems_are_reported_together() -> None:
    """All mistakes of a conf are reported together; the valid keys are still read."""
    checked = parse_request(
        {"dryrun": True, "replicates": 0, "essay_ids": ["a/b", "e_1", "e_1"], "mode": "x", "batch_size": 5},
        "the form",
    )
    assert [problem.place for problem in checked.problems] == [
        "the form: dryrun",
        "the form: essay_ids, entry 1",
        "the form: essay_ids, entry 3",
        "the form: mode",
        "the form: replicates",
    ]
    assert checked.value == CohortRequest(batch_size=5)


def test_the_error_for_a_mode_of_a_wrong_type_says_what_to_write() -> None:
    """The error for a mode that is not a text has a next step, like the error for every other mistake."""
    (problem,) = parse_request({"mode": 1}).problems
    assert "evaluation-only" in problem.next_step


def test_the_error_for_a_model_of_a_wrong_type_does_not_state_the_rule_for_ids() -> None:
    """A model's id may have a slash, so the error does not state the rule that forbids a slash."""
    (problem,) = parse_request({"models": [3]}).problems
    assert "An id is 1 to 100" not in problem.next_step


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["evaluation-only", "true", "e_1", "../x", 1, 16, 1000]),
)
json_like = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
confs = st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=20)), json_like, max_size=14)


@PROPERTY
@given(confs)
def test_no_conf_makes_the_parser_fail(conf: dict[str, Any]) -> None:
    """Every JSON object that a trigger sends gives a request within the limits, or problems."""
    checked = parse_request(conf)
    value = checked.value
    for key, (low, high) in LIMITS.items():
        number = getattr(value, key)
        assert number is None or (type(number) is int and low <= number <= high)
    for key in ("retry_unscored", "dry_run"):
        assert type(getattr(value, key)) is bool
    for name in (value.cohort_id, *(value.essay_ids or ()), *(value.templates or ())):
        assert name is None or is_id(name)
    assert value.mode in (None, "evaluation-only")
    unknown = [key for key in conf if key not in KEYS]
    assert len(checked.problems) >= len(unknown)


@PROPERTY
@given(confs)
def test_an_accepted_key_has_the_value_that_was_sent(conf: dict[str, Any]) -> None:
    """A key without a problem has the value that was sent, and not a default."""
    checked = parse_request(conf)
    refused = {problem.place.removeprefix("conf: ").split(",")[0] for problem in checked.problems}
    for key in KEYS:
        sent = conf.get(key)
        if sent is not None and key not in refused and key != "mode":
            expected = tuple(sent) if isinstance(sent, list) else sent
            assert getattr(checked.value, key) == expected
