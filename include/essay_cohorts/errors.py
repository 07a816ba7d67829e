"""What can go wrong, as values and as exceptions whose text is meant to be read by a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One mistake in an input: where it is, what was found, what to do about it."""

    place: str
    finding: str
    next_step: str

    def __str__(self) -> str:
        text = f"{self.place}: {self.finding} {self.next_step}"
        # JSON can carry lone surrogates; a terminal or a log that is given one fails instead of telling the mistake.
        return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked(Generic[T]):
    """A value read from an input together with every problem met on the way."""

    value: T
    problems: tuple[Problem, ...] = ()


class CohortError(Exception):
    """Base of all errors of this package; `str(error)` is the whole message for a person."""


class BadInput(CohortError):
    """An input is wrong. Carries all problems at once.

    Raised before anything is written or paid for, or with `under_way` when an input was changed after that.
    """

    def __init__(self, problems: Iterable[Problem], *, under_way: bool = False) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        comfort = "" if under_way else "; nothing was written and nothing was called."
        super().__init__(f"{head} in the input{comfort}\n{lines}")


class StoreError(CohortError):
    """The data root cannot be read or written as needed."""


class RepliesMissing(CohortError):
    """Some evaluations of a slice got no reply; each of them has its failure.json."""


class CohortIncomplete(CohortError):
    """The run's members do not all hold a score; names those that do not."""


def raise_if_any(problems: Iterable[Problem], *, under_way: bool = False) -> None:
    """Raise BadInput with all `problems`; returns when there is none."""
    found = tuple(problems)
    if found:
        raise BadInput(found, under_way=under_way)
