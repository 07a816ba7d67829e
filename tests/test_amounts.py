"""Tests that a value is shown as the same text everywhere."""

from __future__ import annotations

import pytest

from essay_cohorts.amounts import counted, figure


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(5.425, "5.43", id="a half, whose float lies below"),
        pytest.param(5.025, "5.03", id="a half, another"),
        pytest.param(2.675, "2.68", id="a half, the classic"),
        pytest.param(0.125, "0.13", id="a half that a float holds"),
        pytest.param(5.424999999999, "5.43", id="a half but for the arithmetic"),
        pytest.param(5.4249, "5.42", id="below a half"),
        pytest.param(7.0, "7.00", id="whole"),
        pytest.param(0.0, "0.00", id="zero"),
        pytest.param(-0.004, "0.00", id="negative, rounded to 0"),
        pytest.param(-0.005, "-0.01", id="a half below 0"),
        pytest.param(1e-12, "0.00", id="tiny"),
    ],
)
def test_a_figure_is_rounded_as_a_person_rounds(value: float, text: str) -> None:
    """A figure has two decimals, a half is rounded away from 0, and 0 has no minus sign."""
    assert figure(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(0.425, "+0.43", id="more"),
        pytest.param(-0.425, "-0.43", id="less"),
        pytest.param(-0.001, "+0.00", id="rounded to 0"),
    ],
)
def test_a_difference_has_its_sign(value: float, text: str) -> None:
    """A signed figure always begins with its sign."""
    assert figure(value, signed=True) == text


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        pytest.param(0, ("essay",), "0 essays", id="none"),
        pytest.param(1, ("essay",), "1 essay", id="one"),
        pytest.param(2, ("essay",), "2 essays", id="two"),
        pytest.param(12_000, ("call",), "12,000 calls", id="thousands"),
        pytest.param(1, ("reply", "replies"), "1 reply", id="one of an irregular noun"),
        pytest.param(2, ("reply", "replies"), "2 replies", id="two of an irregular noun"),
        pytest.param(1, ("row is", "rows are"), "1 row is", id="with its verb"),
    ],
)
def test_a_noun_agrees_with_its_count(count: int, words: tuple[str, ...], text: str) -> None:
    """Only 1 takes the singular, and thousands have a comma."""
    assert counted(count, *words) == text
