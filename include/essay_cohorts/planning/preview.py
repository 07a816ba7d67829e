"""Preview of a plan: what a run would do right now, as the cohort page shows it. The preview writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from essay_cohorts.domain import Action, RunRef
from essay_cohorts.judging.prices import Estimate
from essay_cohorts.planning.prepare import prepare
from essay_cohorts.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewRow:
    """One template with one model: the number of evaluations for each action, and the estimated cost of the calls."""

    template_id: str
    model_id: str
    counts: Mapping[Action, int]
    estimate: Estimate

    @property
    def members(self) -> int:
        """Count all evaluations of this template by this model."""
        return sum(self.counts.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanPreview:
    """The plan in numbers.

    `connections` has the connection of each model; it is empty when every model has the default one. `estimate`
    covers all calls of the plan. `edited` counts the reused evaluations that were made with another prompt or model
    than today's.
    """

    cohort_id: str
    essays: int
    replicates: int
    rows: tuple[PreviewRow, ...]
    connections: Mapping[str, str]
    totals: Mapping[Action, int]
    estimate: Estimate
    edited: int
    joined: tuple[str, ...]
    left: tuple[str, ...]
    warnings: tuple[str, ...]


def preview_plan(settings: Settings, conf: Mapping[str, Any]) -> PlanPreview:
    """Plan what a trigger with `conf` would do.

    Raises BadInput with every problem of the conf and of the inputs.
    """
    prepared = prepare(settings, conf, RunRef("cohort_page", "preview"), by_index=True)
    counts: dict[tuple[str, str], Counter[Action]] = {}
    for row in prepared.plan.evaluations:
        counts.setdefault((row.member.template_id, row.member.llm_model_id), Counter())[row.action] += 1
    return PlanPreview(
        cohort_id=prepared.inputs.cohort_id,
        essays=len(prepared.inputs.essays),
        replicates=prepared.inputs.replicates,
        rows=tuple(
            PreviewRow(template_id=judge[0], model_id=judge[1], counts=of_judge, estimate=prepared.estimates[judge])
            for judge, of_judge in counts.items()
        ),
        connections=prepared.inputs.connections,
        totals=Counter(row.action for row in prepared.plan.evaluations),
        estimate=prepared.estimate,
        edited=prepared.edited,
        joined=prepared.plan.joined,
        left=prepared.plan.left,
        warnings=prepared.warnings,
    )
