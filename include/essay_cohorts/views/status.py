"""Reads from the store how far a cohort's members have come, for the commands `status` and `skipped`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from essay_cohorts.calls import Spending
from essay_cohorts.domain import Cell, Member, RunRef, Stage
from essay_cohorts.errors import BadInput, Problem, raise_if_any
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder, LatestRun, cohort_ids
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.account import CohortAccount, account_of
from essay_cohorts.views.evaluation_state import MemberState, read_evaluation_state


@dataclass(frozen=True, kw_only=True, slots=True)
class CellStatus:
    """A cell's members, counted by state."""

    cell: Cell
    counts: dict[MemberState, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeStatus:
    """The members of all cells of a template and a model, counted by state."""

    template_id: str
    model_id: str
    counts: dict[MemberState, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortStatus:
    """A cohort's cells in membership order, and its account."""

    cells: tuple[CellStatus, ...]
    account: CohortAccount

    @property
    def total(self) -> int:
        """The number of all evaluations."""
        return sum(sum(cell.counts.values()) for cell in self.cells)

    @property
    def judges(self) -> tuple[JudgeStatus, ...]:
        """The totals by template and model, in membership order."""
        found: dict[tuple[str, str], Counter[MemberState]] = {}
        for cell in self.cells:
            found.setdefault((cell.cell.template_id, cell.cell.model_id), Counter()).update(cell.counts)
        return tuple(
            JudgeStatus(template_id=template_id, model_id=model_id, counts=dict(counts))
            for (template_id, model_id), counts in found.items()
        )

    @property
    def unfinished(self) -> int:
        """The number of evaluations without a score."""
        return self.total - sum(cell.counts[MemberState.SCORED] for cell in self.cells)


def cohort_status(settings: Settings, cohort_id: str) -> CohortStatus:
    """Return the states of the cohort's evaluations by cell. BadInput if there is no such cohort."""
    store = GensDataLayer.from_root(settings.data_root)
    folder = CohortFolder(root=settings.data_root, cohort_id=cohort_id)
    last_run = last_run_of(folder.latest_run())
    callers = Ledger.for_reading(settings).holders()
    cells: dict[Cell, Counter[MemberState]] = {}
    origins: list[str] = []
    for member in evaluations_of(settings, cohort_id):
        evaluation = store.evaluation(member.gen_id)
        state = read_evaluation_state(evaluation, callers, last_run).state
        cells.setdefault(member.cell, Counter())[state] += 1
        if state is MemberState.SCORED:
            metadata = evaluation.metadata()
            origins.append(metadata.origin_cohort_id if metadata else "")
    return CohortStatus(
        cells=tuple(
            CellStatus(cell=cell, counts={state: counts[state] for state in MemberState})
            for cell, counts in cells.items()
        ),
        account=account_of(cohort_id, origins, *spending_of(settings, cohort_id, last_run)),
    )


def last_run_of(latest: LatestRun | None) -> RunRef | None:
    """Return the cohort's last run; None if the cohort has no run, or its run.json does not name the run."""
    return latest.run if latest and latest.run.run_id else None


def spending_of(settings: Settings, cohort_id: str, last_run: RunRef | None) -> tuple[Spending, Spending]:
    """Return the spending of all runs of a cohort, and of its last run; without a last run the latter is zero."""
    all_runs, last = Ledger.for_reading(settings).spendings(cohort_id, None, last_run)
    return all_runs, last if last_run else Spending()


def skipped_ids(settings: Settings, cohort_id: str) -> tuple[str, ...]:
    """Return the members that a run skips, in membership order: those with a parsed.txt that is not empty."""
    store = GensDataLayer.from_root(settings.data_root)
    members = evaluations_of(settings, cohort_id)
    return tuple(member.gen_id for member in members if store.evaluation(member.gen_id).is_parsed())


def evaluations_of(settings: Settings, cohort_id: str) -> tuple[Member, ...]:
    """Return the cohort's evaluations in membership order. BadInput if there is no such cohort."""
    members = CohortFolder(root=settings.data_root, cohort_id=cohort_id).members()
    raise_if_any(members.problems)
    if not members.value:
        finding = f"there is no cohort {cohort_id} with members."
        known = cohort_ids(settings.data_root)
        plan = f"No cohort was planned here yet. Plan one: cohorts plan --cohort {cohort_id} --write"
        next_step = f"Cohorts here: {', '.join(known[-10:])}." if known else plan
        raise BadInput([Problem(place="cohorts", finding=finding, next_step=next_step)])
    return tuple(member for member in members.value if member.stage is Stage.EVALUATION)
