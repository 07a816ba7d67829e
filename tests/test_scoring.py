"""From a judge's reply to a score, or to the reason why there is none: a new strange reply is one new line here."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.cohorts.model import ParserRef
from include.cohorts.scoring import (
    DEFAULT_PARSER,
    PARSERS,
    judge_by,
    last_score_line,
    parse_score_text,
    parser_of,
    read_last_line,
    score_text,
    split_lines,
)

PROPERTY = settings(deadline=None, max_examples=300)

NO_LABEL = "none of the last three lines begins with SCORE"
EMPTY = "the reply is empty"
SCALE = "another scale"
NO_NUMBER = "no number"
SEVERAL = "several numbers"
MORE = "more than a number"
RANGE = "not from 0 to 9"


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        pytest.param("SCORE: 7", 7.0, id="as asked for"),
        pytest.param("SCORE: 7.5", 7.5, id="a decimal"),
        pytest.param("SCORE: 0", 0.0, id="lowest"),
        pytest.param("SCORE: 9", 9.0, id="highest"),
        pytest.param("SCORE: 9.0", 9.0, id="highest, a decimal"),
        pytest.param("SCORE: 0.0", 0.0, id="lowest, a decimal"),
        pytest.param("SCORE: 07", 7.0, id="a leading zero"),
        pytest.param("SCORE: 6.875", 6.875, id="three decimals"),
        pytest.param("Well argued.\nSCORE: 7\n", 7.0, id="reasons before"),
        pytest.param("score: 7", 7.0, id="lower case"),
        pytest.param("Score: 7", 7.0, id="title case"),
        pytest.param("sCoRe: 7", 7.0, id="any case"),
        pytest.param("SCORE 7", 7.0, id="no colon"),
        pytest.param("SCORE:7", 7.0, id="no blank"),
        pytest.param("SCORE : 7", 7.0, id="a blank before the colon"),
        pytest.param("SCORE:\t7\t", 7.0, id="tabs"),
        pytest.param("   SCORE: 7   ", 7.0, id="blanks around"),
        pytest.param("SCORE:\u00a07", 7.0, id="a no-break space"),
        pytest.param("Final Score: 7", 7.0, id="final score"),
        pytest.param("FINAL SCORE 7", 7.0, id="final score, no colon"),
        pytest.param("Final  Score: 7", 7.0, id="final score, two blanks"),
        pytest.param("Total Score: 7", 7.0, id="total score"),
        pytest.param("Total  Score: 7", 7.0, id="total score, two blanks"),
        pytest.param("total score:7.25", 7.25, id="total score, lower case"),
        pytest.param("**SCORE: 7**", 7.0, id="bold"),
        pytest.param("**SCORE:** 7", 7.0, id="bold label"),
        pytest.param("SCORE: **7**", 7.0, id="bold number"),
        pytest.param("### SCORE: 7", 7.0, id="a heading"),
        pytest.param("# **Final Score:** *7.5*", 7.5, id="heading, bold, italics"),
        pytest.param("`SCORE: 7`", 7.0, id="code"),
        pytest.param("```\nSCORE: 7\n```", 7.0, id="a code block"),
        pytest.param("__SCORE__: _7_", 7.0, id="underscores"),
        pytest.param("SCORE: 7 (good)", 7.0, id="a remark"),
        pytest.param("SCORE: 7 (it has 3 fresh ideas)", 7.0, id="a remark with a number"),
        pytest.param("SCORE: (after some thought) 7", 7.0, id="a remark before the number"),
        pytest.param("SCORE: 7 (good) (really)", 7.0, id="two remarks"),
        pytest.param("SCORE: 7 (out of 9)", 7.0, id="a remark on the right scale"),
        pytest.param("SCORE: 7 (7/9)", 7.0, id="a remark that repeats it on the right scale"),
        pytest.param("SCORE: 7()", 7.0, id="an empty remark"),
        pytest.param("SCORE: 7\n\n\n  \n", 7.0, id="blank lines behind"),
        pytest.param("SCORE: 7\r\n", 7.0, id="CRLF"),
        pytest.param("Reasons.\r\rSCORE: 7\r", 7.0, id="CR"),
        pytest.param("SCORE: 7\nThank you.", 7.0, id="a line behind"),
        pytest.param("SCORE: 7\nThank you.\nGoodbye.", 7.0, id="two lines behind"),
        pytest.param("SCORE: 7\n***\n---\nBye.", 7.0, id="a rule of asterisks is no line"),
        pytest.param("SCORE: 3\nNo, on reflection:\nSCORE: 7", 7.0, id="the last of two decides"),
        pytest.param("SCORE: 7\nSCORE: 3", 3.0, id="the last decides, also a worse one"),
        pytest.param("SCORE: x\nSCORE: 7", 7.0, id="an invalid one before"),
        pytest.param("SCORE: 5\na\nb\nc\nSCORE: 7", 7.0, id="an early one does not count"),
        pytest.param("Scored 5 on style.\nSCORE: 7", 7.0, id="scored is no label"),
        pytest.param("SCORE: 7\nScores of 5 and 6 were close.", 7.0, id="scores is no label"),
        pytest.param("\ufeffSCORE: 7", 7.0, id="a BOM"),
        pytest.param("SCORE: -0", 0.0, id="minus nothing is nothing"),
        pytest.param("x" * 100_000 + "\nSCORE: 7", 7.0, id="a long reply"),
    ],
)
def test_replies_with_a_score(reply: str, score: float) -> None:
    """The last labelled line of the last three states one number from 0 to 9: that is the score."""
    reading = read_last_line(reply)
    assert (repr(reading.score), reading.reason) == (repr(score), "")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param("", EMPTY, id="empty"),
        pytest.param(" \n\t\n\r\n", EMPTY, id="blank"),
        pytest.param("***\n###\n```\n```", EMPTY, id="marks alone"),
        pytest.param("7", NO_LABEL, id="a number alone"),
        pytest.param("A fine essay.", NO_LABEL, id="no score"),
        pytest.param("I give it a SCORE: 7", NO_LABEL, id="label inside the line"),
        pytest.param("The score is 7", NO_LABEL, id="the score is"),
        pytest.param("Overall score: 7", NO_LABEL, id="another label"),
        pytest.param("Rating: 7", NO_LABEL, id="rating"),
        pytest.param("Novelty score: 7", NO_LABEL, id="novelty score"),
        pytest.param("- SCORE: 7", NO_LABEL, id="a bullet"),
        pytest.param("> SCORE: 7", NO_LABEL, id="a quotation"),
        pytest.param('"SCORE: 7"', NO_LABEL, id="in quotation marks"),
        pytest.param("<score>7</score>", NO_LABEL, id="a tag"),
        pytest.param('{"score": 7}', NO_LABEL, id="JSON"),
        pytest.param("SCORES: 7", NO_LABEL, id="scores"),
        pytest.param("Scored: 7", NO_LABEL, id="scored"),
        pytest.param("SCORE7", NO_LABEL, id="run together"),
        pytest.param("SC0RE: 7", NO_LABEL, id="a zero for an O"),
        pytest.param("ＳＣＯＲＥ: 7", NO_LABEL, id="wide letters"),
        pytest.param("SCORE: 7\na\nb\nc", NO_LABEL, id="three lines behind"),
        pytest.param("SCORE: 7\n\na\n\nb\n\nc\n", NO_LABEL, id="three lines and blank ones behind"),
        pytest.param("SCORE:\n7", NO_NUMBER, id="number on the next line"),
        pytest.param("SCORE:", NO_NUMBER, id="nothing behind the label"),
        pytest.param("SCORE", NO_NUMBER, id="the label alone"),
        pytest.param("SCORE: seven", NO_NUMBER, id="a word"),
        pytest.param("SCORE: N/A", NO_NUMBER, id="not applicable"),
        pytest.param("SCORE: <n>", NO_NUMBER, id="the placeholder"),
        pytest.param("SCORE: (7)", NO_NUMBER, id="the number as a remark"),
        pytest.param("SCORE: VII", NO_NUMBER, id="roman"),
        pytest.param("SCORE: ７", NO_NUMBER, id="a wide digit"),
        pytest.param("SCORE: ٧", NO_NUMBER, id="an Arabic digit"),
        pytest.param("SCORE: ½", NO_NUMBER, id="a fraction sign"),
        pytest.param("SCORE: nan", NO_NUMBER, id="nan"),
        pytest.param("SCORE: inf", NO_NUMBER, id="inf"),
        pytest.param("SCORE: 7/10", SCALE, id="of ten"),
        pytest.param("SCORE: 7 / 10", SCALE, id="of ten, blanks"),
        pytest.param("SCORE: 7/9", SCALE, id="of nine"),
        pytest.param("SCORE: 85%", SCALE, id="per cent"),
        pytest.param("SCORE: 85 %", SCALE, id="per cent, a blank"),
        pytest.param("SCORE: 7%", SCALE, id="seven per cent"),
        pytest.param("SCORE: 7 out of 10", SCALE, id="out of"),
        pytest.param("SCORE: 7 OUT OF 9", SCALE, id="out of nine, capitals"),
        pytest.param("SCORE: 7 of 10", SCALE, id="of"),
        pytest.param("**Final Score: 8.5/10**", SCALE, id="bold, of ten"),
        pytest.param("SCORE: 7\x0b/10", SCALE, id="of ten, behind a vertical tab"),
        pytest.param("SCORE: 7 (scale 1.0-9.5)", SCALE, id="a scale with 0-9 in it"),
        pytest.param("SCORE: 7 8", SEVERAL, id="two numbers"),
        pytest.param("SCORE: 7, 8", SEVERAL, id="a list"),
        pytest.param("SCORE: 7-8", SEVERAL, id="a range"),
        pytest.param("SCORE: 7–8", SEVERAL, id="a range with a dash"),
        pytest.param("SCORE: 7 or 8", SEVERAL, id="or"),
        pytest.param("SCORE: 7,5", SEVERAL, id="a decimal comma"),
        pytest.param("SCORE: 7.5.1", SEVERAL, id="two points"),
        pytest.param("SCORE: 1e1", SEVERAL, id="an exponent"),
        pytest.param("SCORE: **7** **8**", SEVERAL, id="two in bold"),
        pytest.param("SCORE: 7 + 1", SEVERAL, id="a sum"),
        pytest.param("SCORE: 7 (style) 8 (novelty)", SEVERAL, id="two, each with its remark"),
        pytest.param("SCORE: 1.5*2", SEVERAL, id="a product"),
        pytest.param("SCORE: 0*5", SEVERAL, id="a product of digits"),
        pytest.param("SCORE: **0****5**", SEVERAL, id="two in bold, run together"),
        pytest.param("Score 1: 7", SEVERAL, id="a numbered label"),
        pytest.param("SCORE: 7.", MORE, id="a full stop"),
        pytest.param("SCORE: .5", MORE, id="no digit before the point"),
        pytest.param("SCORE: +7", MORE, id="a plus"),
        pytest.param("SCORE: - 7", MORE, id="a dash and a blank"),
        pytest.param("SCORE: ~7", MORE, id="about"),
        pytest.param("SCORE: 7 points", MORE, id="points"),
        pytest.param("SCORE: 7 offhand", MORE, id="a word that begins like of"),
        pytest.param("SCORE: 7!", MORE, id="a mark"),
        pytest.param("SCORE: 7X", MORE, id="a letter"),
        pytest.param("SCORE = 7", MORE, id="an equals sign"),
        pytest.param("SCORE:: 7", MORE, id="two colons"),
        pytest.param("SCORE is 7", MORE, id="a verb"),
        pytest.param("SCORE: <7>", MORE, id="in angle brackets"),
        pytest.param("SCORE: [7]", MORE, id="in square brackets"),
        pytest.param("SCORE: $7$", MORE, id="in dollars"),
        pytest.param("SCORE: 7 (never closed", MORE, id="a remark not closed"),
        pytest.param("SCORE: 7 [good]", MORE, id="a remark in square brackets"),
        pytest.param("SCORE: 7\u200b", MORE, id="a zero width space"),
        pytest.param("SCORE: 7 <|end|>", MORE, id="a token of the model"),
        pytest.param("SCORE: 10", RANGE, id="ten"),
        pytest.param("SCORE: 9.1", RANGE, id="a little too high"),
        pytest.param("SCORE: 9.0001", RANGE, id="a hair too high"),
        pytest.param("SCORE: -1", RANGE, id="below nothing"),
        pytest.param("SCORE: -0.1", RANGE, id="a little too low"),
        pytest.param("SCORE: 75", RANGE, id="of a hundred"),
        pytest.param("SCORE: " + "9" * 5000, RANGE, id="a number without end"),
        pytest.param("SCORE: 7\nSCORE: 7/10", SCALE, id="no falling back from another scale"),
        pytest.param("SCORE: 7\nScore: see above", NO_NUMBER, id="no falling back from a remark"),
        pytest.param("SCORE: 7\nSCORE: 11", RANGE, id="no falling back from out of range"),
        pytest.param("SCORE: 7\nScore-wise it could be better.", NO_NUMBER, id="no falling back from score-wise"),
    ],
)
def test_replies_without_a_score(reply: str, reason: str) -> None:
    """A reply that does not state one number on the scale is unscored with its reason: no clamping, no guess."""
    reading = read_last_line(reply)
    assert reading.score is None
    assert reason in reading.reason


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param("SCORE: 7 (out of 10)", id="out of ten"),
        pytest.param("SCORE: 7 (/10)", id="of ten"),
        pytest.param("SCORE: 7 (7/10)", id="repeated, of ten"),
        pytest.param("SCORE: 7 ( 7 / 10 )", id="repeated, of ten, blanks"),
        pytest.param("SCORE: 8.5 (8.5/10)", id="a decimal, of ten"),
        pytest.param("SCORE: 7 (7 of 10)", id="of ten in a word"),
        pytest.param("SCORE: 7 (OUT OF 10)", id="out of ten, capitals"),
        pytest.param("SCORE: 7 (out of 9.5)", id="out of a decimal"),
        pytest.param("SCORE: 7 (out of 10 points)", id="out of ten points"),
        pytest.param("SCORE: 1 (out of 1 point)", id="out of one point"),
        pytest.param("SCORE: 8.5 (85%)", id="as per cent"),
        pytest.param("SCORE: 7 (on a scale of 1 to 10)", id="a scale in words"),
        pytest.param("SCORE: 4 (SCALE 1-5)", id="a scale in capitals"),
        pytest.param("SCORE: 7 (scale 0 to 90)", id="a scale that begins like the right one"),
        pytest.param("SCORE: 7 (scale 10-9)", id="a scale that ends like the right one"),
    ],
)
def test_another_scale_in_a_remark_is_unscored(reply: str) -> None:
    """A judge that says it used another scale is not read as if it had used this one."""
    assert read_last_line(reply).score is None


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param("SCORE: 7 (strong in 3 of 4 criteria)", id="some of several"),
        pytest.param("SCORE: 7 (one of 5 I would publish)", id="one of several"),
        pytest.param("SCORE: 7 (90% sure)", id="how sure"),
        pytest.param("SCORE: 7 (nothing/10 words wasted)", id="a slash"),
        pytest.param("SCORE: 7 (one for the 5 upscale magazines)", id="upscale"),
        pytest.param("SCORE: 7 (scales 1 idea to 5)", id="scales"),
    ],
)
def test_a_remark_with_numbers_is_still_a_remark(reply: str) -> None:
    """What a judge remarks on is no scale: only a remark that is nothing but a scale is one."""
    assert read_last_line(reply).score == 7.0


@pytest.mark.parametrize(
    "remark",
    [
        pytest.param("(scale 0-9)", id="a dash"),
        pytest.param("(on a scale of 0 to 9)", id="in words"),
        pytest.param("(on the 0 - 9 scale)", id="blanks"),
        pytest.param("(Scale: 0-9, 9 is best)", id="explained"),
    ],
)
def test_the_right_scale_in_a_remark_is_fine(remark: str) -> None:
    """A judge that repeats the scale that it was asked for is scored."""
    assert read_last_line(f"SCORE: 7 {remark}").score == 7.0


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param("SCORE: 9." + "0" * 20 + "1", id="above nine"),
        pytest.param("SCORE: -0." + "0" * 400 + "1", id="below nothing"),
    ],
)
def test_a_number_is_not_rounded_onto_the_scale(reply: str) -> None:
    """A number off the scale is off it however little."""
    assert read_last_line(reply).score is None


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param("", "the reply is empty", id="empty"),
        pytest.param("Fine.", "none of the last three lines begins with SCORE", id="no label"),
        pytest.param("SCORE: 7/10", "the score line uses another scale: '7/10'", id="scale"),
        pytest.param("SCORE: seven", "the score line states no number: 'seven'", id="no number"),
        pytest.param("SCORE: 7 or 8", "the score line states several numbers: '7 or 8'", id="several"),
        pytest.param("SCORE: 7 points", "the score line states more than a number: '7 points'", id="more"),
        pytest.param("SCORE: 10 (superb)", "the score is not from 0 to 9: '10'", id="range"),
        pytest.param("SCORE: " + "x" * 80, f"the score line states no number: '{'x' * 80}'", id="as long as shown"),
        pytest.param("SCORE: " + "x" * 81, f"the score line states no number: '{'x' * 77}...'", id="too long"),
    ],
)
def test_a_reason_quotes_the_line_but_not_all_of_a_long_one(reply: str, reason: str) -> None:
    """The reason says what is wrong and shows what stood there, cut to a length that a table can hold."""
    assert read_last_line(reply).reason == reason


@pytest.mark.parametrize(
    ("text", "truncated", "score", "reason"),
    [
        pytest.param("SCORE: 7", False, 7.0, "", id="whole"),
        pytest.param(
            "SCORE: 7", True, None, "truncated: the reply hit its token limit", id="cut off behind the score"
        ),
        pytest.param("Because of", True, None, "truncated: the reply hit its token limit", id="cut off before"),
        pytest.param("", True, None, "truncated: the reply hit its token limit", id="cut off at once"),
        pytest.param("", False, None, EMPTY, id="empty"),
    ],
)
def test_a_truncated_reply_is_unscored(text: str, truncated: bool, score: float | None, reason: str) -> None:
    """A reply that hit its token limit is unscored whatever it says, and the verdict names the parser's version."""
    verdict = judge_by(PARSERS[DEFAULT_PARSER], text, finish_reason="length" if truncated else "stop")
    assert (verdict.score, verdict.reason) == (score, reason)
    assert verdict.parser == PARSERS[DEFAULT_PARSER].ref


def test_the_default_parser_is_in_last_line() -> None:
    """A template without a parser has `in_last_line`, whose name and version go into the verdict."""
    assert DEFAULT_PARSER == "in_last_line"
    assert PARSERS["in_last_line"].ref == ParserRef("in_last_line", "1")


def test_each_parser_is_filed_under_its_name() -> None:
    """A parser's key is the name that it writes into its verdicts."""
    assert {name: parser.ref.name for name, parser in PARSERS.items()} == {name: name for name in PARSERS}


def test_an_unknown_parser_is_no_verdict() -> None:
    """A name that planning should have refused raises instead of scoring by another parser."""
    with pytest.raises(KeyError):
        parser_of(ParserRef("in_first_line", "1"))


words = st.sampled_from(
    [
        "SCORE",
        "Final Score",
        "Total Score",
        ":",
        " ",
        "7",
        "9.5",
        "-",
        ".",
        "/10",
        "%",
        "(",
        ")",
        "**",
        "#",
        "\n",
        "a",
    ]
)


@PROPERTY
@given(st.one_of(st.text(max_size=200), st.lists(words, max_size=25).map("".join)), st.booleans())
@example("SCORE: " + "(" * 5000, False)
@example("SCORE" + " " * 20_000 + "7 8", False)
@example("SCORE: 7" + " " * 20_000 + "x", False)
@example("\n" * 20_000, False)
def test_no_reply_makes_the_parser_fail(reply: str, truncated: bool) -> None:
    """Any reply has either a score from 0 to 9 or a reason, never both and never an exception."""
    verdict = judge_by(PARSERS[DEFAULT_PARSER], reply, finish_reason="length" if truncated else "stop")
    if verdict.score is None:
        assert verdict.reason
    else:
        assert not truncated
        assert 0.0 <= verdict.score <= 9.0
        assert verdict.reason == ""


@PROPERTY
@given(
    st.integers(0, 900).map(lambda hundredths: hundredths / 100),
    st.sampled_from(["SCORE", "Final Score", "Total Score"]),
    st.sampled_from([":", "", " :"]),
    st.sampled_from(["", "**", "_", "`", "###"]),
    st.text(max_size=200),
)
def test_a_stated_score_is_read(score: float, label: str, colon: str, mark: str, reasoning: str) -> None:
    """Whatever the judge reasons before it, a score stated on the last line is the score."""
    assert read_last_line(f"{reasoning}\n{mark}{label}{colon} {score}{mark}").score == score


@pytest.mark.parametrize(
    ("score", "text"),
    [
        pytest.param(7.0, "7.0\n", id="whole"),
        pytest.param(0.0, "0.0\n", id="lowest"),
        pytest.param(9.0, "9.0\n", id="highest"),
        pytest.param(6.25, "6.25\n", id="a fraction"),
    ],
)
def test_the_text_of_a_score(score: float, text: str) -> None:
    """parsed.txt holds the score and a newline, as stores in the wild do."""
    assert score_text(score) == text


@pytest.mark.parametrize(
    ("text", "score"),
    [
        pytest.param("7.0\n", 7.0, id="as written"),
        pytest.param("7", 7.0, id="no point, no newline"),
        pytest.param(" 7.5 \r\n", 7.5, id="blanks and CRLF"),
        pytest.param("0\n", 0.0, id="lowest"),
        pytest.param("9.0\n", 9.0, id="highest"),
        pytest.param("", None, id="empty"),
        pytest.param("\n", None, id="a newline alone"),
        pytest.param("9.1\n", None, id="too high"),
        pytest.param("-1\n", None, id="too low"),
        pytest.param("nan", None, id="nan"),
        pytest.param("inf", None, id="inf"),
        pytest.param("None", None, id="none"),
        pytest.param("seven", None, id="a word"),
        pytest.param("７", None, id="a wide digit"),
        pytest.param("7.0\n8.0\n", None, id="two scores"),
        pytest.param("SCORE: 7", None, id="a reply"),
        pytest.param("7_0", None, id="an underscore"),
        pytest.param("{}", None, id="JSON"),
    ],
)
def test_the_score_of_a_text(text: str, score: float | None) -> None:
    """A parsed.txt is read as a score from 0 to 9, or as none: never as a guess."""
    assert parse_score_text(text) == score


def test_a_bom_before_a_score_is_accepted() -> None:
    """A BOM is accepted everywhere, so too in a parsed.txt of an older program."""
    assert parse_score_text("\ufeff7.0\n") == 7.0


@PROPERTY
@given(st.floats(0, 9).map(abs))
@example(5e-324)
def test_a_score_reads_back(score: float) -> None:
    """Every score that is written is read as the same number."""
    assert parse_score_text(score_text(score)) == score
    assert "e" not in score_text(score)


def test_a_tiny_score_reads_back() -> None:
    """A score that the parser accepts is one that its parsed.txt can hold."""
    score = read_last_line("SCORE: 0.00001").score
    assert score is not None
    assert parse_score_text(score_text(score)) == score


# ---------------------------------------------------------------- the line that decides


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        pytest.param("SCORE: 7", 0, id="the only line"),
        pytest.param("Fine.\n\n**SCORE: 7**\n\n", 2, id="empty lines count as lines"),
        pytest.param("SCORE: 7\r\nFine.\rBye.", 0, id="any line ends"),
        pytest.param("SCORE: 3\nNo.\nFinal score: 7\nBye.", 2, id="the last of two"),
        pytest.param("SCORE: 7\n\n## SCORE:\n", 2, id="a label without a number decides too"),
        pytest.param("SCORE: 7/10", 0, id="a line that is refused"),
        pytest.param("SCORE: 7\na\nb\nc", None, id="too far from the end"),
        pytest.param("My score is 7.", None, id="no line begins with a label"),
        pytest.param("a\x0bSCORE: 7", None, id="no line end to an editor"),
        pytest.param("\n \n", None, id="blank"),
        pytest.param("", None, id="empty"),
    ],
)
def test_the_line_that_decides(reply: str, line: int | None) -> None:
    """Lines are counted from 0 as an editor does; the last one with a label among the last three decides."""
    assert last_score_line(reply) == line
    assert PARSERS[DEFAULT_PARSER].deciding_line(reply) == line


@PROPERTY
@given(st.one_of(st.text(max_size=200), st.lists(words, max_size=25).map("".join)))
def test_the_deciding_line_says_what_the_reply_says(reply: str) -> None:
    """Read on its own, the deciding line gives the reply's score or refusal; without one there is no score."""
    line, reading = last_score_line(reply), read_last_line(reply)
    if line is None:
        assert reading.reason in (NO_LABEL, EMPTY)
    else:
        assert read_last_line(split_lines(reply)[line]) == reading
        assert reading.reason not in (NO_LABEL, EMPTY)


@PROPERTY
@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n"), max_size=5), min_size=1),
    st.sampled_from(["\n", "\r", "\r\n"]),
)
@example(["a\x0bb", "c\u2028d", "e\x85"], "\n")
def test_lines_are_split_where_an_editor_does(lines: list[str], end: str) -> None:
    """A line ends with LF, CR or both, and with nothing else that Unicode calls a line end."""
    assert split_lines(end.join(lines)) == lines
