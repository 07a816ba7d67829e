"""The parser `json`: the score of the last JSON object, lenient about form and never about doubt."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.judging.json_score import json_score_line, read_json
from essay_cohorts.judging.parsers import PARSERS, judge_by, parser_of

PROPERTY = settings(deadline=None, max_examples=150)

SCORED = [
    pytest.param('{"score": 7}', 7.0, id="an object"),
    pytest.param('{"score": 0}', 0.0, id="the lowest"),
    pytest.param('{"score": 9}', 9.0, id="the highest"),
    pytest.param('{"score": 9.0}', 9.0, id="the highest as a float"),
    pytest.param('{"score": 7.25}', 7.25, id="decimals"),
    pytest.param('{"score": -0.0}', 0.0, id="minus zero"),
    pytest.param('{"score": "7"}', 7.0, id="a text"),
    pytest.param('{"score": " 7.5 "}', 7.5, id="a text with blanks"),
    pytest.param('{"score": "7/9"}', 7.0, id="out of nine"),
    pytest.param('{"score": "7 out of 9"}', 7.0, id="out of nine in words"),
    pytest.param('{"score": "7 (strong)"}', 7.0, id="a remark"),
    pytest.param('{"score": "**7**"}', 7.0, id="bold"),
    pytest.param('{"Score": 7}', 7.0, id="a capital"),
    pytest.param('{"SCORE ": 7}', 7.0, id="capitals and a blank"),
    pytest.param('{"score": 7,}', 7.0, id="a comma too many"),
    pytest.param('{"why": ["a", "b",], "score": 7,\n}', 7.0, id="commas too many"),
    pytest.param('{"score": 7, "score": 7}', 7.0, id="the same score twice"),
    pytest.param('{"reason": "It {almost} works}", "score": 6}', 6.0, id="braces in a text"),
    pytest.param('{"reason": "a \\"quoted\\" } brace", "score": 6}', 6.0, id="quotes in a text"),
    pytest.param('{"reason": "two\nlines", "score": 6}', 6.0, id="a line end in a text"),
    pytest.param('```json\n{"score": 8}\n```', 8.0, id="a fence"),
    pytest.param('```\n{"score": 8}\n```\n', 8.0, id="a fence without a language"),
    pytest.param('Here it is:\n\n```json\n{"score": 8}\n```\nI hope this helps.', 8.0, id="text around a fence"),
    pytest.param('My verdict is {"score": 8}.', 8.0, id="in a sentence"),
    pytest.param('{"score": 3}\nOn reflection:\n{"score": 5}', 5.0, id="the last object decides"),
    pytest.param('{"score": {"draft": 3}}\n{"score": 5}', 5.0, id="a draft in another form"),
    pytest.param('{"novelty": {"score": 2}, "score": 5}', 5.0, id="an inner score is another field"),
    pytest.param('{"score": 5, "novelty": {"score": 2}}', 5.0, id="an inner score after it"),
    pytest.param('{"score": 5, "scale": "0-9"}', 5.0, id="the right scale"),
    pytest.param('{"score": 5, "max_score": 9}', 5.0, id="the right highest score"),
    pytest.param('{"score": 5, "max": null}', 5.0, id="no highest score"),
    pytest.param('{"score": 5}\nSCORE: 5', 5.0, id="the same score in a line"),
    pytest.param('{"score": 5}\nConfidence: 80%', 5.0, id="a confidence"),
    pytest.param('{"score": 5}\nThat is my verdict.', 5.0, id="words after it"),
    pytest.param('{"score": 5, "range": [0, 9]}', 5.0, id="the right range as a list"),
    pytest.param('{"score": 5, "scale": {"min": 0, "max": 9}}', 5.0, id="the right range as an object"),
    pytest.param('{"score": 5, "score": 5.0}', 5.0, id="the same number twice"),
    pytest.param('{"score": 5, "final_score": 5}', 5.0, id="the same score by another name"),
    pytest.param('In {braces}: {"score": 5}', 5.0, id="braces in prose"),
    pytest.param('<think>{"score": 2}</think>{"score": 5}', 5.0, id="after reasoning"),
    pytest.param('\ufeff{"score": 5}', 5.0, id="a BOM"),
    pytest.param('[{"score": 5}]', 5.0, id="a list of one object"),
]


@pytest.mark.parametrize(("text", "score"), SCORED)
def test_a_stated_score_is_read(text: str, score: float | None) -> None:
    """A loose form does not hide a score that is stated without doubt."""
    assert read_json(text).score == score


REFUSED = [
    pytest.param("", "the reply is empty", id="nothing"),
    pytest.param(" \n ", "the reply is empty", id="blanks"),
    pytest.param("SCORE: 7", "no complete JSON object", id="a score line"),
    pytest.param('{"score": 7', "no complete JSON object", id="cut off"),
    pytest.param('"score": 7}', "no complete JSON object", id="no opening brace"),
    pytest.param("{'score': 7}", "no complete JSON object", id="Python's quotes"),
    pytest.param("{score: 7}", "no complete JSON object", id="no quotes"),
    pytest.param('{"score": 07}', "no complete JSON object", id="a leading zero"),
    pytest.param('{"score": 7 of 9}', "no complete JSON object", id="words outside of a text"),
    pytest.param("[7]", "no complete JSON object", id="a list"),
    pytest.param("{}", 'no field "score"', id="an empty object"),
    pytest.param('{"rating": 7}', 'no field "score"', id="another field"),
    pytest.param('{"scores": 7}', 'no field "score"', id="the plural"),
    pytest.param('{"overall_score": 7}', 'no field "score"', id="another name"),
    pytest.param('{"result": {"score": 7}}', 'no field "score"', id="an inner object"),
    pytest.param('{"score": 7}\n{"note": "done"}', 'no field "score"', id="the last object has none"),
    pytest.param('{"score": null}', "holds no number", id="null"),
    pytest.param('{"score": true}', "holds no number", id="true"),
    pytest.param('{"score": [7]}', "holds no number", id="a list as the score"),
    pytest.param('{"score": {"value": 7}}', "holds no number", id="an object as the score"),
    pytest.param('{"score": ""}', "no number", id="an empty text"),
    pytest.param('{"score": "seven"}', "no number", id="a word"),
    pytest.param('{"score": NaN}', "no number", id="NaN"),
    pytest.param('{"score": Infinity}', "no number", id="infinity"),
    pytest.param('{"score": 10}', "is not from 0 to 9", id="too high"),
    pytest.param('{"score": -1}', "is not from 0 to 9", id="too low"),
    pytest.param('{"score": 9.0000000000000001}', "is not from 0 to 9", id="just too high for a float"),
    pytest.param('{"score": "8-9"}', "a range", id="a range"),
    pytest.param('{"score": "7 or 8"}', "several numbers", id="two numbers"),
    pytest.param('{"score": "7,5"}', "decimal comma", id="a decimal comma"),
    pytest.param('{"score": "7/10"}', "another scale", id="out of ten"),
    pytest.param('{"score": "85%"}', "another scale", id="per cent"),
    pytest.param('{"score": 1e0}', "several numbers", id="an exponent"),
    pytest.param('{"score": 7, "score": 8}', "states several scores", id="two scores"),
    pytest.param('{"score": 7, "Score": 8}', "states several scores", id="two scores that differ by case"),
    pytest.param('{"score": 7, "max_score": 10}', "another scale", id="another highest score"),
    pytest.param('{"score": 7, "out_of": "10"}', "another scale", id="out of ten beside it"),
    pytest.param('{"score": 7, "scale": "1 to 10"}', "another scale", id="another scale beside it"),
    pytest.param('{"score": 7, "range": [1, 10]}', "another scale", id="another range beside it"),
    pytest.param('{"score": 7} Well, rather 6.', "another score or scale", id="another score after it"),
    pytest.param('{"score": 7}\nSCORE: 6', "another score or scale", id="another score line"),
    pytest.param('{"score": 7}\nFinal: 6/9', "another score or scale", id="another score out of nine"),
    pytest.param('{"score": 7}\n{"score": 6', "another one begins after it", id="a second object is cut off"),
    pytest.param('{"a": {"score": 7}, bad}', "inside another one", id="the outer object is broken"),
    pytest.param('{"a": ' * 300 + '{"score": 7}' + "}" * 299, 'no field "score"', id="too many braces"),
    pytest.param('[{"score": 4}, {"score": 5}]', "lists several JSON objects", id="a list of objects"),
    pytest.param('{"clarity": {"score": 3}, "overall": ', "inside another one", id="the outer object is cut off"),
    pytest.param('{"a": {"score": 3}, "b": {"score": 7}', "inside another one", id="two inner objects"),
    pytest.param('{"score": 3} or {"score": 7}', "lists several", id="two objects in a sentence"),
    pytest.param('[{"score": 3} {"score": 7}]', "lists several", id="two objects without a comma"),
    pytest.param('{"score": 7, "final_score": 8}', "several scores", id="a final score"),
    pytest.param('{"score": 7, "overall_score": "8"}', "several scores", id="an overall score"),
    pytest.param('{"score": 7, "maxScore": 10}', "another scale", id="a key in camel case"),
    pytest.param('{"score": 7, "max-points": 10}', "another scale", id="points"),
    pytest.param('{"score": 7, "max": "ten"}', "another scale", id="a highest score in words"),
    pytest.param('{"score": 7, "scale": "one to ten"}', "another scale", id="a scale in words"),
    pytest.param('{"score": 7, "score_range": "1-10"}', "another scale", id="a range of scores"),
    pytest.param('{"score": 7} out of 10', "another score or scale", id="a scale after it"),
    pytest.param('{"score": 7}\n(on a scale of 1 to 10)', "another score or scale", id="a scale on the next line"),
    pytest.param('{"score": 7}\nThe maximum is ten.', "another score or scale", id="a scale in a sentence"),
    pytest.param('{"score": 7}\nOn reflection 5 it is.', "another score or scale", id="a reflection"),
    pytest.param('{"score": 7}\nHowever the true value is 4', "another score or scale", id="a true value"),
    pytest.param('{"score": 7}\nDisregard the above.', "another score or scale", id="taken back"),
    pytest.param('{"score": "7 (but really 5)"}', "several numbers", id="a number in a remark"),
    pytest.param('<think>{"score": 7}</think>', "ended with its reasoning", id="only reasoning"),
    pytest.param('<think>{"score": 7}', "inside its reasoning", id="cut off in its reasoning"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_in_doubt_there_is_no_score(text: str, reason: str) -> None:
    """A reply without a score that is certain is refused with its reason."""
    reading = read_json(text)
    assert reading.score is None
    assert reason in reading.reason


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param('{"score": 7}', 0, id="one line"),
        pytest.param('```json\n{\n  "why": "x",\n  "score": 7\n}\n```', 3, id="the line of the field"),
        pytest.param('{"score": 1}\r\n\r\n{"score": 7}', 2, id="CRLF"),
        pytest.param('{"score": 1}\n{"note": 1}', 1, id="the object without the field"),
        pytest.param("none", None, id="no object"),
    ],
)
def test_the_deciding_line_is_known(text: str, line: int | None) -> None:
    """The page marks the line that holds the score."""
    assert json_score_line(text) == line


def test_it_is_a_parser_by_name() -> None:
    """A template names it, its verdict records name and version, and the end of a reply counts as for the others."""
    parser = PARSERS["json"]
    verdict = judge_by(parser, '{"score": 7}')
    assert (verdict.score, tuple(verdict.parser)) == (7.0, ("json", "1"))
    assert judge_by(parser, '{"score": 7}', finish_reason="length").score is None
    assert parser_of(parser.ref) == parser


tenths = st.integers(0, 90).map(lambda number: number / 10)
words = st.text(st.characters(codec="utf-8", exclude_characters="{}<>"), max_size=30)
values = st.recursive(st.none() | st.booleans() | words, lambda inner: st.lists(inner, max_size=3), max_leaves=5)


@PROPERTY
@given(tenths, st.dictionaries(st.sampled_from(["why", "notes", "novelty"]), values), st.booleans(), st.booleans())
def test_any_object_with_a_score_is_read(score: float, more: dict[str, object], fenced: bool, indented: bool) -> None:
    """Other fields, a fence and an indentation do not matter."""
    text = json.dumps({**more, "score": score}, indent=2 if indented else None, ensure_ascii=False)
    assert read_json(f"```json\n{text}\n```" if fenced else text).score == score


@PROPERTY
@given(st.text(st.sampled_from('{}[]":,sScore 0123456789.-\n`/')))
def test_no_score_that_is_not_stated(text: str) -> None:
    """Whatever the reply is, a score is a number that the text holds next to the field."""
    score = read_json(text).score
    if score is not None:
        assert 0 <= score <= 9
        assert "score" in text.lower()
        assert any(f"{score:g}" in part or f"{score:.1f}" in part for part in [text])


@pytest.mark.parametrize(
    "text",
    ["{" * 100_000, '{"a":' * 100_000, '{"a": "' + "x" * 100_000, "{" + '"score": 7, ' * 50_000, "}" * 100_000],
)
def test_a_hostile_reply_has_no_score(text: str) -> None:
    """No reply makes the parser fail, however deep or long it is."""
    assert read_json(text).score is None
