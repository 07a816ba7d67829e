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
# With fewer calls at once, another process is not worth its start. On several machines it sooner is, because it has
# cores of its own.
MIN_CONCURRENCY_PER_SLICE = 16
MIN_CONCURRENCY_ON_SEVERAL_MACHINES = 8
# On several machines without a limit of tasks at once, as many slices as Airflow's own limit is by default.
_UNLIMITED_TASKS = 32
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """What a deployment can run at once.

    `processes` is what one machine can, `tasks` what Airflow lets run (0: no limit), on all its machines together if
    there are `several_machines`. `wanted` is the number of slices that the operator set (DD_SLICES), None if not set.
    """

    processes: int
    tasks: int = 0
    several_machines: bool = False
    wanted: int | None = None

    def slices(self, calls_at_once: int) -> int:
        """Return the most slices that are worth their start when so many calls may be in flight."""
        if self.wanted is not None:
            return max(1, min(self.wanted, calls_at_once))
        if self.several_machines:
            most, least_calls = self.tasks or _UNLIMITED_TASKS, MIN_CONCURRENCY_ON_SEVERAL_MACHINES
        else:
            most, least_calls = min(self.processes, self.tasks or self.processes), MIN_CONCURRENCY_PER_SLICE
        return max(1, min(most, calls_at_once // least_calls))


def rows_of_kind(evaluations: Sequence[PlanRow], kind: Kind) -> list[PlanRow]:
    """Return the plan's rows of one kind, in the plan's order: a slice's `start` and `stop` are positions in them."""
    return [row for row in evaluations if row.action in _ACTIONS[kind]]


def make_slices(
    *,
    reuse_ids: Sequence[str],
    todo_ids: Sequence[str],
    batch_size: int | None,
    max_concurrency: int,
    capacity: Capacity,
    calls_at_once: int | None = None,
) -> tuple[Slice, ...]:
    """Divide both lists into slices of their own: first the slices to do, then the reused ones.

    When `batch_size` is None, each gen_id gets its own slice if there are only a few; otherwise there is about one
    slice per process that the `capacity` has. `max_concurrency` is divided among the slices to do, and each of them
    may make at least one call at a time. `calls_at_once` is how many calls the models allow, if that is fewer.
    """
    reuse = _split("reuse", reuse_ids, batch_size or _reuse_size(len(reuse_ids)))
    most = capacity.slices(min(max_concurrency, calls_at_once or max_concurrency))
    todo = _split("todo", todo_ids, batch_size or _todo_size(len(todo_ids), most))
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


def _todo_size(total: int, most_slices: int) -> int:
    if total <= MAX_SINGLE_SLICES:
        return 1
    return _ceil_div(total, min(most_slices, _ceil_div(total, MIN_CALLS_PER_SLICE)))


def _split(kind: Kind, gen_ids: Sequence[str], size: int) -> list[Slice]:
    slices = []
    for start in range(0, len(gen_ids), size):
        part = gen_ids[start : start + size]
        label = part[0] if len(part) == 1 else f"{part[0]} .. {part[-1]} ({len(part)})"
        slices.append(Slice(kind=kind, start=start, stop=start + len(part), label=label))
    return slices
