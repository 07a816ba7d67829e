"""Scores of criteria, from lines and from JSON, and the mean of them as the overall score."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.domain import CriterionScore
from essay_cohorts.judging.json_score import read_json
from essay_cohorts.judging.parsers import judge_by, last_score_line, parser_of, read_last_line, template_parser
from essay_cohorts.judging.parsers import verdict_record as record_of
from essay_cohorts.records import VerdictRecord
from essay_cohorts.rubric import Rubric, Scale, criteria_findings, read_criteria, rubric_of
from tests.judging.near_replies import near_replies
from tests.judging.templates import template

PROPERTY = settings(deadline=None, max_examples=150)
NAMES = ("novelty", "clarity")
BOTH = Rubric(scale=Scale(1, 5), criteria=NAMES)
MEAN = Rubric(scale=Scale(1, 5), criteria=NAMES, overall="mean")
LONG = Rubric(criteria=("use of evidence", "counter-arguments", "sentence_level"))

LINES = [
    pytest.param("NOVELTY: 4\nCLARITY: 3\nSCORE: 4", (4, 3, 4), id="capitals"),
    pytest.param("Novelty: 4\nClarity: 3\nScore: 4", (4, 3, 4), id="words"),
    pytest.param("- **Novelty:** 4/5\n- **Clarity:** 3/5\n\n**SCORE: 4**", (4, 3, 4), id="a list in bold"),
    pytest.param("1. Novelty = 4\n2. Clarity = 3\nSCORE: 4", (4, 3, 4), id="numbered, with equals signs"),
    pytest.param("Novelty score: 4\nClarity score: 3\nSCORE: 4", (4, 3, 4), id="the word score"),
    pytest.param("Novelty (1-5): 4\nClarity - 3\nSCORE: 4", (4, 3, 4), id="a scale and a dash"),
    pytest.param("NOVELTY: 4 (fresh)\nCLARITY: 3 (some gaps)\nSCORE: 4", (4, 3, 4), id="remarks"),
    pytest.param("SCORE: 4\nNOVELTY: 4\nCLARITY: 3", (4, 3, 4), id="the overall score first"),
    pytest.param("SCORE: 4\n\nNOVELTY: 4\n\nCLARITY: 3\n\nThanks.", (4, 3, 4), id="empty lines and a farewell"),
    pytest.param(
        "NOVELTY: 4\nIt says new things.\nCLARITY: 3\nIt wanders.\nSCORE: 4", (4, 3, 4), id="reasons between"
    ),
    pytest.param("NOVELTY: 2\nCLARITY: 2\nFinal:\nNOVELTY: 4\nCLARITY: 3\nSCORE: 4", (4, 3, 4), id="drafts before"),
    pytest.param("<think>NOVELTY: 1\nCLARITY: 1</think>NOVELTY: 4\nCLARITY: 3\nSCORE: 4", (4, 3, 4), id="reasoning"),
    pytest.param("NOVELTY: 4\nSCORE: 4", (4, None, 4), id="one is missing"),
    pytest.param("SCORE: 4", (None, None, 4), id="both are missing"),
    pytest.param("NOVELTY: 4\nCLARITY: 3", (4, 3, None), id="no overall score"),
    pytest.param("NOVELTY: 7\nCLARITY: 3\nSCORE: 4", (None, 3, 4), id="one beyond the scale"),
    pytest.param("NOVELTY: 4/9\nCLARITY: 3\nSCORE: 4", (None, 3, 4), id="one on another scale"),
    pytest.param("NOVELTY: 3-4\nCLARITY: 3\nSCORE: 4", (None, 3, 4), id="a range"),
    pytest.param("NOVELTY: high\nCLARITY: 3\nSCORE: 4", (None, 3, 4), id="a word"),
    pytest.param("NOVELTY:\nCLARITY: 3\nSCORE: 4", (None, 3, 4), id="nothing after the colon"),
    pytest.param("Novelty 4\nCLARITY: 3\nSCORE: 4", (None, 3, 4), id="no colon"),
    pytest.param("The novelty: 4\nCLARITY: 3\nSCORE: 4", (None, 3, 4), id="not at the beginning"),
    pytest.param("NOVELTY: 4\nActually 2 is fairer.\nCLARITY: 3\nSCORE: 4", (None, 3, 4), id="taken back"),
    pytest.param("NOVELTY: 4\nI give 4/5 points.\nCLARITY: 3\nSCORE: 4", (4, 3, 4), id="the same score below it"),
    pytest.param("NOVELTY: 4\n4\nCLARITY: 3\nOn 1-5, of course.\nSCORE: 4", (4, 3, 4), id="its number and the scale"),
    pytest.param("NOVELTY: 4\n4/9\nCLARITY: 3\nSCORE: 4", (None, 3, 4), id="another scale below it"),
    pytest.param(
        "NOVELTY: 4\nCLARITY: 3\nSCORE: 4\nActually, no.\nRather 2.", (4, 3, None), id="only overall in doubt"
    ),
    pytest.param("NOVELTY: 4\nCLARITY: 3\nSCORE: 4\nSCORE 2 would be fairer", (4, 3, None), id="overall in doubt"),
    pytest.param("NOVELTY: 4\nCLARITY: 3\nSCORE: 9", (4, 3, None), id="overall beyond the scale"),
    pytest.param("NOVELTY: 4, CLARITY: 3\nSCORE: 4", (None, None, 4), id="two on one line"),
    pytest.param("| NOVELTY | 4 |\n| CLARITY | 3 |\nSCORE: 4", (4, 3, 4), id="a table"),
    pytest.param("", (None, None, None), id="empty"),
    pytest.param("<think>NOVELTY: 4", (None, None, None), id="cut off in its reasoning"),
    pytest.param(
        "| Criterion | Score |\n|---|---|\n| Novelty | 4 |\n| Clarity | 3 |\nSCORE: 4", (4, 3, 4), id="rows"
    ),
    pytest.param('"Novelty": 4\n[Clarity]: 3\nSCORE: 4', (4, 3, 4), id="marks around names"),
    pytest.param("a) Novelty: 4\n(2) Clarity: 3\nSCORE: 4", (4, 3, 4), id="letters and brackets"),
    pytest.param("✅ Novelty: 4\n→ Clarity: 3\nSCORE: 4", (4, 3, 4), id="signs before names"),
    pytest.param("Novelty: 4, fresh ideas.\nClarity: 3. It wanders.\nSCORE: 4", (4, 3, 4), id="words after a mark"),
    pytest.param("Novelty: 4 because it is fresh\nClarity: 3; muddled\nSCORE: 4", (4, 3, 4), id="a reason"),
    pytest.param(
        "SCORE: 4\nScore breakdown:\nNovelty: 4\nClarity: 3", (4, 3, 4), id="a heading that begins with score"
    ),
    pytest.param(
        "Novelty: 4\nClarity: 3\nOn reflection, novelty deserves a 2.\nSCORE: 4", (None, 3, 4), id="by name"
    ),
    pytest.param(
        "Novelty: 4\nClarity: 3\nSCORE: 4\nRevised novelty: 2", (None, 3, None), id="revised after the score"
    ),
    pytest.param(
        "SCORE: 4\nNovelty: 4\nClarity: this drags the score down to 2.", (4, None, None), id="in its reason"
    ),
    pytest.param(
        "### Novelty\nFresh.\nScore: 4\n\n### Clarity\nMuddled.\nScore: 2", (None, None, None), id="sections"
    ),
    pytest.param(
        "**Novelty:** Fresh.\nScore: 4\n**Clarity:** Dull.\nScore: 2", (None, None, None), id="bold sections"
    ),
    pytest.param(
        "### Novelty\nFresh.\n### Clarity\nMuddled.\n### Result\nScore: 4", (None, None, 4), id="one result"
    ),
]
OBJECTS = [
    pytest.param('{"novelty": 4, "clarity": 3, "score": 4}', (4, 3, 4), id="fields"),
    pytest.param('{"Novelty": 4, "CLARITY": "3", "Score": 4}', (4, 3, 4), id="capitals and a text"),
    pytest.param('{"criteria": {"novelty": 4, "clarity": 3}, "score": 4}', (4, 3, 4), id="in a field criteria"),
    pytest.param('{"scores": {"novelty": 4, "clarity": 3}, "score": 4}', (4, 3, 4), id="in a field scores"),
    pytest.param(
        '{"novelty": {"score": 4, "why": "new"}, "clarity": {"score": 3}, "score": 4}', (4, 3, 4), id="objects"
    ),
    pytest.param('```json\n{"novelty": "4/5", "clarity": "3 of 5", "score": 4}\n```', (4, 3, 4), id="out of five"),
    pytest.param('{"novelty": 4, "score": 4}', (4, None, 4), id="one is missing"),
    pytest.param('{"novelty": 4, "clarity": 3}', (4, 3, None), id="no overall score"),
    pytest.param('{"novelty": 4, "clarity": null, "score": 4}', (4, None, 4), id="null"),
    pytest.param('{"novelty": 4, "clarity": true, "score": 4}', (4, None, 4), id="true"),
    pytest.param('{"novelty": 4, "clarity": [3], "score": 4}', (4, None, 4), id="a list"),
    pytest.param('{"novelty": 4, "clarity": {}, "score": 4}', (4, None, 4), id="an empty object"),
    pytest.param('{"novelty": 4, "clarity": {"why": 3}, "score": 4}', (4, None, 4), id="an object without a score"),
    pytest.param('{"novelty": 4, "clarity": 7, "score": 4}', (4, None, 4), id="beyond the scale"),
    pytest.param('{"novelty": 4, "clarity": "3/9", "score": 4}', (4, None, 4), id="another scale"),
    pytest.param('{"novelty": 4, "clarity": "3 or 4", "score": 4}', (4, None, 4), id="two numbers"),
    pytest.param('{"novelty": 4, "clarity": 3, "clarity": 2, "score": 4}', (4, None, 4), id="stated twice"),
    pytest.param('{"novelty": 4, "clarity": 3, "clarity": 3, "score": 4}', (4, 3, 4), id="the same twice"),
    pytest.param(
        '{"clarity": 3, "criteria": {"novelty": 4, "clarity": 2}, "score": 4}', (4, None, 4), id="two places differ"
    ),
    pytest.param('{"novelty": 4, "clarity": 3, "score": 4}\nOr 2.', (None, None, None), id="taken back"),
    pytest.param('{"novelty": 4, "clarity": 3, "score": 4}, {"novelty"', (None, None, None), id="a list cut off"),
    pytest.param('{"a": {"novelty": 4, "clarity": 3, "score": 4}', (None, None, None), id="inside one cut off"),
    pytest.param("no object", (None, None, None), id="no object"),
    pytest.param('{"novelty": 4, "clarity": 3, "score": 4, "max_score": 9}', (None, None, None), id="another top"),
    pytest.param('{"novelty_score": 4, "clarity score": 3, "score": 4}', (4, 3, 4), id="the word score"),
    pytest.param('{"Novelty (1-5)": 4, "clarity": 3, "score": 4}', (4, 3, 4), id="the scale in the name"),
    pytest.param(
        '{"criteria": [{"name": "novelty", "score": 4}, {"name": "clarity", "score": 3}], "score": 4}',
        (4, 3, 4),
        id="list",
    ),
    pytest.param(
        '{"novelty": "fresh", "scores": {"novelty": 4, "clarity": 3}, "score": 4}', (4, 3, 4), id="words too"
    ),
    pytest.param('{"explanation": "in \\(x\\)", "novelty": 4, "clarity": 3, "score": 4}', (4, 3, 4), id="LaTeX"),
    pytest.param('{"novelty": 4, "clarity": 3, "score": 4}\nNovelty: 4', (4, 3, 4), id="repeated below"),
    pytest.param('{"novelty": 4, "clarity": 3, "score": 4}\nNovelty: 3', (None, None, None), id="other below"),
    pytest.param('{"novelty": 4, "revised_novelty": 2, "clarity": 3, "score": 4}', (None, 3, 4), id="revised"),
    pytest.param(
        '{"criterion": "novelty", "score": 4}\n{"criterion": "clarity", "score": 2}', (None,) * 3, id="each one"
    ),
    pytest.param('{"criteria": {"novelty": 4, "clarity": 3, "max": 10}, "score": 4}', (None,) * 3, id="a top inside"),
    pytest.param('{"novelty": 4, "clarity": 3, "score": 4, "max_possible": 10}', (None,) * 3, id="possible points"),
    pytest.param('{"novelty": 4, "clarity": 3, "score": 4, "scale_min": 0}', (None,) * 3, id="another low end"),
    pytest.param('{"novelty": 4, "clarity": 3, "score": 4, "overall": 2}', (4, 3, None), id="overall differs"),
    pytest.param('{"novelty": 4, "clarity": 3, "score": 4}\nNovelty should be lower.', (None,) * 3, id="lower"),
]


@pytest.mark.parametrize(("reply", "scores"), LINES)
def test_criteria_are_read_from_lines(reply: str, scores: tuple[float | None, ...]) -> None:
    """Each criterion is read from the last line that begins with its name; what is in doubt has no score."""
    reading = read_last_line(reply, BOTH)
    assert (*(each.score for each in reading.criteria), reading.score) == scores
    assert [each.criterion for each in reading.criteria] == list(NAMES)
    assert all((each.score is None) is bool(each.reason) for each in reading.criteria)


@pytest.mark.parametrize(("reply", "scores"), OBJECTS)
def test_criteria_are_read_from_an_object(reply: str, scores: tuple[float | None, ...]) -> None:
    """Each criterion is read from its field; an object in doubt has no score at all."""
    reading = read_json(reply, BOTH)
    assert (*(each.score for each in reading.criteria), reading.score) == scores
    assert [each.criterion for each in reading.criteria] == list(NAMES)
    assert all((each.score is None) is bool(each.reason) for each in reading.criteria)


@pytest.mark.parametrize(
    ("reply", "score", "reason"),
    [
        pytest.param("NOVELTY: 4\nCLARITY: 3", 3.5, "", id="two scores"),
        pytest.param("NOVELTY: 4\nCLARITY: 3\nSCORE: 1", 3.5, "", id="the stated score does not count"),
        pytest.param("NOVELTY: 4", None, 'the criterion "clarity" has no score: no line begins', id="one is missing"),
        pytest.param("NOVELTY: 4\nCLARITY: 6", None, 'the criterion "clarity" has no score: the score is', id="off"),
        pytest.param("", None, "the reply is empty", id="empty"),
    ],
)
def test_the_mean_of_the_criteria(reply: str, score: float | None, reason: str) -> None:
    """With `overall: mean` the score is the mean of all criteria, or there is none."""
    reading = read_last_line(reply, MEAN)
    assert reading.score == score
    assert [each.criterion for each in reading.criteria] == list(NAMES)
    assert reading.reason.startswith(reason)


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        pytest.param('{"novelty": 4, "clarity": 3}', 3.5, id="two scores"),
        pytest.param('{"novelty": 4, "clarity": 3, "score": 1}', 3.5, id="the stated score does not count"),
        pytest.param('{"novelty": 4}', None, id="one is missing"),
        pytest.param('{"novelty": 4, "clarity": 3} and 2', None, id="taken back"),
        pytest.param('{"novelty": 4, "clarity": 3}\nThank you.', 3.5, id="a farewell"),
        pytest.param('{"novelty": 4, "clarity": 3}\nSCORE: 4', 3.5, id="a stated score below does not count either"),
        pytest.param('{"novelty": 4, "clarity": 3, "max_score": 10}', None, id="another scale"),
    ],
)
def test_the_mean_of_the_fields(reply: str, score: float | None) -> None:
    """The parser `json` computes the same mean."""
    assert read_json(reply, MEAN).score == score


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param("", "the reply is empty", id="empty"),
        pytest.param("none", "the reply holds no complete JSON object", id="no object"),
        pytest.param('{"score": 4}', 'the last JSON object has no field "novelty"', id="no field"),
        pytest.param('{"novelty": [4]}', 'the field "novelty" holds no number: \'["4"]\'', id="no number"),
        pytest.param('{"novelty": {"score": [4]}}', 'the field "score" holds no number: \'["4"]\'', id="inside"),
        pytest.param(
            '{"novelty": 4, "Novelty": 3}', "the JSON object states several scores for it: '4, 3'", id="several"
        ),
        pytest.param('{"novelty": 7}', "the score is not from 1 to 5: '7'", id="off the scale"),
        pytest.param(
            '{"novelty": 4, "score": 4}, {',
            "the last complete JSON object is inside another one, or another one begins after it",
            id="cut off",
        ),
        pytest.param('{"novelty": 4, "score": 4} {"novelty": 4, "score": 4}', "the reply lists several", id="a list"),
        pytest.param(
            '{"novelty": 4, "score": 4}\n3/5', "a later line states another score or scale: '3/5'", id="later"
        ),
    ],
)
def test_a_field_without_a_score_says_why(reply: str, reason: str) -> None:
    """The reason names the field and what it holds, or what puts the whole object in doubt."""
    reading = read_json(reply, Rubric(scale=Scale(1, 5), criteria=("novelty",)))
    assert reading.criteria[0].score is None
    assert reading.criteria[0].reason.startswith(reason)


@PROPERTY
@given(
    st.lists(st.sampled_from(["novelty", "use of evidence", "c-1", "d_2"]), unique=True).map(tuple),
    st.sampled_from(["reply", "mean"]),
    st.booleans(),
)
def test_a_version_gives_back_its_rubric(names: tuple[str, ...], overall: str, reasoning: bool) -> None:
    """The criteria, their order and their mean are part of the parser's version."""
    rubric = Rubric(scale=Scale(0.5, 7), criteria=names, overall="mean" if overall == "mean" else "reply")
    assert rubric_of(f"2{'+reasoning' * reasoning}{rubric.version_parts}") == rubric
    assert (0.5 in rubric.scale, 7 in rubric.scale, 7.1 in rubric.scale) == (True, True, False)


def test_names_of_several_words() -> None:
    """Blanks, hyphens and underscores in a name are alike, in lines and in fields."""
    lines = "Use of evidence: 7\nCounter arguments: 6\nSentence level: 5\nSCORE: 6"
    fields = '{"use_of_evidence": 7, "counterArguments": 6, "Sentence-Level": 5, "score": 6}'
    assert [each.score for each in read_last_line(lines, LONG).criteria] == [7, 6, 5]
    assert [each.score for each in read_json(fields, LONG).criteria] == [7, 6, 5]


def test_a_verdict_keeps_its_criteria() -> None:
    """The record holds the scores and reasons, and reads back as the verdict was."""
    parser = template_parser(template(criteria=NAMES, scale=BOTH.scale))
    assert parser.ref.version == "2+scale=1..5+criteria=novelty;clarity"
    verdict = judge_by(parser, "NOVELTY: 4\nSCORE: 4")
    record = record_of(verdict)
    assert record["criteria"] == {
        "novelty": {"score": 4.0},
        "clarity": {"score": None, "reason": "no line begins with its name and a colon"},
    }
    assert VerdictRecord(record).criteria == verdict.criteria
    assert VerdictRecord(record).score == 4.0
    assert parser_of(verdict.parser).rubric == BOTH


def test_an_odd_record_has_no_scores() -> None:
    """A record that another program damaged gives criteria without a score."""
    fields = {"parser_version": "2+criteria=novelty;clarity", "criteria": {"novelty": 7, "clarity": {"score": "7"}}}
    nothing = (CriterionScore("novelty", None), CriterionScore("clarity", None))
    assert VerdictRecord(fields).criteria == nothing
    assert VerdictRecord({**fields, "criteria": [7]}).criteria == nothing


def test_a_reply_that_was_cut_off_has_no_criteria_either() -> None:
    """The reason stands at each criterion too."""
    verdict = judge_by(template_parser(template(criteria=NAMES)), "NOVELTY: 4\nSCORE: 4", finish_reason="length")
    assert verdict.criteria == tuple(CriterionScore(name, None, verdict.reason) for name in NAMES)
    assert verdict.reason.startswith("truncated")


def test_the_deciding_line_leaves_criteria_out() -> None:
    """The line of the overall score is found before lines of criteria."""
    assert last_score_line("SCORE: 4\nNOVELTY: 4\nCLARITY: 3\nNOVELTY: 4\nCLARITY: 3", BOTH) == 0
    assert last_score_line("SCORE: 4\nNOVELTY: 4\nCLARITY: 3\nNOVELTY: 4\nCLARITY: 3") is None


@PROPERTY
@given(st.sampled_from(["in_last_line", "json"]), st.sampled_from(["reply", "mean"]), st.data())
def test_a_criterion_s_score_is_always_stated(parser: str, overall: str, data: st.DataObject) -> None:
    """Whatever the reply, each criterion's score is on the scale and stands in the reply; a mean is theirs."""
    rubric = MEAN if overall == "mean" else BOTH
    reply = data.draw(near_replies(rubric.scale))
    read = parser_of(template_parser(template(parser)).ref).read
    reading = read(reply, rubric)
    stated = {abs(float(number)) for number in re.findall(r"-?[0-9]+(?:\.[0-9]+)?", reply)}
    scores = [each.score for each in reading.criteria if each.score is not None]
    assert all(score in rubric.scale and score in stated for score in scores)
    if overall == "mean" and reading.score is not None:
        assert len(scores) == len(NAMES)
        assert reading.score == float(sum(map(Decimal, map(repr, scores))) / len(scores))


@pytest.mark.parametrize(
    ("cell", "findings"),
    [
        pytest.param("novelty;clarity", [], id="two"),
        pytest.param(" novelty ; clarity; ", [], id="blanks and a last semicolon"),
        pytest.param("use of evidence", [], id="words"),
        pytest.param("novelty;Novelty", ['"Novelty" is named twice.'], id="twice"),
        pytest.param("use of evidence;use_of-evidence", ['"use_of-evidence" is named twice.'], id="twice by marks"),
        pytest.param(
            "score", ['"score" is the overall score, which every template has, not a criterion.'], id="the score"
        ),
        pytest.param(
            "Overall Score",
            ['"Overall Score" is the overall score, which every template has, not a criterion.'],
            id="overall",
        ),
        pytest.param("1st", ["'1st' is not a name of a criterion"], id="a digit first"),
        pytest.param("clarté;Präzision", [], id="letters of other languages"),
        pytest.param("clarity - structure", ["'clarity - structure' is not a name"], id="a hyphen between blanks"),
        pytest.param("novelty;novelty score", ['"novelty score" and another name differ only'], id="the word score"),
        pytest.param("a+b", ["'a+b' is not a name of a criterion"], id="a plus sign"),
        pytest.param("x" * 41, ["is not a name of a criterion"], id="too long"),
        pytest.param(";".join(f"c{n}" for n in range(20)), [], id="as many as there may be"),
        pytest.param(";".join(f"c{n}" for n in range(21)), ["it names 21 criteria, more than 20."], id="too many"),
    ],
)
def test_names_of_criteria_are_checked(cell: str, findings: list[str]) -> None:
    """A name must not be taken for the overall score, for another criterion, or for a part of a version."""
    found = list(criteria_findings(read_criteria(cell)))
    assert len(found) == len(findings)
    assert all(finding in each for finding, each in zip(findings, found, strict=True))
