"""Reads the scores of judges together with those of people, with their criteria, as rows of one kind.

The store itself is read, because aggregated_scores.csv has no criteria, and people's scores must count at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from essay_cohorts.domain import Cell, Member, Outcome, Progress, ScoreRow, Stage, StoredEvaluation, is_human, is_id
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.settings import Settings
from essay_cohorts.store.evaluation_state import read_state
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_state import shown_state
from essay_cohorts.views.snapshot import read_snapshot


def scores_with_people(
    settings: Settings, cohort_id: str | None = None, *, template_id: str | None = None
) -> list[ScoreRow]:
    """Return the scored evaluations of judges, and those of people for the same essays and templates.

    The judges' are those of a cohort, or without one of the whole store. With `template_id` only this template
    counts, whether people have rated it or not; without it, only essays and templates that people have rated.
    BadInput if there is no such cohort.
    """
    store = GensDataLayer.from_root(settings.data_root)
    if cohort_id is None:
        stored = _scored(store, filter(is_id, store.folder_names(Stage.ESSAY)))
        people = [found for found in stored if is_human(found.cell.model_id)]
        rated = {found.cell[:2] for found in people}
        judges = [
            found
            for found in stored
            if not is_human(found.cell.model_id)
            and (found.cell[:2] in rated if template_id is None else found.cell.template_id == template_id)
        ]
        return _rows(store, [*judges, *_of_template(people, template_id)])
    rows = [row for row in read_snapshot(settings, cohort_id).rows if row.score is not None]
    templates = {row.member.template_id for row in rows}
    stored = _scored(store, {row.member.parent_gen_id for row in rows})
    people = [found for found in stored if is_human(found.cell.model_id) and found.cell.template_id in templates]
    rated = {found.cell[:2] for found in people}
    wanted = (row for row in rows if template_id == row.member.template_id or row.member.cell[:2] in rated)
    judged = [row for row in wanted if template_id in (None, row.member.template_id)]
    return [*judged, *_rows(store, _of_template(people, template_id))]


def people_rows(store: GensDataLayer, evaluations: Mapping[str, Cell]) -> list[ScoreRow]:
    """Return the scores that people have given among these evaluations (gen_id -> cell)."""
    stored = [
        StoredEvaluation(gen_id=gen_id, cell=cell, replicate=1, origin_cohort_id="")
        for gen_id, cell in evaluations.items()
        if is_human(cell.model_id)
    ]
    return _rows(store, stored)


def _scored(store: GensDataLayer, essay_ids: Iterable[str]) -> list[StoredEvaluation]:
    found = store.scan_evaluations(set(essay_ids)).evaluations
    return [each for each in found if each.progress is Progress.PARSED]


def _of_template(stored: Iterable[StoredEvaluation], template_id: str | None) -> list[StoredEvaluation]:
    return [each for each in stored if template_id in (None, each.cell.template_id)]


def _rows(store: GensDataLayer, stored: Iterable[StoredEvaluation]) -> list[ScoreRow]:
    def read(found: StoredEvaluation) -> Iterator[ScoreRow]:
        state = read_state(store.evaluation(found.gen_id))
        score = shown_state(state).score
        if score is not None:
            yield ScoreRow(
                member=_member(found),
                outcome=Outcome.SCORED,
                score=score,
                reason="",
                origin_cohort_id=found.origin_cohort_id,
                cost_usd=None,
                called=False,
                provenance=state.reply.provenance,
                scale=state.verdict.rubric.scale,
                criteria=state.verdict.criteria,
            )

    return [row for _, rows in parallel_map(lambda each: list(read(each)), stored) for row in rows]


def _member(found: StoredEvaluation) -> Member:
    return Member(
        stage=Stage.EVALUATION,
        gen_id=found.gen_id,
        cohort_id=found.origin_cohort_id,
        parent_gen_id=found.cell.essay_id,
        combo_id="",
        template_id=found.cell.template_id,
        llm_model_id=found.cell.model_id,
        replicate=found.replicate,
    )
