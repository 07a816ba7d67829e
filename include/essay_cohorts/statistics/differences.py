"""Differences between two cohorts, two templates or two judges on the same essays, second minus first.

Cells are paired first: the same essay and judge, and the same template unless templates are compared. Then the pairs
of each essay are averaged, and then the essays. Templates are never averaged, so two cohorts or two judges have a
difference under each template.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from essay_cohorts.rubric import Scale
from essay_cohorts.statistics.bootstrap import Estimate, Values, difference_range, estimate_mean, without_interval
from essay_cohorts.statistics.frame import cell_means, scale_of

NOTHING_SHARED = "no essay was scored in both in the same way"
TWO_SCALES = "the two are on different scales"


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedDifference:
    """The mean of (second - first) over shared essays, from `pairs` pairs of cells in all.

    `template_id` is None if two templates are compared. `model_id` is None if all judges count that both sides have.
    On each side `scored` of `planned` evaluations have a score, whether they are paired or not.
    """

    first: str
    second: str
    template_id: str | None
    model_id: str | None
    first_scored: int
    first_planned: int
    second_scored: int
    second_planned: int
    pairs: int
    difference: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class EssayPair:
    """An essay's value on either side."""

    essay_id: str
    first: float
    second: float

    @property
    def difference(self) -> float:
        """The second value minus the first."""
        return round(self.second - self.first, 9)


@dataclass(frozen=True, kw_only=True, slots=True)
class SideBySide:
    """Two judges under one template, or two templates, with the values of each essay that both have scored.

    `template_id` is None if two templates are compared. `difference` is the mean of (second - first). `correlation`
    is Pearson's r; it is None for fewer than three essays, or if one side has the same value for all of them.
    """

    first: str
    second: str
    template_id: str | None
    scale: Scale
    essays: tuple[EssayPair, ...]
    difference: Estimate
    correlation: float | None


def judges_side_by_side(first: str, second: str, frame: pd.DataFrame) -> SideBySide:
    """Return two judges compared on the essays that both scored; `frame` holds one template."""
    sides = [frame[frame["model"] == each].assign(model="") for each in (first, second)]
    template_id = str(frame["template"].iloc[0]) if len(frame) else ""
    return _side_by_side(first, second, template_id, *sides)


def templates_side_by_side(first: str, second: str, frame: pd.DataFrame) -> SideBySide:
    """Return two templates compared on the essays that the same judge scored under both.

    There are no essays if the two are on different scales.
    """
    return _side_by_side(first, second, None, *(frame[frame["template"] == each] for each in (first, second)))


def between_cohorts(
    first: str, second: str, frame: pd.DataFrame, other: pd.DataFrame
) -> tuple[PairedDifference, ...]:
    """Return the difference under each template of either cohort, in row order: by all judges, then by each judge."""
    found = []
    for template in dict.fromkeys([*frame["template"], *other["template"]]):
        sides = frame[frame["template"] == template], other[other["template"] == template]
        found += _by_judges(first, second, template, *sides)
    return tuple(found)


def between_templates(first: str, second: str, frame: pd.DataFrame) -> tuple[PairedDifference, ...]:
    """Return the difference by all judges that scored an essay under both templates, then by each judge.

    Two templates may ask for different things, so their scores are compared only on request; two scales never are.
    """
    sides = (frame[frame["template"] == each] for each in (first, second))
    return tuple(_by_judges(first, second, None, *sides))


def between_models(first: str, second: str, frame: pd.DataFrame) -> tuple[PairedDifference, ...]:
    """Return the difference under each template that either model judged, in row order."""
    found = []
    for template_id, rows in frame[frame["model"].isin([first, second])].groupby("template", sort=False):
        # The judges are compared, so the pairing must not require the same judge.
        sides = (rows[rows["model"] == each].assign(model="") for each in (first, second))
        found.append(_difference(first, second, str(template_id), None, *sides))
    return tuple(found)


def _by_judges(
    first: str, second: str, template: str | None, here: pd.DataFrame, there: pd.DataFrame
) -> list[PairedDifference]:
    models = dict.fromkeys([*here["model"], *there["model"]])
    found = [_difference(first, second, template, None, here, there)]
    for model in models if len(models) > 1 else ():
        sides = here[here["model"] == model], there[there["model"] == model]
        found.append(_difference(first, second, template, str(model), *sides))
    return found


def _difference(
    first: str, second: str, template: str | None, model: str | None, here: pd.DataFrame, there: pd.DataFrame
) -> PairedDifference:
    gaps = _paired_cells(here, there)
    estimate = _estimate_difference(gaps, here, there)
    return PairedDifference(
        first=first,
        second=second,
        template_id=template,
        model_id=model,
        first_scored=int(here["score"].count()),
        first_planned=len(here),
        second_scored=int(there["score"].count()),
        second_planned=len(there),
        pairs=len(gaps),
        difference=estimate,
    )


def _side_by_side(
    first: str, second: str, template_id: str | None, here: pd.DataFrame, there: pd.DataFrame
) -> SideBySide:
    cells = _paired_cells(here, there)
    estimate = _estimate_difference(cells, here, there)
    both = cells.groupby("essay")[["first", "second"]].mean().round(9)
    if estimate.note == TWO_SCALES:
        both = both.iloc[:0]
    varies = len(both) > 2 and both["first"].nunique() > 1 and both["second"].nunique() > 1
    return SideBySide(
        first=first,
        second=second,
        template_id=template_id,
        scale=scale_of(here),
        essays=tuple(
            EssayPair(essay_id=str(essay), first=float(x), second=float(y)) for essay, x, y in both.itertuples()
        ),
        difference=estimate,
        correlation=float(both["first"].corr(both["second"])) if varies else None,
    )


def _paired_cells(here: pd.DataFrame, there: pd.DataFrame) -> pd.DataFrame:
    """Return the means of the cells of either side, in the columns first and second, where both have one."""
    means = (cell_means(side).droplevel("template") for side in (here, there))
    return pd.concat(means, axis=1, keys=["first", "second"]).dropna()


def _estimate_difference(cells: pd.DataFrame, here: pd.DataFrame, there: pd.DataFrame) -> Estimate:
    values: Values = (cells["second"] - cells["first"]).groupby("essay").mean().round(9).to_numpy(dtype=float)
    if not len(values):
        return without_interval(None, 0, NOTHING_SHARED)
    if scale_of(here) != scale_of(there):
        return without_interval(None, 0, TWO_SCALES)
    return estimate_mean(values, difference_range(scale_of(here)))
