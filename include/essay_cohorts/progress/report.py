"""Reports how far the calls of a slice are, while they are made: in the task's log, and in a file for the pages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from essay_cohorts.errors import StoreError
from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.progress.counter import ProgressCounter
from essay_cohorts.progress.counts import progress_lines
from essay_cohorts.progress.records import SliceProgress

log = logging.getLogger(__name__)

# The file is written each _INTERVAL_S, in s, and the log gets its lines with every second file.
_INTERVAL_S, _INTERVALS_A_LINE = 2.5, 2


class ProgressReport:
    """Reports the counts of `counter` until the block ends; an asynchronous context manager.

    `write` gets the progress to store, in a thread of `disk`. The file is written at the start and at the end, too.
    The log gets its lines at the end, too, and none at all if no request was sent.
    """

    def __init__(
        self,
        counter: ProgressCounter,
        write: Callable[[SliceProgress], None],
        disk: DiskThreads,
        *,
        slice_name: str,
        try_number: int,
        interval_s: float = _INTERVAL_S,
    ) -> None:
        self._counter, self._write, self._disk, self._interval_s = counter, write, disk, interval_s
        self._slice_name, self._try_number = slice_name, try_number
        self._can_write = True
        self._reporting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._store(is_over=False)
        self._reporting = asyncio.create_task(self._report())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reporting is not None:
            self._reporting.cancel()
            await asyncio.wait({self._reporting})
        self._log()
        await self._store(is_over=True)

    async def _report(self) -> None:
        intervals = 0
        while True:
            await asyncio.sleep(self._interval_s)
            intervals += 1
            if intervals % _INTERVALS_A_LINE == 0:
                self._log()
            await self._store(is_over=False)
            self._counter.sample()

    def _log(self) -> None:
        if self._counter.has_requests:
            for line in progress_lines(self._counter.counts()):
                log.info("%s", line)

    async def _store(self, *, is_over: bool) -> None:
        """Store the counts. A disk that refuses them ends the reports, and not the calls."""
        if not self._can_write:
            return
        progress = SliceProgress(
            slice_name=self._slice_name,
            try_number=self._try_number,
            is_over=is_over,
            by_judge=self._counter.counts(),
        )
        try:
            await self._disk.run(self._write, progress)
        except StoreError as error:
            self._can_write = False
            log.warning("The cohort page will not show the progress of this task: %s", error)
