"""Tests of the suggestions for misspelt words."""

import pytest

from essay_cohorts.errors import choose_from, closest

OPTIONS = ["dry_run", "essay_ids", "Novelty"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        pytest.param("dryrun", "dry_run", id="a character missing"),
        pytest.param("DRY_RUN", "dry_run", id="case"),
        pytest.param("essay_id", "essay_ids", id="singular"),
        pytest.param("novelty", "Novelty", id="the option keeps its own case"),
        pytest.param("banana", None, id="like none"),
        pytest.param("", None, id="empty"),
    ],
)
def test_closest(word: str, expected: str | None) -> None:
    """The closest option is found, whatever its case; without a similar option the result is None."""
    assert closest(word, OPTIONS) == expected


def test_a_higher_cutoff_asks_for_more_likeness() -> None:
    """The cutoff sets how similar a suggestion must be."""
    assert closest("essays", OPTIONS, cutoff=0.5) == "essay_ids"
    assert closest("essays", OPTIONS, cutoff=0.95) is None


@pytest.mark.parametrize(
    ("word", "options", "expected"),
    [
        pytest.param("dryrun", OPTIONS, 'Did you mean "dry_run"?', id="a likely one"),
        pytest.param("banana", ["b1", "c2"], "Known: b1, c2.", id="no likely one"),
        pytest.param("banana", [], "There is none to choose from.", id="no option at all"),
    ],
)
def test_choose_from(word: str, options: list[str], expected: str) -> None:
    """The sentence suggests the closest option or else lists all options, which may come from an iterator."""
    assert choose_from(word, iter(options)) == expected
