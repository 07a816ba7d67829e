"""Tests of the messages of errors, which people read."""

import pytest

from essay_cohorts.errors import (
    BadInput,
    CohortError,
    CohortIncomplete,
    Problem,
    RepliesMissing,
    StoreError,
    raise_if_any,
)

FIRST = Problem(place="f.txt:3", finding="'../x' is not a valid gen_id.", next_step="Correct it.")
SECOND = Problem(place="conf: mode", finding='"x" is not a mode.', next_step="Write another.")


def test_a_problem_reads_place_finding_next_step() -> None:
    """A problem's text names the place, then the finding, then the next step."""
    assert str(FIRST) == "f.txt:3: '../x' is not a valid gen_id. Correct it."


def test_a_problem_can_be_written_anywhere() -> None:
    """A lone surrogate, which JSON can hold but a terminal or a log cannot, is escaped in the message."""
    assert str(Problem(place="p", finding='it says "\ud800é".', next_step="Fix it.")) == (
        'p: it says "\\ud800é". Fix it.'
    )


@pytest.mark.parametrize(
    ("problems", "head"),
    [
        pytest.param([FIRST], "1 problem in the input", id="one"),
        pytest.param([FIRST, SECOND], "2 problems in the input", id="two"),
    ],
)
def test_bad_input_tells_all_problems_at_once(problems: list[Problem], head: str) -> None:
    """The message of a BadInput counts the problems and has one line for each, in order."""
    error = BadInput(problem for problem in problems)
    lines = str(error).splitlines()
    assert lines[0] == f"{head}; nothing was written and nothing was called."
    assert lines[1:] == [f"  - {problem}" for problem in problems]
    assert error.problems == tuple(problems)


def test_no_problem_raises_nothing() -> None:
    """Without problems nothing is raised."""
    raise_if_any(iter(()))


def test_one_problem_is_enough_to_raise() -> None:
    """One problem is enough to raise BadInput, also when the problems come from an iterator."""
    with pytest.raises(BadInput, match="1 problem"):
        raise_if_any(iter([FIRST]))


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(BadInput([FIRST]), id="bad input"),
        pytest.param(StoreError("s"), id="store"),
        pytest.param(RepliesMissing("r"), id="replies missing"),
        pytest.param(CohortIncomplete("c"), id="incomplete"),
    ],
)
def test_all_errors_have_one_base(error: Exception) -> None:
    """The package's base class catches all its errors."""
    assert isinstance(error, CohortError)
