"""Which cells were scored by a former wording, and which were made up beside real ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from essay_cohorts.domain import ScoreRow
from essay_cohorts.provenance import Provenance
from essay_cohorts.views.former_prompts import cells_of_former_prompts, made_up_cells
from essay_cohorts.views.snapshot import read_snapshot
from tests.conftest import PlayedDag
from tests.score_rows import score_rows
from tests.store_builder import StoreBuilder

CONF = {"cohort_id": "c", "essay_ids": ["e_essay1", "e_essay2"], "models": ["judge-a"], "replicates": 1}


def rows_of(dag: PlayedDag) -> tuple[ScoreRow, ...]:
    return read_snapshot(dag.settings, "c").rows


@pytest.fixture
def judged(store: StoreBuilder, dag: PlayedDag) -> StoreBuilder:
    """Judge two essays by two templates."""
    store.essay(1), store.essay(2)
    dag.run(CONF)
    return store


def test_today_s_wording_is_not_marked(judged: StoreBuilder, dag: PlayedDag) -> None:
    """Right after a run, no score is by a former prompt."""
    assert cells_of_former_prompts(judged.root, rows_of(dag)) == frozenset()


def test_a_changed_template_marks_its_cells(judged: StoreBuilder, dag: PlayedDag) -> None:
    """A new wording of one template marks all its cells and no others."""
    judged.write("1_raw/templates/evaluation/novelty.txt", "New wording: {{ response }} {{ boundary }}")
    found = cells_of_former_prompts(judged.root, rows_of(dag))
    assert {(cell.essay_id, cell.template_id) for cell in found} == {("e_essay1", "novelty"), ("e_essay2", "novelty")}


def test_a_changed_essay_marks_its_cells(judged: StoreBuilder, dag: PlayedDag) -> None:
    """A new text of one essay marks its cells under every template."""
    judged.write("gens/essay/e_essay1/parsed.txt", "Another text.")
    found = cells_of_former_prompts(judged.root, rows_of(dag))
    assert {(cell.essay_id, cell.template_id) for cell in found} == {
        ("e_essay1", "novelty"),
        ("e_essay1", "coherence"),
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("1_raw/templates/evaluation/novelty.txt", "{% if %}", id="a template that cannot be read"),
        pytest.param("1_raw/templates/evaluation/novelty.txt", "{{ 1 / 0 }}", id="a template that fails"),
        pytest.param("1_raw/evaluation_templates.csv", "template_id,active\nx,1\n", id="an inactive template"),
        pytest.param("1_raw/evaluation_templates.csv", "", id="a damaged table"),
        pytest.param("gens/essay/e_essay1/parsed.txt", b"\xff", id="an essay that is not text"),
    ],
)
def test_what_cannot_be_rendered_is_not_marked(
    judged: StoreBuilder, dag: PlayedDag, name: str, content: str | bytes
) -> None:
    """Without today's prompt nothing can be compared, and no mark is shown."""
    judged.write(name, content)
    assert cells_of_former_prompts(judged.root, rows_of(dag)) == frozenset()


def test_made_up_scores_are_marked_only_beside_real_ones() -> None:
    """Where all scores are made up, the page says so once instead of in each cell."""
    made_up = score_rows({("e", "t", "a"): [5.0]})
    made_up = [replace(row, provenance=Provenance("offline-judge-not-a-model/x")) for row in made_up]
    real = [replace(row, provenance=Provenance("vendor/x")) for row in score_rows({("f", "t", "a"): [5.0]})]
    assert made_up_cells(made_up) == frozenset()
    assert made_up_cells([*made_up, *real]) == {made_up[0].member.cell}
