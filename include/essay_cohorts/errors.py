"""Errors, as values and as exceptions. Their texts are written for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One mistake in an input: its place, the finding, and the next step."""

    place: str
    finding: str
    next_step: str

    def __str__(self) -> str:
        text = f"{self.place}: {self.finding} {self.next_step}"
        # JSON can hold lone surrogates. A terminal or a log would fail on one instead of showing the mistake.
        return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked(Generic[T]):
    """A value that was read from an input, together with all problems that were found in it."""

    value: T
    problems: tuple[Problem, ...] = ()


class CohortError(Exception):
    """The base of all errors of this package. `str(error)` is the whole message for a person."""


class BadInput(CohortError):
    """An input is wrong. The error holds all its problems.

    It is raised before anything is written or paid for; or later, with `under_way`, if an input changed during a run.
    """

    def __init__(self, problems: Iterable[Problem], *, under_way: bool = False) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        no_harm = "" if under_way else "; nothing was written and nothing was called."
        super().__init__(f"{head} in the input{no_harm}\n{lines}")


class StoreError(CohortError):
    """The data root cannot be read or written as needed."""


class RepliesMissing(CohortError):
    """Some evaluations of a slice got no reply. Each of them has a failure.json."""


class CohortIncomplete(CohortError):
    """Some members of the run have no score. The message names them."""


def raise_if_any(problems: Iterable[Problem], *, under_way: bool = False) -> None:
    """Raise BadInput with all `problems`, unless there are none."""
    found = tuple(problems)
    if found:
        raise BadInput(found, under_way=under_way)


def closest(word: str, options: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the option most similar to `word`, ignoring case; None if no similarity reaches `cutoff` (0 to 1)."""
    by_lower = {option.lower(): option for option in options}
    found = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def choose_from(word: str, options: Iterable[str]) -> str:
    """Return a sentence that helps to correct `word`: the closest option, else all of them."""
    known = list(options)
    guess = closest(word, known)
    if guess is not None:
        return f'Did you mean "{guess}"?'
    return f"Known: {', '.join(known)}." if known else "There is none to choose from."
