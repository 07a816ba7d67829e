"""Reads a judge's former scores, and how the same judge would be asked today, for `cohorts drift`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from essay_cohorts.calls import JudgeModel
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.domain import Essay, Template
from essay_cohorts.ids import is_drift_cohort
from essay_cohorts.planning.inputs import read_essay
from essay_cohorts.planning.rendered_prompts import render_prompts
from essay_cohorts.records import provenance_of
from essay_cohorts.selecting.aggregated_scores import AGGREGATED, read_aggregated
from essay_cohorts.selecting.drift_sample import JUDGED_AGAIN, FormerScores, Today, split_comparable
from essay_cohorts.selecting.essay_ranking import JudgedEvaluation
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.snapshot import read_snapshot


def former_scores(
    settings: Settings, model: JudgeModel, templates: Sequence[Template], cohort_id: str | None, drift_cohort: str
) -> FormerScores:
    """Return the judge's scores under these templates that are comparable with new ones.

    The scores are those of a cohort, or else those in aggregated_scores.csv without the scores of drift cohorts,
    which are new scores themselves. Scores of `drift_cohort`, which is to be compared, never count. BadInput when the
    cohort or the file does not exist, or when a template cannot be rendered.
    """
    known = {template.template_id for template in templates}
    scores = [
        each
        for each in _read(settings, cohort_id)
        if each.score is not None
        and each.origin_cohort_id != drift_cohort
        and each.cell.model_id == model.id
        and each.cell.template_id in known
    ]
    older = [each for each in scores if cohort_id is not None or not is_drift_cohort(each.origin_cohort_id)]
    found = split_comparable(older, _today(settings, model, templates, older))
    again = Counter({JUDGED_AGAIN: len(scores) - len(older)})
    return FormerScores(comparable=found.comparable, left_out=dict(Counter(found.left_out) + again))


def _read(settings: Settings, cohort_id: str | None) -> Sequence[JudgedEvaluation]:
    root = settings.data_root
    if cohort_id is None:
        return read_aggregated(root / AGGREGATED, made_up_counts=Catalog(root=root).offline_replies_allowed())
    return [
        JudgedEvaluation(
            gen_id=row.member.gen_id,
            cell=row.member.cell,
            score=row.score,
            provenance=row.provenance,
            scale=row.scale,
            origin_cohort_id=row.origin_cohort_id,
        )
        for row in read_snapshot(settings, cohort_id).rows
    ]


def _today(
    settings: Settings, model: JudgeModel, templates: Sequence[Template], scores: Sequence[JudgedEvaluation]
) -> Today:
    store = GensDataLayer.from_root(settings.data_root)
    found = [read_essay(store, essay, "") for essay in dict.fromkeys(each.cell.essay_id for each in scores)]
    prompts = render_prompts(templates, [essay for essay in found if isinstance(essay, Essay)])
    request = json.loads(model.request) if model.request else None
    sent = {"model": model.model, "temperature": model.temperature, "max_tokens": model.max_tokens}
    return Today(
        prompts={place: prompt.sha256 for place, prompt in prompts.items()},
        settings=provenance_of({**sent, "request": request}).settings,
        scales={template.template_id: template.rubric.scale for template in templates},
    )
