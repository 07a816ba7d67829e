"""Tests of the marks on figures that mix scores of different provenance."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from essay_cohorts.domain import Cell
from essay_cohorts.provenance import UNKNOWN, Provenance
from essay_cohorts.statistics.mixed import Mixed, mixed_in, mixed_in_rows
from tests.score_rows import score_row

A, B = Cell("e_1", "novelty", "judge-a"), Cell("e_2", "novelty", "judge-a")
OTHER_JUDGE = Cell("e_1", "novelty", "judge-b")


def made(prompt: str = "p", settings: str = "s") -> Provenance:
    """Return the provenance of a score. The server's name for its model does not count for the marks."""
    return Provenance("v/a", settings, prompt)


@pytest.mark.parametrize(
    ("scored", "cell", "judge", "template"),
    [
        pytest.param([], "", "", "", id="no scores"),
        pytest.param([(A, made()), (A, made())], "", "", "", id="alike"),
        pytest.param([(A, made("p")), (B, made("q"))], "", "", "", id="each essay has its own prompt"),
        pytest.param(
            [(A, made("p")), (A, made("q"))],
            "several prompts",
            "several prompts in 1 cell",
            "several prompts in 1 cell",
            id="two prompts in a cell",
        ),
        pytest.param([(A, made("p")), (A, made(""))], "", "", "", id="a prompt that was not recorded"),
        pytest.param(
            [(A, made(settings="s")), (A, made(settings="t"))],
            "2 settings",
            "2 settings",
            "2 settings",
            id="settings",
        ),
        pytest.param(
            [(A, made(settings="s")), (B, made(settings="t"))],
            "",
            "2 settings",
            "2 settings",
            id="settings of essays",
        ),
        pytest.param(
            [(A, made(settings="s")), (OTHER_JUDGE, made(settings="t"))], "", "", "", id="settings of two judges"
        ),
        pytest.param([(A, UNKNOWN), (A, made())], "", "", "", id="no recorded provenance"),
        pytest.param(
            [(A, made("p", "s")), (A, made("q", "t")), (B, made("p", "u")), (B, made("q", "u"))],
            "several prompts, 2 settings",
            "several prompts in 2 cells, 3 settings",
            "several prompts in 2 cells, 3 settings",
            id="both",
        ),
    ],
)
def test_what_figures_mix(scored: list[tuple[Cell, Provenance]], cell: str, judge: str, template: str) -> None:
    """A figure of a cell, a judge or a template mixes the prompts and settings of its scores."""
    mixed = mixed_in(scored)
    assert mixed.cell(A) == cell
    assert mixed.words("novelty", "judge-a") == judge
    assert mixed.words("novelty") == template
    wanted = [{"template_id": "novelty", "model_id": "judge-a", "mixes": judge}] if judge else []
    assert mixed.judges() == wanted


def test_an_essay_s_figure_mixes_what_its_cells_mix() -> None:
    """The figure of an essay is marked for its own cells only."""
    mixed = mixed_in([(A, made("p")), (A, made("q")), (B, made("p"))])
    assert (mixed.words("novelty", None, "e_1"), mixed.words("novelty", None, "e_2")) == (
        "several prompts in 1 cell",
        "",
    )


def test_what_has_no_score_mixes_nothing() -> None:
    """An evaluation without a score does not count for a figure's mark."""
    rows = [score_row(5.0, A, made=made("p")), score_row(None, A, made=made("q"))]
    assert mixed_in_rows(rows) == Mixed()


provenances = st.builds(made, st.sampled_from(["", "p", "q"]), st.sampled_from(["", "s", "t"]))
cells = st.builds(Cell, st.sampled_from(["e_1", "e_2"]), st.just("novelty"), st.sampled_from(["judge-a", "judge-b"]))


@given(st.lists(st.tuples(cells, provenances)))
def test_the_marks_follow_from_the_definition(scored: list[tuple[Cell, Provenance]]) -> None:
    """A cell is marked for two known prompts or settings; a judge is marked for such a cell or for two settings."""

    def several(texts: Iterable[str]) -> bool:
        return len(set(texts) - {""}) > 1

    mixed = mixed_in(scored)
    for cell in {cell for cell, _ in scored}:
        own = [each for found, each in scored if found == cell]
        assert bool(mixed.cell(cell)) is (
            several(each.prompt_sha256 for each in own) or several(each.settings for each in own)
        )
    for model in ("judge-a", "judge-b"):
        of_judge = [each.settings for cell, each in scored if cell.model_id == model]
        by_cell = any(
            several(each.prompt_sha256 for found, each in scored if found == cell)
            for cell, _ in scored
            if cell.model_id == model
        )
        assert bool(mixed.words("novelty", model)) is (by_cell or several(of_judge))
