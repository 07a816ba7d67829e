"""Builders of score rows for tests that need no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from essay_cohorts.domain import Cell, Member, Outcome, ScoreRow, Stage
from essay_cohorts.provenance import UNKNOWN, Provenance

CELL = Cell("e_1", "novelty", "judge-a")


def score_row(
    score: float | None = None,
    cell: Cell = CELL,
    *,
    outcome: Outcome | None = None,
    gen_id: str = "v_1",
    cost: float | None = None,
    called: bool = False,
    provenance: Provenance = UNKNOWN,
) -> ScoreRow:
    """Return a row of this cell. Without `outcome` the row is scored if it has a score, and else not run."""
    member = Member(
        stage=Stage.EVALUATION,
        gen_id=gen_id,
        cohort_id="c",
        parent_gen_id=cell.essay_id,
        combo_id="combo",
        template_id=cell.template_id,
        llm_model_id=cell.model_id,
        replicate=1,
    )
    return ScoreRow(
        member=member,
        outcome=outcome or (Outcome.NOT_RUN if score is None else Outcome.SCORED),
        score=score,
        reason="",
        origin_cohort_id="c",
        cost_usd=cost,
        called=called,
        provenance=provenance,
    )


def score_rows(scores: Mapping[tuple[str, str, str], Sequence[float | None]]) -> list[ScoreRow]:
    """Return rows for scores by (essay, template, model); each score becomes a row with its own gen_id."""
    return [
        score_row(score, Cell(*cell), gen_id=f"v_{'_'.join(cell)}_{number}")
        for cell, found in scores.items()
        for number, score in enumerate(found, start=1)
    ]
