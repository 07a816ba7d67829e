"""How a cohort's evaluations are cut into slices, one mapped task instance each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from essay_cohorts.domain import Action, PlanRow
from essay_cohorts.errors import Problem

Kind = Literal["reuse", "todo"]

# A task instance costs 0.35 to 0.5 s whatever it does, so single gen_ids are mapped only while they are few.
SINGLES = 8
# Below this many calls a second process costs more start-up (importing the LLM client) than it saves.
CALLS_WORTH_A_SLICE = 25
# One process has so many calls under way with ease; and what a server grants, one finds out sooner than several.
CALLS_AT_ONCE_WORTH_A_SLICE = 16
# One log line each: a log that a person can still open. 20,000 reused ones make 10 slices of 4 task instances.
REUSED_IN_A_SLICE = 2_000
# Airflow's [core] max_map_length, above which expand() fails.
MAX_SLICES = 1_024


# Which actions of a plan the positions of a slice count; those of a refused reply are in no slice.
_ACTIONS: Mapping[Kind, tuple[Action, ...]] = {"reuse": (Action.REUSE,), "todo": (Action.PARSE, Action.CALL)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Positions [start, stop) among the evaluation rows of one kind in the run's plan, and a label for the grid.

    `calls_at_once` bounds the slice's calls in flight.
    """

    kind: Kind
    start: int
    stop: int
    label: str
    calls_at_once: int = 0

    @property
    def name(self) -> str:
        """The slice among those of its run, as a file's name: `todo-0-25`."""
        return f"{self.kind}-{self.start}-{self.stop}"

    def to_xcom(self) -> dict[str, Any]:
        """Return the JSON form that XCom carries."""
        return asdict(self)


def rows_of_kind(evaluations: Sequence[PlanRow], kind: Kind) -> list[PlanRow]:
    """Return the rows among which slices of this kind count their positions, in the plan's order."""
    return [row for row in evaluations if row.action in _ACTIONS[kind]]


def cut_slices(
    *,
    reuse_ids: Sequence[str],
    todo_ids: Sequence[str],
    batch_size: int | None,
    max_concurrency: int,
    processes: int,
) -> tuple[Slice, ...]:
    """Slices over all of both lists, those to do first; reused gen_ids get slices of their own.

    `batch_size` None chooses: one gen_id a slice while there are few, else about one slice a process (`processes` of
    them can run at once). However they run, no more than `max_concurrency` calls are in flight over all slices.
    """
    reuse = _cut("reuse", reuse_ids, batch_size or _reuse_size(len(reuse_ids)))
    todo = _cut("todo", todo_ids, batch_size or _todo_size(len(todo_ids), max_concurrency, processes))
    share = max(1, max_concurrency // max(1, len(todo)))
    # When a cleared run has more slices than before, Airflow maps a task's further instances only once its first one
    # is ready to run; a reused slice in front would be skipped, and the calls behind it would never be made.
    return (*(replace(part, calls_at_once=share) for part in todo), *reuse)


def check_batch_size(batch_size: int | None, *, reuse: int, todo: int) -> tuple[Problem, ...]:
    """Return a problem when an explicit `batch_size` makes more slices than Airflow maps."""
    if batch_size is None:
        return ()
    slices = _pieces(reuse, batch_size) + _pieces(todo, batch_size)
    if slices <= MAX_SLICES:
        return ()
    # One to spare: cut apart, the two lists make up to one slice more than their sum does.
    enough = _pieces(reuse + todo, MAX_SLICES - 1)
    return (
        Problem(
            place="conf: batch_size",
            finding=f"{batch_size} makes {slices:,} slices; Airflow maps {MAX_SLICES:,} at most.",
            next_step=f"Write {enough} or more, or leave it out.",
        ),
    )


def _pieces(total: int, size: int) -> int:
    return -(-total // size)


def _reuse_size(total: int) -> int:
    return 1 if total <= SINGLES else REUSED_IN_A_SLICE


def _todo_size(total: int, max_concurrency: int, processes: int) -> int:
    if total <= SINGLES:
        return 1
    worth = max(1, max_concurrency // CALLS_AT_ONCE_WORTH_A_SLICE)
    return _pieces(total, min(processes, worth, _pieces(total, CALLS_WORTH_A_SLICE)))


def _cut(kind: Kind, gen_ids: Sequence[str], size: int) -> list[Slice]:
    slices = []
    for start in range(0, len(gen_ids), size):
        part = gen_ids[start : start + size]
        label = part[0] if len(part) == 1 else f"{part[0]} .. {part[-1]} ({len(part)})"
        slices.append(Slice(kind=kind, start=start, stop=start + len(part), label=label))
    return slices
