"""Divides a cohort's evaluations into slices; each slice is one mapped task instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from essay_cohorts.domain import Action, PlanRow
from essay_cohorts.errors import Problem

Kind = Literal["reuse", "todo"]

# Up to this many evaluations, each one gets its own slice. More slices would be slow, because every task instance
# costs 0.35 to 0.5 s, even if it does nothing.
MAX_SINGLE_SLICES = 8
# With fewer calls per slice, another process costs more time to start (to import the LLM client) than it saves.
MIN_CALLS_PER_SLICE = 25
# One process handles this many concurrent calls easily, and one process finds the rate limit of a server sooner than
# several processes.
MIN_CONCURRENCY_PER_SLICE = 16
# Each reused evaluation is one line in the slice's log, and a person must be able to open that log. 20,000 reused
# evaluations make 10 slices of 4 task instances each.
REUSED_PER_SLICE = 2_000
# Airflow's [core] max_map_length, above which expand() fails.
MAX_SLICES = 1_024


# The actions of the plan rows in each kind of slice. Rows with a refused reply (Action.UNSCORED) are in no slice.
_ACTIONS: Mapping[Kind, tuple[Action, ...]] = {"reuse": (Action.REUSE,), "todo": (Action.PARSE, Action.CALL)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A range of the plan's evaluation rows of one kind: positions from `start` up to, but not including, `stop`.

    `label` is shown in Airflow's grid. `calls_at_once` limits the slice's calls in flight.
    """

    kind: Kind
    start: int
    stop: int
    label: str
    calls_at_once: int = 0

    @property
    def name(self) -> str:
        """The slice's unique name in its run, used as a file name: `todo-0-25`."""
        return f"{self.kind}-{self.start}-{self.stop}"

    def to_xcom(self) -> dict[str, Any]:
        """Return the JSON form that XCom carries."""
        return asdict(self)


def rows_of_kind(evaluations: Sequence[PlanRow], kind: Kind) -> list[PlanRow]:
    """Return the plan's rows of one kind, in the plan's order: a slice's `start` and `stop` are positions in them."""
    return [row for row in evaluations if row.action in _ACTIONS[kind]]


def make_slices(
    *,
    reuse_ids: Sequence[str],
    todo_ids: Sequence[str],
    batch_size: int | None,
    max_concurrency: int,
    processes: int,
) -> tuple[Slice, ...]:
    """Divide both lists into slices of their own: first the slices to do, then the reused ones.

    When `batch_size` is None, each gen_id gets its own slice if there are only a few; otherwise there is about one
    slice per process (`processes` can run at the same time). `max_concurrency` is divided among the slices to do, and
    each of them may make at least one call at a time.
    """
    reuse = _split("reuse", reuse_ids, batch_size or _reuse_size(len(reuse_ids)))
    todo = _split("todo", todo_ids, batch_size or _todo_size(len(todo_ids), max_concurrency, processes))
    share = max(1, max_concurrency // max(1, len(todo)))
    # The slices to do must come first. When a cleared run has more slices than before, Airflow creates the additional
    # task instances only when the first instance of the task is ready to run. A reused slice in first place would be
    # skipped, so the calls of the additional slices would never be made.
    return (*(replace(part, calls_at_once=share) for part in todo), *reuse)


def check_batch_size(batch_size: int | None, *, reuse: int, todo: int) -> tuple[Problem, ...]:
    """Return a problem when an explicit `batch_size` makes more slices than Airflow can map."""
    if batch_size is None:
        return ()
    slices = _ceil_div(reuse, batch_size) + _ceil_div(todo, batch_size)
    if slices <= MAX_SLICES:
        return ()
    # MAX_SLICES - 1, because two separate lists can make one slice more than one list of the same total length.
    enough = _ceil_div(reuse + todo, MAX_SLICES - 1)
    return (
        Problem(
            place="conf: batch_size",
            finding=f"{batch_size} makes {slices:,} slices; Airflow maps {MAX_SLICES:,} at most.",
            next_step=f"Write {enough} or more, or leave batch_size out.",
        ),
    )


def _ceil_div(total: int, size: int) -> int:
    return -(-total // size)


def _reuse_size(total: int) -> int:
    return 1 if total <= MAX_SINGLE_SLICES else REUSED_PER_SLICE


def _todo_size(total: int, max_concurrency: int, processes: int) -> int:
    if total <= MAX_SINGLE_SLICES:
        return 1
    by_concurrency = max(1, max_concurrency // MIN_CONCURRENCY_PER_SLICE)
    by_calls = _ceil_div(total, MIN_CALLS_PER_SLICE)
    return _ceil_div(total, min(processes, by_concurrency, by_calls))


def _split(kind: Kind, gen_ids: Sequence[str], size: int) -> list[Slice]:
    slices = []
    for start in range(0, len(gen_ids), size):
        part = gen_ids[start : start + size]
        label = part[0] if len(part) == 1 else f"{part[0]} .. {part[-1]} ({len(part)})"
        slices.append(Slice(kind=kind, start=start, stop=start + len(part), label=label))
    return slices
