"""Tests of tables as plain text: their width, and what a title may do to a terminal."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.table import Table

from essay_cohorts.plain_table import TITLE, as_text

ESSAY = "e_20c82h43y8gzd21n"
LONG = "Knots, Promises, and the Usefulness of Friction in a World of Smooth Surfaces"


def lines_of(title: str, width: int | None, *more: str) -> list[str]:
    """Return the lines of a table with an id, a title, and more columns."""
    table = Table("essay", TITLE, *(f"head {number}" for number, _ in enumerate(more)), box=None, pad_edge=False)
    table.add_row(ESSAY, title, *more)
    return as_text(table, width).splitlines()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "title",
    [
        pytest.param(f"{LONG}, {LONG}", id="Latin"),
        pytest.param("岩と潮の満ち引きについての長い随筆" * 4, id="wide characters"),
    ],
)
def test_titles_are_cut_to_the_width(title: str, width: int) -> None:
    """A title takes what the other columns leave, and a cut one ends with an ellipsis; the id is whole."""
    head, row = lines_of(title, width, "12", "34")
    assert max(map(cell_len, (head, row))) in (width, width - 1)
    assert ("…" in row, ESSAY in row, row.endswith("34")) == (True, True, True)


def test_a_table_that_fits_is_not_cut() -> None:
    """A short title is whole, and the column is no wider than its titles."""
    assert lines_of("Rust", 80, "12") == ["essay               title  head 0", f"{ESSAY}  Rust   12"]


def test_at_least_twelve_characters_of_a_title_are_left() -> None:
    """Where everything else fills the line, the line is too long, but the title can still be recognised."""
    _, row = lines_of(LONG, 40, "x" * 60)
    assert f"{LONG[:11]}…  {'x' * 60}" in row


def test_without_a_width_titles_are_whole() -> None:
    """A log has no margin."""
    assert LONG in lines_of(LONG, None, "12")[1]


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        pytest.param("\x1b[31mred", "\ufffd[31mred", id="a colour"),
        pytest.param("a\u202eb", "a\ufffdb", id="right to left"),
        pytest.param("[bold]b[/bold] :smile:", "[bold]b[/bold] :smile:", id="markup is text"),
    ],
)
def test_a_title_cannot_control_the_terminal(title: str, shown: str) -> None:
    """Characters that a terminal would obey are replaced, and markup is shown as it is."""
    assert shown in lines_of(title, 80, "12")[1]
