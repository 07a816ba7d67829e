"""Tests of the marks on figures that mix scores of different provenance."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from essay_cohorts.domain import Cell
from essay_cohorts.provenance import UNKNOWN, Provenance
from essay_cohorts.rubric import DEFAULT_SCALE, Scale
from essay_cohorts.statistics.mixed import MixedFigures, find_mixed_figures, find_mixed_figures_of_rows
from tests.score_rows import score_row

A, B = Cell("e_1", "novelty", "judge-a"), Cell("e_2", "novelty", "judge-a")
OTHER_JUDGE = Cell("e_1", "novelty", "judge-b")


def on_one_scale(scored: list[tuple[Cell, Provenance]]) -> list[tuple[Cell, Provenance, Scale]]:
    """Return the scores as scores of one scale."""
    return [(*each, DEFAULT_SCALE) for each in scored]


def provenance(prompt: str = "p", settings: str = "s", version: str = "v/a") -> Provenance:
    """Return the provenance of a score; `version` is the server's name for its model."""
    return Provenance(version, settings, prompt)


@pytest.mark.parametrize(
    ("scored", "cell", "judge", "template"),
    [
        pytest.param([], "", "", "", id="no scores"),
        pytest.param([(A, provenance()), (A, provenance())], "", "", "", id="alike"),
        pytest.param([(A, provenance("p")), (B, provenance("q"))], "", "", "", id="each essay has its own prompt"),
        pytest.param(
            [(A, provenance("p")), (A, provenance("q"))],
            "several prompts",
            "several prompts in 1 cell",
            "several prompts in 1 cell",
            id="two prompts in a cell",
        ),
        pytest.param([(A, provenance("p")), (A, provenance(""))], "", "", "", id="a prompt that was not recorded"),
        pytest.param(
            [(A, provenance(settings="s")), (A, provenance(settings="t"))],
            "2 settings",
            "2 settings",
            "2 settings",
            id="settings",
        ),
        pytest.param(
            [(A, provenance(settings="s")), (B, provenance(settings="t"))],
            "",
            "2 settings",
            "2 settings",
            id="settings of essays",
        ),
        pytest.param(
            [(A, provenance(settings="s")), (OTHER_JUDGE, provenance(settings="t"))],
            "",
            "",
            "",
            id="settings of two judges",
        ),
        pytest.param(
            [(A, provenance(version="v/a-1")), (A, provenance(version="v/a-2"))],
            "2 versions of the model",
            "2 versions of the model",
            "2 versions of the model",
            id="versions",
        ),
        pytest.param(
            [(A, provenance(version="v/a-1")), (B, provenance(version="v/a-2"))],
            "",
            "2 versions of the model",
            "2 versions of the model",
            id="versions of essays",
        ),
        pytest.param(
            [(A, provenance(version="v/a")), (OTHER_JUDGE, provenance(version="v/b"))],
            "",
            "",
            "",
            id="versions of two judges",
        ),
        pytest.param(
            [(A, provenance()._replace(system_fingerprint=name)) for name in ("fp_1", "fp_2")],
            "",
            "",
            "",
            id="fingerprints do not count",
        ),
        pytest.param([(A, UNKNOWN), (A, provenance())], "", "", "", id="no recorded provenance"),
        pytest.param(
            [
                (A, provenance("p", "s")),
                (A, provenance("q", "t")),
                (B, provenance("p", "u")),
                (B, provenance("q", "u")),
            ],
            "several prompts, 2 settings",
            "several prompts in 2 cells, 3 settings",
            "several prompts in 2 cells, 3 settings",
            id="both",
        ),
    ],
)
def test_what_figures_mix(scored: list[tuple[Cell, Provenance]], cell: str, judge: str, template: str) -> None:
    """A figure of a cell, a judge or a template mixes the prompts and settings of its scores."""
    mixed = find_mixed_figures(on_one_scale(scored))
    assert mixed.cell(A) == cell
    assert mixed.describe("novelty", "judge-a") == judge
    assert mixed.describe("novelty") == template
    wanted = [{"template_id": "novelty", "model_id": "judge-a", "mixes": judge}] if judge else []
    assert mixed.judges() == wanted


def test_an_essay_s_figure_mixes_what_its_cells_mix() -> None:
    """The figure of an essay is marked for its own cells only."""
    mixed = find_mixed_figures(on_one_scale([(A, provenance("p")), (A, provenance("q")), (B, provenance("p"))]))
    assert (mixed.describe("novelty", None, "e_1"), mixed.describe("novelty", None, "e_2")) == (
        "several prompts in 1 cell",
        "",
    )


def test_what_has_no_score_mixes_nothing() -> None:
    """An evaluation without a score does not count for a figure's mark."""
    rows = [score_row(5.0, A, provenance=provenance("p")), score_row(None, A, provenance=provenance("q"))]
    assert find_mixed_figures_of_rows(rows) == MixedFigures()


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        pytest.param({"prompt": "q"}, "mixes scores of several prompts or settings", id="prompts"),
        pytest.param(
            {"version": "w"}, "mixes scores of several prompts, settings or versions of a model", id="versions"
        ),
    ],
)
def test_the_key_names_versions_where_they_are_mixed(changed: dict[str, str], key: str) -> None:
    """The key of a table says what its marks may stand for."""
    assert find_mixed_figures(on_one_scale([(A, provenance()), (A, provenance(**changed))])).key == key


provenances = st.builds(
    provenance, st.sampled_from(["", "p", "q"]), st.sampled_from(["", "s", "t"]), st.sampled_from(["", "v/a", "v/b"])
)
cells = st.builds(Cell, st.sampled_from(["e_1", "e_2"]), st.just("novelty"), st.sampled_from(["judge-a", "judge-b"]))


@given(st.lists(st.tuples(cells, provenances)))
def test_the_marks_follow_from_the_definition(scored: list[tuple[Cell, Provenance]]) -> None:
    """A cell is marked for two known prompts, settings or versions; a judge for such a cell, settings or versions."""

    def several(texts: Iterable[str]) -> bool:
        return len(set(texts) - {""}) > 1

    mixed = find_mixed_figures(on_one_scale(scored))
    for cell in {cell for cell, _ in scored}:
        own = [each for found, each in scored if found == cell]
        assert bool(mixed.cell(cell)) is (
            several(each.prompt_sha256 for each in own)
            or several(each.settings for each in own)
            or several(each.response_model for each in own)
        )
    for model in ("judge-a", "judge-b"):
        of_judge = [each for cell, each in scored if cell.model_id == model]
        alike = not several(each.settings for each in of_judge) and not several(
            each.response_model for each in of_judge
        )
        by_cell = any(
            several(each.prompt_sha256 for found, each in scored if found == cell)
            for cell, _ in scored
            if cell.model_id == model
        )
        assert bool(mixed.describe("novelty", model)) is (by_cell or not alike)
