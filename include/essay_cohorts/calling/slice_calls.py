"""Runs the calls of one slice: limits how many are in flight, chooses the next evaluation, and ends the slice.

A fixed number of workers (asyncio tasks) share one list of rows. Each worker holds a concurrency slot, claims the
next row, asks the judge, stores the answer, and then takes the next row. A row that another process has claimed is
set aside. When all other rows are done, the rows that were set aside are tried again for a limited time, because the
other process may give up or die.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from essay_cohorts.amounts import counted
from essay_cohorts.calling.concurrency_slots import ConcurrencySlots
from essay_cohorts.calling.endpoint import Endpoint
from essay_cohorts.calling.evaluation_calls import Answered, ClaimedEvaluation, EvaluationCalls
from essay_cohorts.calling.shared_trips import SharedTrips
from essay_cohorts.calling.spending import SliceSpending, limits_of, settle_from_store
from essay_cohorts.calling.stops import RunStops
from essay_cohorts.calls import Failure, JudgeModel, Reply
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.domain import PlanRow, TaskRef
from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.ledger.budget import Budget
from essay_cohorts.ledger.callers import Caller
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slices import Slice
from essay_cohorts.progress.counter import ProgressCounter
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

if TYPE_CHECKING:
    from essay_cohorts.calling.judges import Judges

log = logging.getLogger(__name__)

# The time between two tries to claim a row that another process has claimed, in s.
_RECHECK_S = 0.5
# If a cohort may make more calls at once than _MAX_SIMULTANEOUS_STARTS, its workers start one after another,
# _START_INTERVAL_S (in s) apart over all slices, but all of them within _LONGEST_START_S. Then the replies also come
# one after another, and storing them costs a third less processor time than storing many that come at the same
# moment. And a server that refuses a burst is noticed after fewer requests.
_MAX_SIMULTANEOUS_STARTS, _START_INTERVAL_S, _LONGEST_START_S = 16, 0.01, 0.5
IN_FLIGHT_ELSEWHERE = "in_flight_elsewhere"


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceTask:
    """A slice of a planned run, the task that works on it, the judges of the catalog by id, and the counts so far."""

    settings: Settings
    planned: PlannedRun
    part: Slice
    task: TaskRef
    models: Mapping[str, JudgeModel]
    progress: ProgressCounter


@dataclass(kw_only=True)
class SliceCalls:
    """The calls of one slice, made by workers that share the rows.

    `calls` claims an evaluation for a worker and stores the answer. `error` is an error that was not caused by a
    judge, such as a full disk: it ends the slice. `replies` counts the rows that got a reply.
    """

    part: Slice
    disk: DiskThreads
    slots: ConcurrencySlots
    judges: Judges
    calls: EvaluationCalls
    ledger: Ledger
    progress: ProgressCounter
    workers: set[asyncio.Task[None]] = field(default_factory=set)
    error: Exception | None = None
    replies: int = 0
    _rows: Iterator[PlanRow] = field(default_factory=lambda: iter(()))
    _rows_lock: Lock = field(default_factory=Lock)
    _elsewhere: list[PlanRow] = field(default_factory=list)
    _others: Iterator[PlanRow] = field(default_factory=lambda: iter(()))

    def __post_init__(self) -> None:
        self._trips = SharedTrips(self.disk, self._finish_and_begin)

    @classmethod
    def open(
        cls, work: SliceTask, endpoints: Mapping[str, Endpoint], ledger: Ledger, caller: Caller, disk: DiskThreads
    ) -> SliceCalls:
        """Prepare the calls, and settle requests that a crash left unsettled although their replies are stored.

        `endpoints` has an endpoint for each connection of the judges that the slice's rows need, by its id.
        """
        root, planned = work.settings.data_root, work.planned
        store, folder = GensDataLayer.from_root(root), CohortFolder(root=root, cohort_id=planned.cohort_id)
        settle_from_store(ledger, store, planned.cohort_id)
        stops = RunStops(folder, planned, work.task, work.models)
        judges = _judges(work, endpoints, stops)
        # All slices of all runs and tries of the cohort share the slots.
        slots = ledger.slots(caller, planned.cohort_id, planned.max_concurrency)
        return cls(
            part=work.part,
            disk=disk,
            slots=ConcurrencySlots(slots, disk),
            judges=judges,
            calls=EvaluationCalls(
                store=store,
                planned=planned,
                task=work.task,
                models=work.models,
                spending=_spending(work, ledger, caller, disk, stops),
                judges=judges,
                stops=stops,
            ),
            ledger=ledger,
            progress=work.progress,
        )

    @property
    def failures(self) -> dict[str, Failure]:
        """The slice's evaluations that got no reply, and why."""
        return {gen_id: failure for gen_id, failure in self.calls.failures.items() if gen_id in self.calls.own}

    async def run(self, rows: list[PlanRow], others: Iterator[PlanRow]) -> None:
        """Call for all rows, with at most the slice's share of the calls in flight, and then for rows of `others`.

        A worker stores its reply on disk before it makes the next call. If another run has a call for a row in
        flight, this method waits for a limited time, and makes the call itself if the other run gives up. `others`
        are rows of other slices: each is tried once, and their failures are left to their slice.
        """
        self.calls.own, self._others = {row.member.gen_id for row in rows}, others
        log.info(
            "Calling judges for %s, %d at once, at %s",
            counted(len(rows), "evaluation"),
            self.part.calls_at_once,
            self.judges.addresses,
        )
        remaining, began_waiting = rows, None
        while remaining:
            remaining = await self._try_each_once(remaining)
            if self.error is not None:
                raise self.error
            if not remaining or self.calls.stops.is_ending:
                return
            if began_waiting is None:
                began_waiting = time.monotonic()
                longest = max(map(self._elsewhere_wait_s, remaining))
                awaited = counted(len(remaining), "evaluation")
                log.info("Other tasks are calling judges for %s: waiting up to %g s", awaited, longest)
            remaining = self._still_awaited(remaining, time.monotonic() - began_waiting)
            if remaining:
                await asyncio.sleep(_RECHECK_S)
            if self.calls.stops.is_ending:
                return

    def end_soon(self) -> None:
        """Send no further request from now on; `run` returns when the requests in flight have ended."""
        claimed = counted(len(self.calls.claimed), "evaluation is", "evaluations are")
        log.warning("The task must end and sends no further requests; %s in progress", claimed)
        self._send_nothing_more()

    def _send_nothing_more(self) -> None:
        """Cancel the workers without a request in flight: they may wait for long, and would then send nothing."""
        self.calls.stops.is_ending = True
        for worker in self.workers - self.judges.end_soon() - {asyncio.current_task()}:
            worker.cancel()

    def close(self) -> None:
        """Release what is still claimed. No call may be under way."""
        self.calls.release_all()

    def _still_awaited(self, rows: list[PlanRow], waited_s: float) -> list[PlanRow]:
        """Return the rows to wait for any longer; record a failure for the others."""
        given_up = [row for row in rows if waited_s > self._elsewhere_wait_s(row)]
        holders = self.ledger.holders() if given_up else {}
        for row in given_up:
            holder = holders.get(row.member.gen_id, "another task")
            message = f"{holder} was still calling for this evaluation after {self._elsewhere_wait_s(row):g} s"
            self.calls.failures[row.member.gen_id] = Failure(kind=IN_FLIGHT_ELSEWHERE, message=message)
            self.progress.count_done(row.member.llm_model_id, has_reply=False)
        return [row for row in rows if waited_s <= self._elsewhere_wait_s(row)]

    def _elsewhere_wait_s(self, row: PlanRow) -> float:
        return self.judges.elsewhere_wait_s(self.calls.models.get(row.member.llm_model_id))

    async def _try_each_once(self, rows: list[PlanRow]) -> list[PlanRow]:
        """Try each row once; return the rows that another process has claimed."""
        self._rows, self._elsewhere = iter(rows), []
        count = min(self.part.calls_at_once, len(rows))
        self.slots.prepare(count)
        self.workers = {asyncio.ensure_future(self._work(number)) for number in range(count)}
        try:
            await asyncio.wait(self.workers)
        except asyncio.CancelledError:
            for worker in self.workers:
                worker.cancel()
            await asyncio.wait(self.workers)
            raise
        finally:
            await self._trips.end()
        return [row for row in self._elsewhere if row.member.gen_id in self.calls.own]

    async def _work(self, number: int) -> None:
        """Call for one row after another, in one slot. This is one worker; `number` is its number, from 0."""
        try:
            most = self.calls.planned.max_concurrency
            if most > _MAX_SIMULTANEOUS_STARTS:
                ramp_s = min(_LONGEST_START_S, most * _START_INTERVAL_S)
                await asyncio.sleep(ramp_s * number / max(1, self.part.calls_at_once))
            async with self.slots.hold():
                claimed = await self._trips.take(None)
                while claimed is not None:
                    member, answer = claimed.row.member, await self._ask(claimed)
                    claimed = await self._trips.take((claimed, answer))
                    self.replies += isinstance(answer, Reply)
                    if member.gen_id in self.calls.own:
                        self.progress.count_done(member.llm_model_id, has_reply=not isinstance(answer, Failure))
                    await self.calls.spending.notify_settled()
        except Exception as error:  # noqa: BLE001  (`run` raises it when the calls in flight are stored)
            self.error = self.error or error
            self._send_nothing_more()

    def _finish_and_begin(
        self, answered: Sequence[Answered | None]
    ) -> Sequence[ClaimedEvaluation | Exception | None]:
        """Store the answers and begin the next evaluations; None when no row is left or the slice must end."""
        return self.calls.finish_and_begin(answered, self._next_row, self._elsewhere)

    def _next_row(self) -> PlanRow | None:
        if self.error is not None or self.calls.stops.is_ending:
            return None
        with self._rows_lock:
            return next(self._rows, None) or next(filter(self._is_asked_at_once, self._others), None)

    def _is_asked_at_once(self, row: PlanRow) -> bool:
        """Return True if a row of another slice would not wait here for its turn at the judge."""
        model = self.calls.models.get(row.member.llm_model_id)
        return model is not None and not limits_of(model).is_set and self.judges.of(model).asks_at_once(model)

    async def _ask(self, claimed: ClaimedEvaluation) -> Reply | Failure | None:
        """Return the judge's answer; without a prompt or a model, return the claim's failure, which may be None."""
        if not (claimed.prompt and claimed.model):
            return claimed.failure
        return await self.judges.of(claimed.model).ask(claimed.model, claimed.prompt, claimed.spending)


def _spending(work: SliceTask, ledger: Ledger, caller: Caller, disk: DiskThreads, stops: RunStops) -> SliceSpending:
    planned, settings = work.planned, work.settings
    budget = Budget(
        max_llm_calls=planned.max_llm_calls,
        max_cost_usd=planned.max_cost_usd,
        max_usd_per_day=settings.max_usd_per_day,
        max_usd_per_month=settings.max_usd_per_month,
    )
    limits = {model.id: limits_of(model) for model in work.models.values()}
    return SliceSpending(
        requests=ledger.requests(caller, planned.cohort_id, work.task.run, budget, limits),
        budget=budget,
        disk=disk,
        progress=work.progress,
        stop_for=stops.stop_for,
    )


def _judges(work: SliceTask, endpoints: Mapping[str, Endpoint], stops: RunStops) -> Judges:
    from essay_cohorts.calling.judges import Judges

    return Judges(
        endpoints,
        accept_offline=Catalog(root=work.settings.data_root).offline_replies_allowed(),
        calls_at_once=work.part.calls_at_once,
        stop_for=stops.stop_for,
    )
