"""Summarises a run: reads the outcome of each member from the store, writes the result files, and judges the run."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from essay_cohorts.amounts import counted, dollars
from essay_cohorts.backfill.outcomes import FoundEvaluation, result_of
from essay_cohorts.backfill.summaries import Totals, count_totals
from essay_cohorts.calling.spending import settle_from_store
from essay_cohorts.calls import Spending
from essay_cohorts.domain import Action, Outcome, PlanRow, RunRef, ScoreRow
from essay_cohorts.errors import CohortIncomplete
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import evaluation_rows, needs_call
from essay_cohorts.settings import Settings
from essay_cohorts.statistics.frame import cohort_frame
from essay_cohorts.statistics.pivot import pivot_scores
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.evaluation_state import read_state
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_state import NO_CALLERS, Callers

log = logging.getLogger(__name__)

_NAMED_IN_MESSAGE = 20
_NEXT_STEPS = {
    Outcome.FAILED: "fix the cause and clear the run (or trigger the same conf again): only these are called",
    Outcome.IN_FLIGHT_ELSEWHERE: "wait for the other run to finish, then clear this run: it uses the other's replies",
    Outcome.DEFERRED: "trigger the cohort again when the cap that the reason names is higher: only these are called",
    Outcome.NOT_RUN: "fix the cause and clear the run (or trigger the same conf again): only these are worked on",
    Outcome.UNSCORED: "do what the reason says, or read raw.txt in gens/evaluation/<gen_id>; trigger with "
    "retry_unscored true to ask again, or set max_unscored to this number to accept them",
}


# A run with one of these outcomes is red; unscored evaluations count only beyond `max_unscored`.
_RED = (Outcome.FAILED, Outcome.DEFERRED, Outcome.IN_FLIGHT_ELSEWHERE, Outcome.NOT_RUN, Outcome.UNSCORED)
_WORDS = {Outcome.DEFERRED: "deferred: budget"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The totals of a run, the paths of its results, and its verdict.

    `message` describes the verdict. The run is red unless `complete`.
    """

    cohort_id: str
    totals: Totals
    complete: bool
    message: str
    scores_csv: str
    report_html: str

    def raise_unless_complete(self) -> None:
        """Raise CohortIncomplete with the message if the run must be red."""
        if not self.complete:
            raise CohortIncomplete(self.message)

    def to_xcom(self) -> dict[str, Any]:
        """Return the JSON form that XCom carries."""
        return {
            "cohort_id": self.cohort_id,
            **asdict(self.totals),
            "scores_csv": self.scores_csv,
            "report_html": self.report_html,
            "message": self.message,
        }


def summarise_cohort(settings: Settings, planned: PlannedRun | None, run: RunRef) -> Summary:
    """Summarise the plan of this run, write scores.csv and score_pivot.csv, and judge the run.

    CohortIncomplete if this run has no plan; the plan of another run is never used instead. A dry run writes nothing.
    """
    if planned is None:
        msg = (
            "Planning failed, so nothing was called: see the log of plan_cohort. If an earlier version planned this "
            "run, trigger the same conf again: replies that are stored are used."
        )
        raise CohortIncomplete(msg)
    folder = CohortFolder(root=settings.data_root, cohort_id=planned.cohort_id)
    rows = evaluation_rows(settings, planned)
    if planned.dry_run:
        return _describe_dry_run(folder, planned)
    store, ledger = GensDataLayer.from_root(settings.data_root), Ledger.of(settings)
    settle_from_store(ledger, store, planned.cohort_id)
    began = time.time_ns()
    scores = score_rows(store, rows, planned, ledger.holders())
    totals = count_totals(scores, planned=planned.planned)
    folder.write_scores(scores, began)
    folder.write_criteria(scores)
    pivot = pivot_scores(cohort_frame(scores))
    folder.write_score_pivot(pivot.columns, pivot.rows)
    sys.audit("essay_cohorts.in_summarise")
    problem = _describe_problems(scores, totals, planned.max_unscored)
    counts = " + ".join(f"{totals.count(outcome)} {outcome.words}" for outcome in Outcome)
    message = (
        f"{totals.planned} planned = {counts}; {_describe_spending(totals, ledger.spending(planned.cohort_id, run))}"
    )
    log.info("Cohort %s: %s", folder.cohort_id, message)
    log.info("Scores: %s", folder.scores_csv)
    return Summary(
        cohort_id=folder.cohort_id,
        totals=totals,
        complete=not problem,
        message=f"{message}\n{problem}" if problem else message,
        scores_csv=str(folder.scores_csv),
        report_html=str(folder.report_html),
    )


def _describe_spending(totals: Totals, spending: Spending) -> str:
    """Return the number and the cost of the replies, and of the requests that cost something without a reply."""
    parts = [f"{totals.called} called ({dollars(totals.cost_usd)})"]
    if spending.calls > totals.called:
        parts.append(counted(spending.calls, "request"))
    lost = spending.settled_usd - totals.cost_usd if totals.cost_usd is not None else 0.0
    if round(lost, 6) > 0:
        parts.append(f"{dollars(lost)} for requests without a reply")
    if spending.unknown:
        most = f" (at most {dollars(spending.unknown_usd)})" if spending.unknown_usd else ""
        requests = counted(spending.unknown, "request")
        parts.append(f"{requests} may have been paid for without a reply{most}: see cohorts verify")
    return ", ".join(parts)


def score_rows(
    store: GensDataLayer, rows: Sequence[PlanRow], planned: PlannedRun, callers: Callers = NO_CALLERS
) -> list[ScoreRow]:
    """Return the row of each planned evaluation: its outcome and score, read from the store as it is now."""
    return [_score_row(store, row, planned, callers) for row in rows]


def _score_row(store: GensDataLayer, row: PlanRow, planned: PlannedRun, callers: Callers) -> ScoreRow:
    evaluation = store.evaluation(row.member.gen_id)
    state, metadata = read_state(evaluation), evaluation.metadata()
    needed = needs_call(evaluation, state, row, planned)
    found = FoundEvaluation(
        state=state,
        has_metadata=metadata is not None,
        needs_call=needed,
        caller=callers.get(row.member.gen_id) if needed else None,
    )
    result = result_of(row, found, planned)
    return ScoreRow(
        member=row.member,
        outcome=result.outcome,
        score=result.score,
        reason=result.reason,
        origin_cohort_id=metadata.origin_cohort_id if metadata else "",
        cost_usd=state.reply.cost_usd,
        called=state.reply.run == planned.run,
        provenance=state.reply.provenance,
        scale=planned.rubric_of(row.member.template_id).scale,
        criteria=state.verdict.criteria if result.score is not None else (),
    )


def _describe_problems(scores: Sequence[ScoreRow], totals: Totals, max_unscored: int) -> str:
    """Return which evaluations have no score, why, and what to do next; "" if the run may be green."""
    parts = []
    if not totals.adds_up:
        planned = counted(totals.planned, "planned evaluation")
        parts.append(f"The counts do not add up: {counted(len(scores), 'row')} for {planned}.")
    for outcome in _RED:
        rows = [row for row in scores if row.outcome is outcome]
        if not rows or (outcome is Outcome.UNSCORED and len(rows) <= max_unscored):
            continue
        parts.append(
            f"{len(rows)} {_WORDS.get(outcome, outcome.words)}:\n"
            + "\n".join(_named(rows))
            + f"\n  Next: {_NEXT_STEPS[outcome]}."
        )
    return "\n".join(parts)


def _named(rows: Sequence[ScoreRow]) -> list[str]:
    """Return one line per reason, with the evaluations that have this reason."""
    shown: dict[str, list[str]] = {}
    for row in rows[:_NAMED_IN_MESSAGE]:
        shown.setdefault(row.reason, []).append(row.member.gen_id)
    lines = [f"  {', '.join(gen_ids)}: {reason}" for reason, gen_ids in shown.items()]
    if len(rows) > _NAMED_IN_MESSAGE:
        lines.append(f"  and {len(rows) - _NAMED_IN_MESSAGE} more: see scores.csv")
    return lines


def _describe_dry_run(folder: CohortFolder, planned: PlannedRun) -> Summary:
    actions = ", ".join(f"{planned.count(action)} {action.value}" for action in Action)
    message = f"Dry run: {planned.planned} planned = {actions}. Nothing was seeded and nothing was called."
    log.info("%s", message)
    nothing: dict[str, int] = {outcome.value: 0 for outcome in Outcome}
    totals = Totals(planned=planned.planned, called=0, cost_usd=0.0, **nothing)
    return Summary(
        cohort_id=folder.cohort_id,
        totals=totals,
        complete=True,
        message=message,
        scores_csv="",
        report_html="",
    )
