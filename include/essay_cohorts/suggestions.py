"""Suggestions in error messages for misspelt words."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


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
