"""Scores on other scales than 0 to 9: what counts as stated, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.judging.json_score import read_json
from essay_cohorts.judging.parsers import parse_score_text, parser_of, read_last_line, score_text, template_parser
from essay_cohorts.rubric import Rubric, Scale, points, rubric_of
from tests.judging.near_replies import near_replies
from tests.judging.templates import template

PROPERTY = settings(deadline=None, max_examples=150)
FIVE, TEN, HUNDRED, ONE, HALVES = Scale(1, 5), Scale(1, 10), Scale(0, 100), Scale(0, 1), Scale(0.5, 5.5)

STATED = [
    pytest.param(FIVE, "SCORE: 4", 4.0, id="a whole number"),
    pytest.param(FIVE, "SCORE: 1", 1.0, id="the lowest"),
    pytest.param(FIVE, "SCORE: 5", 5.0, id="the highest"),
    pytest.param(FIVE, "SCORE: 5.0", 5.0, id="the highest with a decimal"),
    pytest.param(FIVE, "SCORE: 4.5", 4.5, id="a decimal"),
    pytest.param(FIVE, "SCORE: 4/5", 4.0, id="out of five"),
    pytest.param(FIVE, "SCORE: 4 / 5.0", 4.0, id="out of five with a decimal"),
    pytest.param(FIVE, "SCORE: 4 out of 5", 4.0, id="out of five in words"),
    pytest.param(FIVE, "SCORE: 4 of 5 points", 4.0, id="of five points"),
    pytest.param(FIVE, "SCORE (1-5): 4", 4.0, id="the scale beside the label"),
    pytest.param(FIVE, "SCORE (from 1 to 5): 4", 4.0, id="the scale beside the label in words"),
    pytest.param(FIVE, "SCORE: 4 (1 to 5)", 4.0, id="the scale in a remark"),
    pytest.param(FIVE, "SCORE: [[4/5]]", 4.0, id="wrapped with the top"),
    pytest.param(FIVE, "**SCORE: 4/5**", 4.0, id="bold"),
    pytest.param(FIVE, "SCORE: 4 (out of five)", 4.0, id="a word for the top"),
    pytest.param(FIVE, "SCORE: 4\nOn the scale from 1 to 5.", 4.0, id="a later line with the scale"),
    pytest.param(FIVE, "SCORE: 4\nThis is 4/5.", 4.0, id="a later line with the same score"),
    pytest.param(TEN, "SCORE: 10", 10.0, id="ten"),
    pytest.param(TEN, "SCORE: 10/10", 10.0, id="ten out of ten"),
    pytest.param(TEN, "SCORE: 9/10", 9.0, id="nine out of ten"),
    pytest.param(HUNDRED, "SCORE: 85", 85.0, id="of a hundred"),
    pytest.param(HUNDRED, "SCORE: 85/100", 85.0, id="out of a hundred"),
    pytest.param(HUNDRED, "SCORE: 85 (out of 100)", 85.0, id="a remark on a hundred"),
    pytest.param(HUNDRED, "SCORE: 0", 0.0, id="zero of a hundred"),
    pytest.param(ONE, "SCORE: 0.7", 0.7, id="a fraction"),
    pytest.param(ONE, "SCORE: 0.7/1", 0.7, id="a fraction out of one"),
    pytest.param(ONE, "SCORE: -0.0", 0.0, id="minus zero"),
    pytest.param(FIVE, "SCORE: 4 (cites Smith, 1999)", 4.0, id="a year"),
    pytest.param(FIVE, "SCORE: 4 (names 12 sources)", 4.0, id="a count"),
    pytest.param(HALVES, "SCORE: 5.5", 5.5, id="a decimal top"),
    pytest.param(HALVES, "SCORE: 5/5.5", 5.0, id="out of a decimal top"),
    pytest.param(HALVES, "SCORE: 5/5.50", 5.0, id="out of a decimal top with a zero"),
]
REFUSED = [
    pytest.param(FIVE, "SCORE: 0", "the score is not from 1 to 5: '0'", id="below"),
    pytest.param(FIVE, "SCORE: 7", "the score is not from 1 to 5: '7'", id="above"),
    pytest.param(FIVE, "SCORE: 5.0000000000000001", "the score is not from 1 to 5", id="just above"),
    pytest.param(FIVE, "SCORE: 0.9999999999999999999", "the score is not from 1 to 5", id="just below"),
    pytest.param(FIVE, "SCORE: -3", "the score is not from 1 to 5: '-3'", id="negative"),
    pytest.param(FIVE, "SCORE: 4/9", "the score line uses another scale: '4/9'", id="out of nine"),
    pytest.param(FIVE, "SCORE: 4/10", "the score line uses another scale: '4/10'", id="out of ten"),
    pytest.param(FIVE, "SCORE: 4/50", "the score line uses another scale: '4/50'", id="a top that begins alike"),
    pytest.param(FIVE, "SCORE: 4/5.5", "the score line uses another scale: '4/5.5'", id="a top with a decimal"),
    pytest.param(FIVE, "SCORE: 4 (0-9)", "the score line uses another scale: '4 (0-9)'", id="a remark on nine"),
    pytest.param(FIVE, "SCORE: 4 (0 to 5)", "the score line uses another scale", id="a remark on another low end"),
    pytest.param(FIVE, "SCORE (1-10): 4", "the score line uses another scale", id="beside the label"),
    pytest.param(FIVE, "SCORE: 1-5", "the score line states several numbers, a range: '1-5'", id="the scale alone"),
    pytest.param(FIVE, "SCORE: 80%", "the score line uses another scale: '80%'", id="a percentage"),
    pytest.param(FIVE, "SCORE: 4\nMake it 3.", "a later line states another score: 'Make it 3.'", id="taken back"),
    pytest.param(FIVE, "SCORE: 4\n3/5", "a later line states another score: '3/5'", id="another out of five"),
    pytest.param(FIVE, "SCORE: 4\n3/9", "a later line states another score: '3/9'", id="another out of nine"),
    pytest.param(TEN, "SCORE: 0", "the score is not from 1 to 10", id="zero of one to ten"),
    pytest.param(TEN, "SCORE: 9/9", "the score line uses another scale: '9/9'", id="nine out of nine"),
    pytest.param(TEN, "SCORE: 11", "the score is not from 1 to 10: '11'", id="eleven"),
    pytest.param(HUNDRED, "SCORE: 8.5/10", "the score line uses another scale", id="of ten on a hundred"),
    pytest.param(HUNDRED, "SCORE: 85%", "the score line uses another scale: '85%'", id="a percentage of a hundred"),
    pytest.param(HUNDRED, "SCORE: 101", "the score is not from 0 to 100: '101'", id="beyond a hundred"),
    pytest.param(ONE, "SCORE: 7", "the score is not from 0 to 1: '7'", id="seven on one"),
    pytest.param(HALVES, "SCORE: 5/5", "the score line uses another scale: '5/5'", id="a top without its decimal"),
    pytest.param(HALVES, "SCORE: 0.4", "the score is not from 0.5 to 5.5: '0.4'", id="below a decimal low end"),
    pytest.param(FIVE, "SCORE: 4 (sur 10)", "the score line uses another scale", id="(sur 10)"),
    pytest.param(
        FIVE,
        "SCORE: 4 (auf einer Skala von 1 bis 10)",
        "the score line uses another scale",
        id="(auf einer Skala von 1 bis 10)",
    ),
    pytest.param(FIVE, "SCORE: 4 (10点満点)", "the score line uses another scale", id="(10点満点)"),
    pytest.param(
        FIVE, "SCORE: 4 (0 = worst, 10 = best)", "the score line uses another scale", id="(0 = worst, 10 = best)"
    ),
    pytest.param(FIVE, "SCORE: 4 (out of twelve)", "the score line uses another scale", id="(out of twelve)"),
    pytest.param(FIVE, "SCORE: 4 (of a possible 10)", "the score line uses another scale", id="(of a possible 10)"),
    pytest.param(FIVE, "SCORE: 4 (maximum is 10)", "the score line uses another scale", id="(maximum is 10)"),
    pytest.param(FIVE, "SCORE: 4\nOut of 10.", "a later line states another score", id="below: Out of 10."),
    pytest.param(FIVE, "SCORE: 4\n(10 = best)", "a later line states another score", id="below: (10 = best)"),
    pytest.param(FIVE, "SCORE: 4\nKorrektur: 3", "a later line states another score", id="below: Korrektur: 3"),
    pytest.param(FIVE, "SCORE: 4\nNein, eher 3.", "a later line states another score", id="below: Nein, eher 3."),
    pytest.param(FIVE, "SCORE: 4\nEigentlich 3.", "a later line states another score", id="below: Eigentlich 3."),
    pytest.param(FIVE, "SCORE: 4\n修正：3", "a later line states another score", id="below: 修正：3"),
    pytest.param(FIVE, "SCORE: 4 (eher 3)", "the score line states several numbers", id="(eher 3)"),
    pytest.param(FIVE, "SCORE: 4 (plutôt 3)", "the score line states several numbers", id="(plutôt 3)"),
    pytest.param(FIVE, "SCORE: 4 (3½)", "the score line states several numbers", id="(3½)"),
    pytest.param(
        FIVE,
        "SCORE: 4 - minus one for style = three",
        "the score line states several numbers",
        id="- minus one for style = three",
    ),
]
IN_JSON = [
    pytest.param(FIVE, '{"score": 4}', 4.0, "", id="on the scale"),
    pytest.param(FIVE, '{"score": "4/5"}', 4.0, "", id="out of five"),
    pytest.param(FIVE, '{"score": 4, "max_score": 5}', 4.0, "", id="the top beside it"),
    pytest.param(FIVE, '{"score": 4, "scale": "1 to 5"}', 4.0, "", id="the scale beside it"),
    pytest.param(FIVE, '{"score": 4, "scale": [1, 5]}', 4.0, "", id="the scale as a list"),
    pytest.param(FIVE, '{"score": 4, "out_of": "five"}', 4.0, "", id="the top as a word"),
    pytest.param(HUNDRED, '{"score": 85, "out_of": 100}', 85.0, "", id="out of a hundred"),
    pytest.param(FIVE, '{"score": 4, "scale": [0, 9]}', None, "another scale", id="another scale as a list"),
    pytest.param(FIVE, '{"score": 4, "max_score": 9}', None, "another scale", id="another top"),
    pytest.param(FIVE, '{"score": 7}', None, "the score is not from 1 to 5", id="above"),
    pytest.param(FIVE, '{"score": 0}', None, "the score is not from 1 to 5", id="below"),
    pytest.param(FIVE, '{"score": "4/9"}', None, "another scale", id="out of nine"),
    pytest.param(FIVE, '{"score": 4}\nOr 3.', None, "a later line", id="taken back"),
]


@pytest.mark.parametrize(("scale", "reply", "score"), STATED)
def test_a_score_on_the_scale_is_read(scale: Scale, reply: str, score: float) -> None:
    """A score in any usual form of the template's scale is read."""
    reading = read_last_line(reply, Rubric(scale=scale))
    assert (reading.score, reading.reason) == (score, "")


@pytest.mark.parametrize(("scale", "reply", "reason"), REFUSED)
def test_what_is_not_on_the_scale_is_refused(scale: Scale, reply: str, reason: str) -> None:
    """A number beyond the scale, or beside another scale, is no score."""
    reading = read_last_line(reply, Rubric(scale=scale))
    assert reading.score is None
    assert reason in reading.reason


@pytest.mark.parametrize(("scale", "reply", "score", "reason"), IN_JSON)
def test_json_scores_keep_to_the_scale(scale: Scale, reply: str, score: float | None, reason: str) -> None:
    """The parser `json` keeps to the scale too."""
    reading = read_json(reply, Rubric(scale=scale))
    assert reading.score == score
    assert reason in reading.reason


scales = st.tuples(st.integers(0, 200), st.integers(1, 800)).map(
    lambda ends: Scale(ends[0] / 2, (ends[0] + ends[1]) / 2)
)


@PROPERTY
@given(scales, st.sampled_from(["in_last_line", "json"]), st.data())
def test_a_score_is_always_stated_on_the_scale(scale: Scale, parser: str, data: st.DataObject) -> None:
    """Whatever the reply, a score is on the scale and stands in the reply as a number."""
    reply = data.draw(near_replies(scale))
    reading = parser_of(template_parser(template(parser, scale=scale)).ref).read(reply, Rubric(scale=scale))
    if reading.score is not None:
        assert reading.score in scale
        assert reading.score in {abs(float(number)) for number in re.findall(r"-?[0-9]+(?:\.[0-9]+)?", reply)}


@PROPERTY
@given(scales, st.floats(0, 1))
def test_a_score_of_any_scale_reads_back(scale: Scale, part: float) -> None:
    """Every score is read from parsed.txt and from a score line as the number that was written."""
    score = min(max(scale.low + part * scale.span, scale.low), scale.high)
    assert parse_score_text(score_text(score), scale) == score
    assert read_last_line(f"SCORE: {score_text(score)}", Rubric(scale=scale)).score == score


@PROPERTY
@given(scales)
def test_a_version_names_its_rubric(scale: Scale) -> None:
    """The version of a parser gives back its scale, and the default scale leaves the version as it was."""
    assert rubric_of(f"2+reasoning{Rubric(scale=scale).version_parts}") == Rubric(scale=scale)
    assert template_parser(template(scale=Scale(0, 9))).ref.version == "2"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        pytest.param(5, "5", id="whole"),
        pytest.param(5.0, "5", id="float"),
        pytest.param(100, "100", id="zeros"),
        pytest.param(0.5, "0.5", id="decimal"),
        pytest.param(0, "0", id="zero"),
    ],
)
def test_points_are_short(number: float, text: str) -> None:
    """A bound of a scale is written without a needless decimal."""
    assert points(number) == text
