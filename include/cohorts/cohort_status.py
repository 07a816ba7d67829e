"""How far a cohort's members have come, by the store as it is now: what `status` and `skipped` tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from include.cohorts.cohort_folder import CohortFolder, cohort_ids
from include.cohorts.errors import BadInput, Problem, raise_if_any
from include.cohorts.gens_data_layer import GensDataLayer
from include.cohorts.member_states import MemberState, look_at
from include.cohorts.model import Cell, Member, Stage
from include.cohorts.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class CellStatus:
    """A cell's members, counted by state."""

    cell: Cell
    counts: dict[MemberState, int]


def cohort_status(settings: Settings, cohort_id: str) -> tuple[CellStatus, ...]:
    """The cells of the cohort in membership order. BadInput when there is no such cohort."""
    store = GensDataLayer.from_root(settings.data_root)
    cells: dict[Cell, Counter[MemberState]] = {}
    for member in evaluations_of(settings, cohort_id):
        cells.setdefault(member.cell, Counter())[look_at(store, member.gen_id).state] += 1
    return tuple(
        CellStatus(cell=cell, counts={state: counts[state] for state in MemberState})
        for cell, counts in cells.items()
    )


def skipped_ids(settings: Settings, cohort_id: str) -> tuple[str, ...]:
    """The members with a parsed.txt, in membership order: what a run skips."""
    store = GensDataLayer.from_root(settings.data_root)
    members = evaluations_of(settings, cohort_id)
    return tuple(m.gen_id for m in members if store.parsed_text(Stage.EVALUATION, m.gen_id) is not None)


def evaluations_of(settings: Settings, cohort_id: str) -> tuple[Member, ...]:
    """The cohort's evaluations in membership order. BadInput when there is no such cohort."""
    members = CohortFolder(root=settings.data_root, cohort_id=cohort_id).members()
    raise_if_any(members.problems)
    if not members.value:
        finding = f"there is no cohort {cohort_id} with members."
        known = cohort_ids(settings.data_root)
        next_step = f"Cohorts here: {', '.join(known[-10:])}." if known else "No cohort was planned here yet."
        raise BadInput([Problem(place="cohorts", finding=finding, next_step=next_step)])
    return tuple(member for member in members.value if member.stage is Stage.EVALUATION)
