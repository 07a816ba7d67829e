"""What the button of the plan page starts: a DagRun with the conf of the plan that is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from essay_cohorts.amounts import counted, dollars
from essay_cohorts.domain import Action
from essay_cohorts.planning.preview import PlanPreview

RUN_ID_PREFIX = "plan"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOffer:
    """A run that a viewer may start; `label` is the text of the button.

    `run_id` is the same whenever the page shows the same plan for the same conf, and Airflow refuses a second run
    with the id of a first one. Therefore a repeated request starts nothing. Airflow shows `note` beside the run.
    """

    label: str
    run_id: str
    cohort_id: str
    conf: Mapping[str, Any]
    note: str

    def as_json(self) -> dict[str, Any]:
        """Return the values that the page's script needs."""
        return {
            "run_id": self.run_id,
            "run_id_prefix": f"{RUN_ID_PREFIX}__{self.cohort_id}__",
            "cohort_id": self.cohort_id,
            "again": self.label.replace("Run this", "Run it again"),
            "conf": self.conf,
            "note": self.note,
        }


def offer_run(conf: Mapping[str, Any], preview: PlanPreview) -> RunOffer:
    """Return the offer of a run with this conf, whose plan is `preview`."""
    calls, cohort_id = _calls(preview), preview.cohort_id
    return RunOffer(
        label=f"Run this ({calls})",
        run_id=f"{RUN_ID_PREFIX}__{cohort_id}__{_digest(conf, preview)}",
        cohort_id=cohort_id,
        conf=conf,
        note=f"Cohort {cohort_id}, from the page Plan: {calls}, {preview.totals[Action.REUSE]:,} reused.",
    )


def _calls(preview: PlanPreview) -> str:
    calls, usd = preview.totals[Action.CALL], preview.estimate.usd
    if not calls:
        return "nothing to call"
    cost = "cost unknown" if usd is None else f"up to {dollars(usd)}"
    return f"{counted(calls, 'call')}, {cost}"


def _digest(conf: Mapping[str, Any], preview: PlanPreview) -> str:
    rows = [[row.template_id, row.model_id, sorted(row.counts.items())] for row in preview.rows]
    plan = [conf, preview.cohort_id, preview.essays, preview.replicates, rows, preview.joined, preview.left]
    return sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:12]
