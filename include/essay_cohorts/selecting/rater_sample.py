"""Chooses the essays that people should rate next: of all scores and all degrees of disagreement between judges.

Essays that few people have rated come first. Within these, the essays are divided by their mean score into strata
with equally many essays, and each stratum into a half on which the judges agree more and one on which they agree
less. The strata then take turns, and so do their halves. A hash with a fixed seed draws the essays and gives their
order, so that neither says anything about the scores, and the same store always gives the same sample.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2s
from itertools import pairwise

from essay_cohorts.domain import ScoreRow, is_human

SEED = 20_260_101
STRATA = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """An essay that judges have scored: `mean` and `spread` of the judges' means as parts of the scale, from 0 to 1.

    `raters` people have rated it.
    """

    essay_id: str
    mean: float
    spread: float
    raters: int


def candidates(rows: Iterable[ScoreRow], template_id: str) -> tuple[Candidate, ...]:
    """Return the essays that judges have scored under a template, by id."""
    places: dict[str, dict[str, list[float]]] = {}
    raters: dict[str, set[str]] = {}
    for row in rows:
        essay_id, template, model = row.member.cell
        if template != template_id or row.score is None:
            continue
        if is_human(model):
            raters.setdefault(essay_id, set()).add(model)
        else:
            place = (row.score - row.scale.low) / row.scale.span
            places.setdefault(essay_id, {}).setdefault(model, []).append(place)
    found = []
    for essay_id, by_judge in sorted(places.items()):
        # Rounded and sorted, because the order of the summands must not change the sample.
        means = sorted(round(sum(sorted(scores)) / len(scores), 9) for scores in by_judge.values())
        mean, spread = round(sum(means) / len(means), 9), round(means[-1] - means[0], 9)
        found.append(Candidate(essay_id=essay_id, mean=mean, spread=spread, raters=len(raters.get(essay_id, ()))))
    return tuple(found)


def choose_for_raters(found: Sequence[Candidate], size: int) -> tuple[str, ...]:
    """Return the ids of at most `size` essays, in an order that says nothing about their scores."""
    chosen: list[Candidate] = []
    for raters in sorted({each.raters for each in found}):
        chosen += _draw([each for each in found if each.raters == raters], size - len(chosen))
    return tuple(sorted((each.essay_id for each in chosen), key=_lot))


def _draw(found: Sequence[Candidate], wanted: int) -> list[Candidate]:
    if wanted >= len(found):
        return [*found]
    strata = [_halves(stratum) for stratum in _equal_parts(sorted(found, key=_by_mean), min(STRATA, max(1, wanted)))]
    chosen: list[Candidate] = []
    turn = 0
    while len(chosen) < wanted:
        round_number, position = divmod(turn, len(strata))
        halves = strata[position]
        half = halves[(round_number + position) % 2] or halves[(round_number + position + 1) % 2]
        if half:
            chosen.append(half.popleft())
        turn += 1
    return chosen


def _halves(stratum: Sequence[Candidate]) -> list[deque[Candidate]]:
    """Return the half on which the judges agree more and the other half, each in the order of the draw."""
    by_spread = sorted(stratum, key=lambda each: (each.spread, each.essay_id))
    return [deque(sorted(half, key=lambda each: _lot(each.essay_id))) for half in _equal_parts(by_spread, 2)]


def _equal_parts(found: Sequence[Candidate], parts: int) -> list[Sequence[Candidate]]:
    """Return the items in `parts` parts, whose sizes differ by one at most."""
    ends = [number * len(found) // parts for number in range(parts + 1)]
    return [found[start:end] for start, end in pairwise(ends)]


def _by_mean(each: Candidate) -> tuple[float, str]:
    return each.mean, each.essay_id


def _lot(essay_id: str) -> bytes:
    return blake2s(f"{SEED}|{essay_id}".encode()).digest()
