"""Agreement of judges with people, and of people with each other, for the overall score and each criterion.

The unit is the essay: a judge's value is the mean of its replicates, that of all judges the mean of the judges'
means, and people's value the mean of the raters' scores. Each rater is also compared with the other raters: that is
how well people agree, and a judge that agrees with people as well as a rater does cannot be asked for more. Templates
are never pooled, and under a template only scores on its judges' scale count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from essay_cohorts.domain import ScoreRow, is_human
from essay_cohorts.rubric import Scale, most_used_scales
from essay_cohorts.statistics.agreement import estimate_alpha
from essay_cohorts.statistics.bootstrap import (
    ONE_ESSAY,
    Estimate,
    difference_range,
    estimate_mean,
    without_interval,
)
from essay_cohorts.statistics.concordance import NO_SHARED, Confusion, confusion, estimate_kappa, estimate_rho
from essay_cohorts.statistics.frame import cohort_frame, essay_values, rows_of_criterion, scale_of

NO_TWO_RATERS = "needs two raters of the same essay"


@dataclass(frozen=True, kw_only=True, slots=True)
class HumanComparison:
    """A judge or a rater compared with people, over the `essays` that both have scored.

    `model_id` is the judge, or human- and the rater's id, whose reference are the other raters; None stands for all
    judges. `criterion` is "" for the overall score. `bias` is the mean of (judge - people). `confusion` is None where
    the scale has many points.
    """

    template_id: str
    criterion: str
    model_id: str | None
    essays: int
    alpha: Estimate
    kappa: Estimate
    rho: Estimate
    bias: Estimate
    confusion: Confusion | None

    @property
    def is_rater(self) -> bool:
        """True for a person who is compared with the other raters."""
        return self.model_id is not None and is_human(self.model_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class RaterAgreement:
    """Krippendorff's alpha between all `raters` of a template, for a criterion or ("") the overall score."""

    template_id: str
    criterion: str
    raters: int
    alpha: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class HumanAgreement:
    """Judges compared with people, raters compared with the other raters, and the agreement between all raters.

    `on_other_scales` counts the scores by template that do not count, because they are not on the judges' scale.
    """

    judges: tuple[HumanComparison, ...]
    raters: tuple[HumanComparison, ...]
    between_raters: tuple[RaterAgreement, ...]
    on_other_scales: dict[str, int]


def human_agreement(rows: Iterable[ScoreRow]) -> HumanAgreement:
    """Return the agreement under each template that people have rated, templates by id."""
    found = _sorted(row for row in rows if row.score is not None)
    found, dropped = _on_one_scale(found)
    rated = {row.member.template_id for row in found if is_human(row.member.llm_model_id)}
    judges: list[HumanComparison] = []
    raters: list[HumanComparison] = []
    between: list[RaterAgreement] = []
    for template_id in sorted(rated):
        of_template = [row for row in found if row.member.template_id == template_id]
        for criterion in ["", *_criteria(of_template)]:
            frame = cohort_frame(rows_of_criterion(of_template, criterion) if criterion else of_template)
            by_people = frame["model"].map(is_human)
            people = frame[by_people & frame["score"].notna()]
            judges += _judges(template_id, criterion, frame[~by_people], people)
            if people["model"].nunique() > 1:
                raters += _raters(template_id, criterion, people)
                between.append(_between(template_id, criterion, people))
    return HumanAgreement(
        judges=tuple(judges), raters=tuple(raters), between_raters=tuple(between), on_other_scales=dropped
    )


def _sorted(rows: Iterable[ScoreRow]) -> list[ScoreRow]:
    """Return the rows in an order that does not depend on the order in which they were read."""
    return sorted(rows, key=lambda row: (row.member.template_id, row.member.llm_model_id, row.member.gen_id))


def _on_one_scale(rows: Sequence[ScoreRow]) -> tuple[list[ScoreRow], dict[str, int]]:
    """Return the rows on the scale of their template's judges, and how many others each template has.

    Where no judge has scored, the scale of most ratings counts.
    """
    used: dict[bool, Counter[tuple[str, Scale]]] = {True: Counter(), False: Counter()}
    for row in rows:
        used[is_human(row.member.llm_model_id)][row.member.template_id, row.scale] += 1
    scales = most_used_scales(used[True]) | most_used_scales(used[False])
    kept = [row for row in rows if row.scale == scales[row.member.template_id]]
    dropped = Counter(row.member.template_id for row in rows if row.scale != scales[row.member.template_id])
    return kept, dict(dropped)


def _criteria(rows: Iterable[ScoreRow]) -> list[str]:
    """Return the criteria that people have rated, in the order of the rubric."""
    rated = (row.criteria for row in rows if is_human(row.member.llm_model_id))
    return list(dict.fromkeys(each.criterion for criteria in rated for each in criteria if each.score is not None))


def _judges(
    template_id: str, criterion: str, judges: pd.DataFrame, people: pd.DataFrame
) -> Iterator[HumanComparison]:
    """Yield the comparison of all judges, and then of each judge, if there is more than one."""
    reference, scale = essay_values(people), scale_of(people)
    models = list(dict.fromkeys(judges["model"]))
    if len(models) != 1:
        yield _compare((template_id, criterion, None), essay_values(judges), reference, scale)
    for model_id in models:
        values = essay_values(judges[judges["model"] == model_id])
        yield _compare((template_id, criterion, str(model_id)), values, reference, scale)


def _raters(template_id: str, criterion: str, people: pd.DataFrame) -> Iterator[HumanComparison]:
    for rater in dict.fromkeys(people["model"]):
        mine = people["model"] == rater
        values, others = essay_values(people[mine]), essay_values(people[~mine])
        yield _compare((template_id, criterion, str(rater)), values, others, scale_of(people))


def _compare(
    names: tuple[str, str, str | None], judge: pd.Series[float], people: pd.Series[float], scale: Scale
) -> HumanComparison:
    template_id, criterion, model_id = names
    both = pd.concat([judge, people], axis=1, keys=["judge", "people"]).dropna().sort_index()
    first, second = (both[name].to_numpy(dtype=float) for name in ("judge", "people"))
    bias = estimate_mean(np.round(first - second, 9), difference_range(scale))
    return HumanComparison(
        template_id=template_id,
        criterion=criterion,
        model_id=model_id,
        essays=len(both),
        alpha=_alpha(both),
        kappa=estimate_kappa(first, second),
        rho=estimate_rho(first, second),
        bias=bias if len(both) else without_interval(None, 0, NO_SHARED),
        confusion=confusion(second, first, scale),
    )


def _alpha(both: pd.DataFrame) -> Estimate:
    essays = np.tile(both.index.to_numpy(), 2)
    scores = np.concatenate([both["judge"], both["people"]])
    alpha = estimate_alpha(pd.DataFrame({"essay": essays, "score": scores}).astype({"score": float}), NO_SHARED)
    # One essay says nothing about agreement, although the formula gives a number.
    return replace(alpha, value=None) if alpha.note == ONE_ESSAY else alpha


def _between(template_id: str, criterion: str, people: pd.DataFrame) -> RaterAgreement:
    raters, alpha = int(people["model"].nunique()), estimate_alpha(people, NO_TWO_RATERS)
    return RaterAgreement(template_id=template_id, criterion=criterion, raters=raters, alpha=alpha)
