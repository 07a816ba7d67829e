"""Reads a snapshot of a cohort from the store: the content of the cohort page and of its downloads.

Every score is in the `parsed.txt` of its evaluation. If scores.csv has the score and parsed.txt has not changed since
scores.csv was written, only the time of parsed.txt is read, not its content. For 100,000 scores this saves one
second.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from essay_cohorts.calls import Spending
from essay_cohorts.domain import Action, CriterionScore, Member, Outcome, PlanRow, RunRef, ScoreRow
from essay_cohorts.errors import StoreError
from essay_cohorts.files.clock import is_surely_older, now
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.planning.selection_file import INCLUDE_EXISTING
from essay_cohorts.provenance import UNKNOWN
from essay_cohorts.records import count_of, text_of, texts_of
from essay_cohorts.rubric import DEFAULT_RUBRIC, Rubric, Scale, criterion_key, rubric_of
from essay_cohorts.settings import Settings
from essay_cohorts.statistics.mixed import NO_MIXED_FIGURES, MixedFigures, find_mixed_figures_by_cell
from essay_cohorts.store.cohort_folder import CohortFolder, LatestRun
from essay_cohorts.store.evaluation_state import read_state
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.store.scores_csv import KnownScore
from essay_cohorts.views.account import CohortAccount, account_of, cost_of, origins_of
from essay_cohorts.views.coverage import CellCoverage, rows_by_cell, summarise_by_cell
from essay_cohorts.views.evaluation_state import NOT_CALLED, Callers, MemberState, shown_state
from essay_cohorts.views.status import evaluations_of, last_run_of, spending_of

log = logging.getLogger(__name__)

_OUTCOMES = {
    MemberState.SCORED: Outcome.SCORED,
    MemberState.UNSCORED: Outcome.UNSCORED,
    MemberState.FAILED: Outcome.FAILED,
    MemberState.DEFERRED: Outcome.DEFERRED,
    MemberState.IN_FLIGHT: Outcome.IN_FLIGHT_ELSEWHERE,
    MemberState.REPLIED: Outcome.NOT_RUN,
    MemberState.NO_REPLY: Outcome.NOT_RUN,
    MemberState.MADE_UP: Outcome.NOT_RUN,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortSnapshot:
    """A cohort's evaluations, one row each in membership order, and the facts about the whole cohort.

    A score is `reused` if it existed before the last run of the cohort. `seen_at` is the time when the store was
    read. `mixed` has the figures that mix scores of different provenance. `replied` has the evaluations
    whose reply waits for scoring; their outcome is `not_run`, as in scores.csv.
    """

    cohort_id: str
    manifest: Mapping[str, Any]
    rows: tuple[ScoreRow, ...]
    cells: tuple[CellCoverage, ...]
    counts: Mapping[Outcome, int]
    last_run: RunRef | None
    account: CohortAccount
    seen_at: str
    mixed: MixedFigures = NO_MIXED_FIGURES
    replied: frozenset[str] = frozenset()

    @property
    def scales(self) -> dict[str, Scale]:
        """The scale of each template of the last plan."""
        return {template_id: rubric.scale for template_id, rubric in rubrics_of(self.manifest).items()}

    @property
    def criteria(self) -> tuple[str, ...]:
        """The criteria of the templates of the last plan, each once."""
        names = [name for rubric in rubrics_of(self.manifest).values() for name in rubric.criteria]
        return tuple({criterion_key(name): name for name in reversed(names)}.values())[::-1]

    @property
    def created_at(self) -> str:
        """The time of the cohort's first plan; "" if the manifest does not record this time."""
        return text_of(self.manifest, "created_at")

    @property
    def replicates(self) -> int:
        """The number of evaluations that each cell should hold."""
        return count_of(self.manifest, "replicates") or max((cell.members for cell in self.cells), default=1)

    @property
    def includes_existing(self) -> bool:
        """True in backfill mode."""
        return INCLUDE_EXISTING in texts_of(self.manifest, "directives")

    @property
    def spending(self) -> Spending:
        """What all runs have spent."""
        return self.account.all_runs

    @property
    def cost_usd(self) -> float | None:
        """The known cost of all runs; None if there were requests and none of them has a known price."""
        return cost_of(self.spending)

    @property
    def last_run_usd(self) -> float | None:
        """The known cost of the last run; None if it made requests and none of them has a known price."""
        return cost_of(self.account.last_run)

    @property
    def with_score(self) -> int:
        """The number of evaluations that have a score."""
        return self.counts[Outcome.REUSED] + self.counts[Outcome.SCORED]

    @property
    def missing(self) -> int:
        """The number of evaluations that a run can still call for: not run, or deferred by a budget."""
        return self.counts[Outcome.NOT_RUN] + self.counts[Outcome.DEFERRED] - len(self.replied)


def read_snapshot(settings: Settings, cohort_id: str) -> CohortSnapshot:
    """Return the cohort as the store holds it now. BadInput if there is no such cohort, or its membership is damaged.

    If the plan of the last run is needed but cannot be read, no score counts as reused.
    """
    folder = CohortFolder(root=settings.data_root, cohort_id=cohort_id)
    members = evaluations_of(settings, cohort_id)
    latest, known, manifest = folder.latest_run(), folder.known_scores(), folder.manifest()
    reused = _reused(folder, latest, known)
    store = GensDataLayer.from_root(settings.data_root)
    last_run = last_run_of(latest)
    rubrics = rubrics_of(manifest)
    criteria = folder.known_criteria() if any(rubric.criteria for rubric in rubrics.values()) else {}
    reader = _RowReader(
        store=store,
        rubrics=rubrics,
        criteria=criteria,
        callers=cache(Ledger.for_reading(settings).holders),
        last_run=last_run,
        planned_at=latest.planned_at if latest else 0,
    )
    rows = tuple(reader.row(member, known.get(member.gen_id), reused=member.gen_id in reused) for member in members)
    replied, cells = frozenset(reader.replied), rows_by_cell(rows)
    return CohortSnapshot(
        cohort_id=cohort_id,
        manifest=manifest,
        rows=rows,
        cells=summarise_by_cell(cells, replied),
        counts=Counter(row.outcome for row in rows),
        last_run=last_run,
        account=account_of(cohort_id, origins_of(rows), *spending_of(settings, cohort_id, last_run)),
        seen_at=now(),
        mixed=find_mixed_figures_by_cell(cells),
        replied=replied,
    )


def _reused(folder: CohortFolder, latest: LatestRun | None, known: Mapping[str, KnownScore]) -> frozenset[str]:
    """Return the evaluations that the last run reuses.

    Before that run has written its scores.csv, its plan says which evaluations these are.
    """
    scores_at = next(iter(known.values())).as_of if known else 0
    if latest is None or scores_at > latest.planned_at:
        return frozenset(gen_id for gen_id, score in known.items() if score.reused)
    try:
        plan: Sequence[PlanRow] = folder.plan(latest.key)
    except StoreError as error:
        # The run itself will fail with this error, but what the store holds can be shown anyway.
        log.warning("%s", error)
        return frozenset()
    return frozenset(row.member.gen_id for row in plan if row.action is Action.REUSE)


def rubrics_of(manifest: Mapping[str, Any]) -> dict[str, Rubric]:
    """Return the rubric of each template of a cohort's last plan, which the manifest records with its parser."""
    parsers = manifest.get("parsers")
    return {
        template_id: rubric_of(str(parser[1]))
        for template_id, parser in (parsers.items() if isinstance(parsers, dict) else ())
        if isinstance(parser, list) and len(parser) > 1
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _RowReader:
    """Reads the rows of a cohort.

    `rubrics` has the rubric of each template in the cohort's last plan, `criteria` the content of its criteria.csv.
    `callers` reads which tasks call a judge now, when the first evaluation without a known score needs it.
    `planned_at` is the time of that plan, in ns since 1970. `replied` collects the evaluations whose reply waits for
    scoring.
    """

    store: GensDataLayer
    rubrics: Mapping[str, Rubric]
    criteria: Mapping[str, tuple[CriterionScore, ...]]
    callers: Callable[[], Callers]
    last_run: RunRef | None
    planned_at: int
    replied: set[str] = field(default_factory=set)

    def row(self, member: Member, known: KnownScore | None, *, reused: bool) -> ScoreRow:
        store = self.store
        rubric = self.rubrics.get(member.template_id, DEFAULT_RUBRIC)
        if (
            known is not None
            and known.score is not None
            and (store.made_up_counts or not known.provenance.is_made_up)
        ):
            written_at = store.parsed_at(member.gen_id)
            # `as_of` is the time when the run began to read the scores that it wrote to scores.csv.
            if self._may_trust(known, rubric) and written_at is not None and is_surely_older(written_at, known.as_of):
                outcome = Outcome.REUSED if reused else Outcome.SCORED
                return _known_row(member, known, outcome, self.criteria.get(member.gen_id, ()))
        elif (
            known is not None
            and member.gen_id not in self.callers()
            and store.evaluation(member.gen_id).is_only_seeded()
        ):
            # Listing the folder once replaces opening five files. The row's metadata is still right, because a
            # metadata.json is never rewritten.
            return _known_row(member, known, Outcome.NOT_RUN)
        evaluation = store.evaluation(member.gen_id)
        found = read_state(evaluation)
        shown = shown_state(found, self.callers().get(member.gen_id), self.last_run, rubric)
        outcome, metadata = _OUTCOMES[shown.state], evaluation.metadata()
        if shown.state is MemberState.REPLIED:
            self.replied.add(member.gen_id)
        return ScoreRow(
            member=member,
            outcome=Outcome.REUSED if reused and outcome is Outcome.SCORED else outcome,
            score=shown.score,
            reason=shown.reason,
            origin_cohort_id=metadata.origin_cohort_id if metadata else "",
            cost_usd=found.reply.cost_usd,
            called=False,
            provenance=found.reply.provenance,
            scale=rubric.scale,
            criteria=found.verdict.criteria if shown.score is not None else (),
        )

    def _may_trust(self, known: KnownScore, rubric: Rubric) -> bool:
        """Return False for a row of scores.csv that is older than the plan, if its template has a rubric."""
        return (known.as_of > self.planned_at or rubric == DEFAULT_RUBRIC) and known.scale == rubric.scale


def _known_row(
    member: Member, known: KnownScore, outcome: Outcome, criteria: tuple[CriterionScore, ...] = ()
) -> ScoreRow:
    """Return a row from scores.csv, without reading the evaluation's files."""
    is_scored = outcome is not Outcome.NOT_RUN
    return ScoreRow(
        member=member,
        outcome=outcome,
        score=known.score if is_scored else None,
        reason="" if is_scored else NOT_CALLED,
        origin_cohort_id=known.origin_cohort_id,
        cost_usd=known.cost_usd if is_scored else None,
        called=False,
        provenance=known.provenance if is_scored else UNKNOWN,
        scale=known.scale,
        criteria=criteria,
    )
