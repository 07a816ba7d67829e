"""What is drawn is what was computed: marks are read back from the SVG and compared with the statistics."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import krippendorff
import pandas as pd
import pytest

from essay_cohorts.domain import person_or_judge
from essay_cohorts.figures.cohort_figures import Chosen, CohortScores, FigureName, draw, side_by_side
from essay_cohorts.figures.figure import Figure, Width
from essay_cohorts.figures.judge_scores import summarise_judges
from essay_cohorts.figures.rendering import to_printable_svg, to_svg
from essay_cohorts.figures.scatter import Scatter
from essay_cohorts.rubric import Scale
from essay_cohorts.statistics.bootstrap import Estimate
from essay_cohorts.statistics.frame import cohort_frame
from tests.figures.conftest import cohort_scores, random_rows
from tests.figures.svg import drawn_axes, texts


def drawn(scores: CohortScores, name: FigureName, width: Width = Width.WIDE, **chosen: str) -> tuple[Figure, str]:
    """Return a figure of the template novelty, and its SVG."""
    figure = draw(name, scores, Chosen(template_id="novelty", **chosen))
    assert figure is not None
    return figure, to_svg(figure, width)


def check_dots(svg: str, estimates: list[Estimate]) -> None:
    """Compare the places of dots and whiskers with estimates, in their order."""
    panels = drawn_axes(svg)
    assert [panel.x(x) for panel in panels for x, _ in panel.dots("dot-")] == pytest.approx(
        [each.value for each in estimates], abs=0.001
    )
    whiskers = [(panel, *path) for panel in panels for path in panel.paths("whisker-").values()]
    with_interval = [each for each in estimates if each.low is not None]
    assert len(whiskers) == len(with_interval) > 0
    for (panel, ends, style), each in zip(whiskers, with_interval, strict=True):
        assert [panel.x(x) for x, _ in ends] == pytest.approx([each.low, each.high], abs=0.001)
        assert ("dasharray" in style) is not each.reliable


def names(svg: str) -> list[str]:
    """Return the names left of the dots: the texts that stand right before a number with two decimals."""
    found = texts(svg)
    return [name for name, after in pairwise(found) if re.fullmatch(r"[0-9]+\.[0-9]{2}", after)]


@pytest.mark.parametrize("width", Width)
def test_means_by_judge(scores: CohortScores, width: Width) -> None:
    """Each dot is at its judge's mean, each whisker over its interval, broken where that is unreliable."""
    figure, svg = drawn(scores, FigureName.MEANS_BY_JUDGE, width)
    check_dots(svg, [each.mean for each in scores.statistics.means])
    assert names(svg) == [each.model_id or "all judges" for each in scores.statistics.means]
    assert figure.note == "n = 16 to 48 essays, 3 judges"
    assert "Dashed whiskers are unreliable" in figure.caption


def test_means_by_template(scores: CohortScores) -> None:
    """Each dot is at the mean of a template by all its judges."""
    figure, svg = drawn(scores, FigureName.MEANS_BY_TEMPLATE)
    check_dots(svg, [each.mean for each in scores.statistics.means if each.model_id is None])
    assert figure.note == "n = 48 essays"


def test_means_by_group(scores: CohortScores) -> None:
    """Each dot is at the mean of a group, named with the number of its essays."""
    figure, svg = drawn(scores, FigureName.MEANS_BY_GROUP)
    assert scores.groups is not None
    check_dots(svg, [each.mean for each in scores.groups.means])
    assert names(svg) == ["x (24)", "y (24)"] * 2
    assert figure.note == "n = 48 essays"


def test_a_ranking(scores: CohortScores) -> None:
    """The first and the last 20 essays are drawn at their means, by rank and title."""
    figure, svg = drawn(scores, FigureName.RANKING)
    ranking = [each for each in scores.statistics.ranking if each.template_id == "novelty"]
    shown = ranking[:20] + ranking[-20:]
    check_dots(svg, [each.mean for each in shown])
    assert names(svg) == [f"{each.rank}. Title of {each.essay_id}" for each in shown]
    assert "The first 20 and the last 20 of 48 essays." in figure.caption


@pytest.mark.parametrize("width", Width)
def test_a_distribution(scores: CohortScores, width: Width) -> None:
    """Each bar is as high as its count, in all panels by the same scale from the same baseline."""
    _, svg = drawn(scores, FigureName.DISTRIBUTION, width)
    judges = summarise_judges(scores.of_template("novelty"))
    panels = drawn_axes(svg)
    assert len(panels) == len(judges) == 3
    for panel, judge in zip(panels, judges, strict=True):
        bars = [[panel.y(y) for _, y in corners] for corners, _ in panel.paths("bar-").values()]
        assert [min(bar) for bar in bars] == pytest.approx([0] * 10, abs=0.001)
        assert [max(bar) for bar in bars] == pytest.approx([bar.count for bar in judge.bins], abs=0.001)
        assert sum(max(bar) for bar in bars) == pytest.approx(judge.scored, abs=0.01)
    assert [text for text in texts(svg) if text.startswith("n = ")] == [f"n = {judge.scored}" for judge in judges]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("judge-a", "judge-b", id="judge against judge"),
        pytest.param("judge-b", "judge-c", id="few shared essays"),
        pytest.param("human-ann", "judge-a", id="judge against person"),
        pytest.param("human-ann", "human-ben", id="person against person"),
    ],
)
def test_two_judges(scores: CohortScores, first: str, second: str) -> None:
    """Each shared essay is a dot at the means of both judges, moved by at most 1.2 % of the scale."""
    figure, svg = drawn(scores, FigureName.SCATTER, first=first, second=second)
    rows = [*scores.of_template("novelty"), *(row for row in scores.people if row.member.template_id == "novelty")]
    frame = pd.DataFrame(
        [(row.member.parent_gen_id, row.member.llm_model_id, row.score) for row in rows], columns=["e", "m", "s"]
    )
    means = frame.groupby(["e", "m"])["s"].mean().unstack()[[first, second]].dropna()
    (axes,) = drawn_axes(svg)
    dots = axes.dots("essays")
    assert len(dots) == len(means) > 10
    for dot, (_, x, y) in zip(dots, means.itertuples(), strict=True):
        assert (axes.x(dot[0]), axes.y(dot[1])) == pytest.approx((x, y), abs=0.012 * 9 + 0.001)
    (diagonal, _) = axes.paths("diagonal")[""]
    assert [axes.x(x) for x, _ in diagonal] == pytest.approx([axes.y(y) for _, y in diagonal])
    difference = (means[second] - means[first]).mean()
    sides = f"{person_or_judge(second)} minus {person_or_judge(first)}"
    assert f"n = {len(means)} essays; mean of {sides} {difference:+.2f}" in figure.note
    assert f"r = {means[first].corr(means[second]):.2f}" in figure.note


def test_more_than_500_essays_are_counted_in_squares() -> None:
    """The squares hold every essay once, and are where the essays are."""
    scores = cohort_scores(random_rows(501))
    figure, svg = drawn(scores, FigureName.SCATTER, first="judge-a", second="judge-b")
    plot = figure.plot
    assert isinstance(plot, Scatter)
    squares = plot.squares()
    assert sum(squares.values()) == 501
    axes = drawn_axes(svg)[0]
    assert axes.dots("essays") == []
    drawn_squares = axes.paths("square-")
    assert list(drawn_squares) == [f"{column}-{row}" for column, row in squares]
    for (column, row), (corners, _) in zip(squares, drawn_squares.values(), strict=True):
        assert min(axes.x(x) for x, _ in corners) == pytest.approx(column / 2, abs=0.001)
        assert min(axes.y(y) for _, y in corners) == pytest.approx(row / 2, abs=0.001)
    frame = cohort_frame(scores.of_template("novelty"))
    means = frame.groupby(["essay", "model"])["score"].mean().unstack()
    halves = (2 * means[["judge-a", "judge-b"]]).clip(upper=17).astype(int)
    assert squares == Counter(halves.itertuples(index=False, name=None))
    assert "essays" in texts(svg)
    assert "Each square counts the essays in it" in figure.caption


def test_agreement_of_each_pair(scores: CohortScores) -> None:
    """Each cell of the matrix is alpha as the package krippendorff computes it; the diagonal compares replicates."""
    _, svg = drawn(scores, FigureName.AGREEMENT)
    (axes,) = drawn_axes(svg)
    shown = {key: "".join(group.itertext()).strip() for key, group in axes.marks("alpha-")}
    frame = cohort_frame(scores.of_template("novelty"))
    means = frame.groupby(["essay", "model"])["score"].mean().unstack()
    assert len(shown) == len(axes.paths("cell-")) == 9
    for row, first in enumerate(means):
        for column, second in enumerate(means):
            if first == second:
                mine = frame[frame["model"] == first]
                of_essays = mine.assign(replicate=mine.groupby("essay").cumcount())
                data = of_essays.pivot_table(index="replicate", columns="essay", values="score").to_numpy()
            else:
                data = means[[first, second]].T.to_numpy()
            alpha = krippendorff.alpha(data, level_of_measurement="interval")
            assert shown[f"{row}-{column}"] == f"{alpha:.2f}".replace("-", "−")


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        pytest.param(FigureName.MEANS_BY_JUDGE, {}, id="means of nothing"),
        pytest.param(FigureName.MEANS_BY_TEMPLATE, {}, id="templates of nothing"),
        pytest.param(FigureName.DISTRIBUTION, {}, id="distribution of nothing"),
        pytest.param(FigureName.RANKING, {}, id="ranking of nothing"),
        pytest.param(FigureName.SCATTER, {"first": "judge-a", "second": "judge-b"}, id="no shared essay"),
    ],
)
def test_there_is_no_figure_without_scores(name: FigureName, chosen: dict[str, str]) -> None:
    """A cohort without a score has no figure instead of an empty one."""
    rows = [row for row in random_rows(3) if row.score is None]
    assert draw(name, cohort_scores(rows), Chosen(template_id="novelty", **chosen)) is None


def test_a_judge_that_is_not_known_has_no_figure(scores: CohortScores) -> None:
    """A name that is in no row gives no figure."""
    chosen = Chosen(template_id="novelty", first="judge-a", second="nobody")
    assert draw(FigureName.SCATTER, scores, chosen) is None


def test_two_templates(scores: CohortScores) -> None:
    """Each essay is a dot at its values under both templates, by the judges that scored it under both."""
    figure = draw(FigureName.SCATTER, scores, Chosen(first="novelty", second="coherence"))
    assert figure is not None
    frame = cohort_frame(scores.rows)
    cells = frame.groupby(["essay", "model", "template"])["score"].mean().unstack().dropna()
    values = cells.groupby("essay")[["novelty", "coherence"]].mean()
    assert isinstance(figure.plot, Scatter)
    essays = figure.plot.essays
    assert [each.essay_id for each in essays] == list(values.index)
    assert [each.first for each in essays] == pytest.approx(list(values["novelty"]))
    assert [each.second for each in essays] == pytest.approx(list(values["coherence"]))
    assert f"mean of coherence minus novelty {(values['coherence'] - values['novelty']).mean():+.2f}" in figure.note


def test_two_templates_on_different_scales_are_not_compared(scores: CohortScores) -> None:
    """Scores from 0 to 9 and scores from 1 to 5 have no scatter, and the comparison says why."""
    rows = [
        replace(row, scale=Scale(1, 5), score=None) if row.member.template_id == "coherence" else row
        for row in scores.rows
    ]
    rows = [replace(row, score=3.0) if row.scale == Scale(1, 5) else row for row in rows]
    other = replace(scores, rows=rows)
    chosen = Chosen(first="novelty", second="coherence")
    assert draw(FigureName.SCATTER, other, chosen) is None
    assert side_by_side(other, chosen).difference.note == "the two are on different scales"


def test_people_on_another_scale_leave_the_judges_alone(scores: CohortScores) -> None:
    """Two judges are compared on their own scale, whatever scale many people have used."""
    people = [replace(row, scale=Scale(0, 100)) for row in scores.people for _ in range(9)]
    other = replace(scores, people=people)
    chosen = Chosen(template_id="novelty", first="judge-a", second="judge-b")
    assert side_by_side(other, chosen) == side_by_side(scores, chosen)
    rated = Chosen(template_id="novelty", first="judge-a", second="human-ann")
    assert side_by_side(other, rated).essays == ()


def test_a_figure_of_a_criterion_says_so(scores: CohortScores) -> None:
    """The criterion is in the title and in the name of the file, and the source is in the printed figure."""
    figure = draw(FigureName.MEANS_BY_JUDGE, replace(scores, criterion="clarity", source="Cohort c."), Chosen())
    assert figure is not None
    assert (figure.name, figure.title) == ("means-by-judge-clarity", "Mean score by judge: clarity")
    assert "Cohort c." in texts(to_printable_svg(figure))
