"""Reads how far the calls of a cohort's last run are while it is under way, in about a millisecond."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from essay_cohorts.domain import RunRef
from essay_cohorts.progress.counts import CallCounts, seconds_left, total_of
from essay_cohorts.progress.records import SliceProgress, read_progress
from essay_cohorts.records import count_of
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder

_NS_PER_S = 1_000_000_000
# A calling task writes its file every 2.5 s. A task whose file is older than this, in s, is late or dead.
_LATE_S = 15.0
# A run of which nothing was written for this long, in s, is not under way. Airflow needs 300 s to notice a dead task.
_QUIET_S = 330.0


class Phase(StrEnum):
    """What a run does now."""

    PLANNED = "planned"
    CALLING = "calling"
    WAITING = "waiting"
    SCORING = "scoring"
    ENDED = "ended"

    @property
    def words(self) -> str:
        """The phase as a person reads it."""
        return _WORDS[self]


_WORDS = {
    Phase.PLANNED: "The first call has not been made yet.",
    Phase.CALLING: "Judges are being called.",
    Phase.WAITING: "No task is calling judges now.",
    Phase.SCORING: "All calls are done; the replies are being scored.",
    Phase.ENDED: "The run has ended.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunProgress:
    """The calls of a run by judge; `quiet_s` is the time since a calling task wrote its counts."""

    run: RunRef
    phase: Phase
    by_judge: Mapping[str, CallCounts]
    quiet_s: float

    @property
    def total(self) -> CallCounts:
        """The counts of all judges together."""
        return total_of(self.by_judge.values())

    @property
    def seconds_left(self) -> float | None:
        """The time until the calls are done, in s; None if it is not known."""
        return seconds_left(self.by_judge)

    def seconds_left_of(self, judge: str) -> float | None:
        """Return the time until the calls to one judge are done, in s; None if it is not known."""
        return seconds_left({judge: self.by_judge[judge]})


def progress_of(
    settings: Settings, cohort_id: str, watched: str = "", clock: Callable[[], int] = time.time_ns
) -> RunProgress | None:
    """Return the progress of the cohort's last run while it is under way; None if it has no calls, or has ended.

    A run also counts as ended when nothing is heard of it. `watched` is the run_id of a run whose progress is wanted
    even after its end. `clock` returns the time in ns since 1970. Only small files of the run are read.
    """
    folder = CohortFolder(root=settings.data_root, cohort_id=cohort_id)
    latest = folder.latest_run()
    if latest is None:
        return None
    record = folder.run(latest.key)
    # A run that was deleted and triggered again under the same name finds the files of the former one.
    tries = [
        each for each in read_progress(folder.progress_folder(latest.key)) if each.written_at >= latest.planned_at
    ]
    changed_at = max((each.written_at for each in tries), default=latest.planned_at)
    quiet_s = max(0.0, (clock() - changed_at) / _NS_PER_S)
    has_ended = quiet_s > _QUIET_S or folder.scores_written_at() > changed_at
    if has_ended and latest.run.run_id != watched:
        return None
    by_judge = _counts_by_judge(record, _latest_tries(tries, clock()))
    total = total_of(by_judge.values())
    if not total.calls:
        return None
    phase = Phase.ENDED if has_ended else _phase(tries, total, clock())
    return RunProgress(run=latest.run, phase=phase, by_judge=by_judge, quiet_s=quiet_s)


def _latest_tries(tries: Iterable[SliceProgress], now: int) -> list[SliceProgress]:
    """Return each slice's tries as one: the state of the latest, and the requests and costs of all."""
    by_slice: dict[str, list[SliceProgress]] = {}
    for each in tries:
        by_slice.setdefault(each.slice_name, []).append(each)
    return [_merged(sorted(group, key=lambda each: each.try_number), now) for group in by_slice.values()]


def _merged(tries: list[SliceProgress], now: int) -> SliceProgress:
    """Return the latest try, with the requests and costs of the former ones, and no rate unless it is calling."""
    latest, calling = tries[-1], _is_calling(tries[-1], now)
    by_judge = {}
    for judge, counts in latest.by_judge.items():
        former = total_of(each.by_judge.get(judge, CallCounts()) for each in tries[:-1])
        spent = replace(former, calls=0, done=0, failed=0, per_second=0.0)
        by_judge[judge] = spent + (counts if calling else replace(counts, per_second=0.0))
    return replace(latest, by_judge=by_judge)


def _is_calling(progress: SliceProgress, now: int) -> bool:
    return not progress.is_over and now - progress.written_at < _LATE_S * _NS_PER_S


def _counts_by_judge(record: Mapping[str, Any], slices: Iterable[SliceProgress]) -> dict[str, CallCounts]:
    """Return the counts by judge; the record of the run knows the calls of slices that have not begun, too."""
    counted: dict[str, CallCounts] = {}
    for part in slices:
        for judge, counts in part.by_judge.items():
            counted[judge] = counted.get(judge, CallCounts()) + counts
    planned = record.get("calls_by_judge")
    if not isinstance(planned, dict):
        return counted
    by_judge = {}
    for judge in planned:
        counts, calls = counted.get(judge, CallCounts()), count_of(planned, judge)
        by_judge[judge] = replace(counts, calls=calls, done=min(calls, counts.done))
    return by_judge


def _phase(tries: Sequence[SliceProgress], total: CallCounts, now: int) -> Phase:
    if any(_is_calling(each, now) for each in tries):
        return Phase.CALLING
    if not total.left:
        return Phase.SCORING
    return Phase.WAITING if tries else Phase.PLANNED
