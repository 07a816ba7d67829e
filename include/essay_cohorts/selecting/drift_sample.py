"""Chooses the essays that a judge scores again to see whether its model has changed.

Only scores that were made as one would be made today can show a change of the model: the same prompt, the same
settings and the same scale. The sample is stratified by the former scores: the essays are sorted by them and cut into
as many strata as essays are wanted, all of the same size, and one essay is drawn from each. Strata of equal width
would prefer the rare scores at the ends of the scale, and extreme scores are likely to be less extreme a second time
even if the model is the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from essay_cohorts.rubric import Scale
from essay_cohorts.selecting.essay_ranking import JudgedEvaluation

SEED = 20_260_101

OTHER_PROMPT = "with another prompt than today's"
OTHER_SETTINGS = "with other settings than today's"
OTHER_SCALE = "on another scale than today's"
NOT_RECORDED = "whose prompt was not recorded"
NO_ESSAY = "whose essay cannot be judged today"
JUDGED_AGAIN = "that a former drift cohort made"


@dataclass(frozen=True, kw_only=True, slots=True)
class Today:
    """How a judge would be asked today.

    `prompts` maps (essay, template) to the hash of the prompt, `settings` are those of a request, as text (see
    records.provenance_of), and `scales` are the scales of the templates.
    """

    prompts: Mapping[tuple[str, str], str]
    settings: str
    scales: Mapping[str, Scale]


@dataclass(frozen=True, kw_only=True, slots=True)
class FormerScores:
    """The scores that can be compared with new ones, and the number of the others by the reason in words."""

    comparable: tuple[JudgedEvaluation, ...]
    left_out: Mapping[str, int]

    def essays(self) -> dict[str, dict[str, float]]:
        """Return the mean score of each essay by template."""
        found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for each in self.comparable:
            if each.score is not None:
                found[each.cell.template_id][each.cell.essay_id].append(each.score)
        return {
            template: {essay: sum(scores) / len(scores) for essay, scores in essays.items()}
            for template, essays in found.items()
        }


def split_comparable(scores: Iterable[JudgedEvaluation], today: Today) -> FormerScores:
    """Return the scores that were made as they would be made today, and count the others by reason."""
    kept: list[JudgedEvaluation] = []
    left_out: Counter[str] = Counter()
    for each in scores:
        if reason := _reason_against(each, today):
            left_out[reason] += 1
        else:
            kept.append(each)
    return FormerScores(comparable=tuple(kept), left_out=dict(left_out))


def _reason_against(each: JudgedEvaluation, today: Today) -> str:
    prompt = today.prompts.get((each.cell.essay_id, each.cell.template_id))
    checks = {
        NO_ESSAY: prompt is None,
        NOT_RECORDED: not each.provenance.prompt_sha256,
        OTHER_PROMPT: each.provenance.prompt_sha256 != prompt,
        OTHER_SETTINGS: each.provenance.settings != today.settings,
        OTHER_SCALE: each.scale != today.scales[each.cell.template_id],
    }
    return next((reason for reason, applies in checks.items() if applies), "")


def choose_sample(
    values: Mapping[str, Mapping[str, float]], wanted: int, chosen: Collection[str] = ()
) -> tuple[str, ...]:
    """Return `wanted` essays that have a value under each template, stratified by their values.

    `values` has the essays' values by template. Essays that were `chosen` before stay, even if they are more than
    wanted, because their new scores are paid for. The same arguments give the same essays.
    """
    places = _places(values)
    kept = [essay for essay in chosen if essay in places]
    others = sorted(places.keys() - set(kept))
    draw = Random(SEED)  # noqa: S311  (a sample, the same every time)
    # Shuffled first, because the order of essays with the same score must not follow their ids.
    draw.shuffle(others)
    others.sort(key=places.__getitem__)
    missing = min(max(wanted - len(kept), 0), len(others))
    edges = [stratum * len(others) // missing for stratum in range(missing)] + [len(others)]
    drawn = (others[draw.randrange(low, high)] for low, high in pairwise(edges))
    return (*kept, *drawn)


def _places(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the place of each essay that all templates have: the mean of its places from 0 to 1 under each of them.

    Places are averaged and not scores, because two templates are two scales.
    """
    if not values:
        return {}
    shared = set.intersection(*(set(essays) for essays in values.values()))
    by_template = [_places_under({essay: essays[essay] for essay in shared}) for essays in values.values()]
    return {essay: sum(places[essay] for places in by_template) / len(by_template) for essay in shared}


def _places_under(scores: Mapping[str, float]) -> dict[str, float]:
    ordered: Sequence[float] = sorted(scores.values())
    first = {score: number for number, score in reversed(list(enumerate(ordered)))}
    last = {score: number for number, score in enumerate(ordered)}
    return {essay: (first[score] + last[score]) / 2 / len(ordered) for essay, score in scores.items()}
