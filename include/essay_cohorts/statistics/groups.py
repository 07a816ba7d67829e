"""Scores by groups of essays, such as writers or conditions: means, and differences between groups.

Groups have different essays, so their values are not paired. The interval of a difference is that of Welch's t test
(Biometrika 34, 1947), which does not assume equal variances. Templates are never pooled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind

from essay_cohorts.statistics.bootstrap import (
    CONFIDENCE,
    FEWEST_ESSAYS,
    NO_SPREAD,
    Estimate,
    Values,
    difference_range,
    estimate_mean,
    mean_range,
    without_interval,
)
from essay_cohorts.statistics.frame import essay_values, scale_of

NO_ESSAY_SCORED = "a group has no essay with a score"
FEW_IN_A_GROUP = f"unreliable: a group has fewer than {FEWEST_ESSAYS} essays"
ONE_ESSAY_SCORED = "a group has one essay with a score"


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupMean:
    """The mean score of a group's essays under a template, by all judges; `scored` of `planned` have a score."""

    template_id: str
    group: str
    scored: int
    planned: int
    mean: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupDifference:
    """The mean of the second group less the mean of the first, under a template; `essays` counts both groups'."""

    template_id: str
    first: str
    second: str
    difference: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupStatistics:
    """The mean of each group and the difference of each pair of groups."""

    means: tuple[GroupMean, ...]
    differences: tuple[GroupDifference, ...]


def group_statistics(frame: pd.DataFrame, groups: Mapping[str, str]) -> GroupStatistics:
    """Return the statistics of the groups under each template; `groups` maps essays to groups."""
    return GroupStatistics(means=group_means(frame, groups), differences=group_differences(frame, groups))


def group_means(frame: pd.DataFrame, groups: Mapping[str, str]) -> tuple[GroupMean, ...]:
    """Return the mean of each group under each template; `groups` maps essays to groups, "" for none.

    Templates are in row order and groups in alphabetical order. Essays without a group are left out.
    """
    found = []
    for template_id, rows, by_group in _templates(frame, groups):
        for group in sorted(by_group):
            members = rows[rows["group"] == group]
            found.append(
                GroupMean(
                    template_id=template_id,
                    group=group,
                    scored=int(members["score"].count()),
                    planned=len(members),
                    mean=estimate_mean(by_group[group], mean_range(scale_of(rows))),
                )
            )
    return tuple(found)


def group_differences(frame: pd.DataFrame, groups: Mapping[str, str]) -> tuple[GroupDifference, ...]:
    """Return the difference of each pair of groups under each template, second less first."""
    return tuple(
        GroupDifference(
            template_id=template_id,
            first=first,
            second=second,
            difference=estimate_difference(by_group[first], by_group[second], difference_range(scale_of(rows))),
        )
        for template_id, rows, by_group in _templates(frame, groups)
        for first, second in combinations(sorted(by_group), 2)
    )


def estimate_difference(first: Values, second: Values, within: tuple[float, float]) -> Estimate:
    """Return the difference of two means of independent values, second less first.

    Welch's interval is cut at the ends of the range `within`.
    """
    sizes = len(first), len(second)
    if not all(sizes):
        return without_interval(None, sum(sizes), NO_ESSAY_SCORED)
    value = float(np.mean(second) - np.mean(first))
    if min(sizes) == 1:
        return without_interval(value, sum(sizes), ONE_ESSAY_SCORED)
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        return without_interval(value, sum(sizes), NO_SPREAD)
    low, high = ttest_ind(second, first, equal_var=False).confidence_interval(CONFIDENCE)
    reliable = min(sizes) >= FEWEST_ESSAYS
    return Estimate(
        value=value,
        low=max(float(low), within[0]),
        high=min(float(high), within[1]),
        essays=sum(sizes),
        reliable=reliable,
        note="" if reliable else FEW_IN_A_GROUP,
    )


def _templates(frame: pd.DataFrame, groups: Mapping[str, str]) -> list[tuple[str, pd.DataFrame, dict[str, Values]]]:
    """Return each template with its rows that have a group, and the values of the essays of each group."""
    grouped = frame.assign(group=frame["essay"].map(lambda essay: groups.get(essay, "")))
    grouped = grouped[grouped["group"] != ""]
    return [
        (
            str(template_id),
            rows,
            {
                str(group): np.asarray(essay_values(members.drop(columns="group")), np.float64)
                for group, members in rows.groupby("group")
            },
        )
        for template_id, rows in grouped.groupby("template", sort=False)
    ]
