"""Tests of reading a score, or the reason for having none, from a reply. Each new odd reply is one new line here."""

from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from essay_cohorts.domain import ParserRef, Template, Verdict
from essay_cohorts.judging.parsers import (
    DEFAULT_PARSER,
    PARSERS,
    Reading,
    judge_by,
    last_score_line,
    parse_score_text,
    parser_of,
    read_last_line,
    score_text,
    split_lines,
    template_parser,
    verdict_record,
)
from essay_cohorts.rubric import DEFAULT_RUBRIC, DEFAULT_SCALE

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
        pytest.param("SCORE: 7\n***\n---\nBye.", 7.0, id="a rule of asterisks is not a line with words"),
        pytest.param("SCORE: 3\nNo, on reflection:\nSCORE: 7", 7.0, id="the last of two decides"),
        pytest.param("SCORE: 7\nSCORE: 3", 3.0, id="the last decides, also a worse one"),
        pytest.param("SCORE: x\nSCORE: 7", 7.0, id="an invalid one before"),
        pytest.param("SCORE: 5\na\nb\nc\nSCORE: 7", 7.0, id="an early one does not count"),
        pytest.param("Scored 5 on style.\nSCORE: 7", 7.0, id="scored is not a label"),
        pytest.param("SCORE: 7\nScores of 5 and 6 were close.", 7.0, id="scores is not a label"),
        pytest.param("\ufeffSCORE: 7", 7.0, id="a BOM"),
        pytest.param("SCORE: -0", 0.0, id="minus zero is zero"),
        pytest.param("x" * 100_000 + "\nSCORE: 7", 7.0, id="a long reply"),
    ],
)
def test_replies_with_a_score(reply: str, score: float) -> None:
    """The score is the number from 0 to 9 in the last labelled line among the last three lines."""
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
        pytest.param("Rating: 7", NO_LABEL, id="rating"),
        pytest.param("Novelty score: 7", NO_LABEL, id="novelty score"),
        pytest.param('"SCORE: 7"', NO_LABEL, id="in quotation marks"),
        pytest.param("<score>7</score>", NO_LABEL, id="a tag"),
        pytest.param('{"score": 7}', NO_LABEL, id="JSON"),
        pytest.param("SCORES: 7", NO_LABEL, id="scores"),
        pytest.param("Scored: 7", NO_LABEL, id="scored"),
        pytest.param("SCORE7", NO_LABEL, id="run together"),
        pytest.param("SC0RE: 7", NO_LABEL, id="a zero for an O"),
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
        pytest.param("SCORE: ٧", NO_NUMBER, id="an Arabic digit"),
        pytest.param("SCORE: ½", NO_NUMBER, id="a fraction sign"),
        pytest.param("SCORE: nan", NO_NUMBER, id="nan"),
        pytest.param("SCORE: inf", NO_NUMBER, id="inf"),
        pytest.param("SCORE: 7/10", SCALE, id="of ten"),
        pytest.param("SCORE: 7 / 10", SCALE, id="of ten, blanks"),
        pytest.param("SCORE: 85%", SCALE, id="per cent"),
        pytest.param("SCORE: 85 %", SCALE, id="per cent, a blank"),
        pytest.param("SCORE: 7%", SCALE, id="seven per cent"),
        pytest.param("SCORE: 7 out of 10", SCALE, id="out of"),
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
        pytest.param("SCORE: 7..", MORE, id="two full stops"),
        pytest.param("SCORE: .5", MORE, id="no digit before the point"),
        pytest.param("SCORE: +7", MORE, id="a plus"),
        pytest.param("SCORE: - 7", MORE, id="a dash and a blank"),
        pytest.param("SCORE: ~7", MORE, id="about"),
        pytest.param("SCORE: 7 pointless", MORE, id="a word that begins like point"),
        pytest.param("SCORE: 7 offhand", MORE, id="a word that begins like of"),
        pytest.param("SCORE: 7!", MORE, id="a mark"),
        pytest.param("SCORE: 7X", MORE, id="a letter"),
        pytest.param("SCORE:: 7", MORE, id="two colons"),
        pytest.param("SCORE is 7", MORE, id="a verb"),
        pytest.param("SCORE: 7 (never closed", MORE, id="a remark not closed"),
        pytest.param("SCORE: 7 [good]", MORE, id="a remark in square brackets"),
        pytest.param("SCORE: 10", RANGE, id="ten"),
        pytest.param("SCORE: 9.1", RANGE, id="a little too high"),
        pytest.param("SCORE: 9.0001", RANGE, id="a hair too high"),
        pytest.param("SCORE: -1", RANGE, id="below zero"),
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
    """A reply that does not state one number on the scale has a reason and no score; nothing is guessed."""
    reading = read_last_line(reply)
    assert reading.score is None
    assert reason in reading.reason


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param("SCORE: 7.", id="a full stop"),
        pytest.param("SCORE: **7**.", id="a full stop behind marks"),
        pytest.param("SCORE: 7。", id="an ideographic full stop"),
        pytest.param("SCORE: 7 (good).", id="a full stop behind a remark"),
        pytest.param("SCORE: 7. (good)", id="a full stop before a remark"),
        pytest.param("SCORE: [7]", id="square brackets"),
        pytest.param("SCORE: [ 7 ]", id="square brackets with blanks"),
        pytest.param("SCORE: [[7]]", id="double square brackets"),
        pytest.param("SCORE: <7>", id="angle brackets"),
        pytest.param("SCORE: <<7>>", id="double angle brackets"),
        pytest.param("SCORE: [7/9]", id="of nine in brackets"),
        pytest.param("SCORE: [7] out of 9", id="brackets before the scale"),
        pytest.param("SCORE: $7$", id="dollars"),
        pytest.param("SCORE: $\\boxed{7}$", id="boxed"),
        pytest.param("SCORE: \\boxed{7}", id="boxed without dollars"),
        pytest.param("SCORE: \\(\\boxed{7}\\)", id="boxed in a formula"),
        pytest.param("SCORE: $$[[7]]$$", id="four wraps"),
        pytest.param("SCORE：7", id="a wide colon"),
        pytest.param("SCORE: ７", id="a wide digit"),
        pytest.param("SCORE: ７．０", id="wide digits and point"),
        pytest.param("ＳＣＯＲＥ: 7", id="wide letters"),
        pytest.param("SCORE = 7", id="an equals sign"),
        pytest.param("SCORE=7", id="an equals sign without blanks"),
        pytest.param("SCORE - 7", id="a dash between blanks"),
        pytest.param("SCORE – 7", id="an en dash between blanks"),
        pytest.param("SCORE — **7**", id="an em dash and bold"),
        pytest.param("- SCORE: 7", id="a dash before"),
        pytest.param("+ SCORE: 7", id="a plus before"),
        pytest.param("• SCORE: 7", id="a bullet before"),
        pytest.param("> SCORE: 7", id="a quotation"),
        pytest.param("> - **SCORE:** 7", id="a quoted list"),
        pytest.param("3. SCORE: 7", id="an item of a list"),
        pytest.param("1) SCORE: 7", id="an item with a parenthesis"),
        pytest.param("Overall Score: 7", id="overall score"),
        pytest.param("SCORE: 7/9", id="of nine"),
        pytest.param("SCORE: 7 / 9", id="of nine, blanks"),
        pytest.param("SCORE: 7/9.0", id="of nine, a decimal"),
        pytest.param("SCORE: 7/9.", id="of nine, a full stop"),
        pytest.param("SCORE: 7 OUT OF 9", id="out of nine, capitals"),
        pytest.param("SCORE: 7 of 9", id="of nine in a word"),
        pytest.param("SCORE: 7 points", id="points"),
        pytest.param("SCORE: 7 pts.", id="pts"),
        pytest.param("SCORE: 7 out of 9 points", id="points behind the scale"),
        pytest.param("SCORE: 7 points out of 9", id="points before the scale"),
        pytest.param("Score (0-9): 7", id="the scale in the label"),
        pytest.param("**Score (0–9):** 7", id="the scale in a bold label"),
        pytest.param("Score [0-9] = 7", id="the scale in square brackets"),
        pytest.param("Score (on a scale from 0 to 9) - 7", id="the scale in words"),
        pytest.param("Score (out of 9): 7", id="out of nine in the label"),
        pytest.param("Score (on a scale from 0 to 9, out of the points): 7", id="every word of a scale"),
        pytest.param("SCORE: 7 - a solid essay", id="a remark behind a dash"),
        pytest.param("SCORE: 7 – a solid essay.", id="a remark behind an en dash"),
        pytest.param("SCORE: 7—solid", id="a remark behind an em dash"),
        pytest.param("SCORE: 7 - one of the best", id="a count in a remark"),
        pytest.param("SCORE: 7/9 (good) - a solid essay", id="scale and both remarks"),
        pytest.param("SCORE: 7 (scale 0–9) - solid - really", id="two dashes"),
        pytest.param("SCORE: 7<|eot_id|>", id="an end token"),
        pytest.param("SCORE: 7 <|im_end|></s>", id="two end tokens"),
        pytest.param("SCORE: 7 <end_of_turn>", id="an end token in words"),
        pytest.param("SCORE: 7<｜end▁of▁sentence｜>", id="a wide end token"),
        pytest.param("SCORE: 7\na\nb\n<|eot_id|>", id="a line of an end token is empty"),
        pytest.param("\u200bSCORE: \u200e7\u200f", id="zero-width and direction marks"),
        pytest.param("SC\u00adORE:\u2060 7\ufeff", id="a soft hyphen in the label"),
        pytest.param("SCORE: 7\u200b.", id="a zero-width space before a full stop"),
    ],
)
def test_decoration_does_not_change_a_score(reply: str) -> None:
    """Decoration, the right scale and remarks without numbers do not change the score."""
    assert read_last_line(reply) == Reading(score=7.0)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param("SCORE: 8²", MORE, id="a square"),
        pytest.param("SCORE: 7½", MORE, id="a half"),
        pytest.param("SCORE: ①", NO_NUMBER, id="a digit in a circle"),
        pytest.param("SCORE: 𝟟", NO_NUMBER, id="a digit of formulas"),
        pytest.param("SCORE: 0\u200b5", SEVERAL, id="a zero-width space inside"),
        pytest.param("SCORE: -\u200e8", MORE, id="a direction mark behind a minus"),
        pytest.param("SCORE: \u202e8.5", MORE, id="an override, which shows 5.8"),
        pytest.param("SCORE: 0[5]", SEVERAL, id="a bracket inside"),
        pytest.param("SCORE: [7] [8]", SEVERAL, id="two in brackets"),
        pytest.param("SCORE: [7-8]", SEVERAL, id="a range in brackets"),
        pytest.param("SCORE: [7", MORE, id="a bracket not closed"),
        pytest.param("SCORE: [[[[[7]]]]]", MORE, id="five brackets"),
        pytest.param("SCORE -7", RANGE, id="a minus behind the label"),
        pytest.param("SCORE -**7**", MORE, id="a minus before bold"),
        pytest.param("SCORE- 7", MORE, id="a dash without a blank before"),
        pytest.param("SCORE–7", MORE, id="an en dash without blanks"),
        pytest.param("SCORE - -7", RANGE, id="a negative number behind a dash"),
        pytest.param("SCORE: 7 to 8", "a range", id="a range in words"),
        pytest.param("SCORE: 7 - 8", "a range", id="a range with blanks"),
        pytest.param("SCORE: 7—8", "a range", id="a range with an em dash"),
        pytest.param("SCORE: 7,5", "a decimal comma", id="a decimal comma"),
        pytest.param("SCORE: 7/9 - 8", "a range", id="a range behind the scale"),
        pytest.param("SCORE: 7 (good) - 8", "a range", id="a range around a remark"),
        pytest.param("SCORE: 7 (good) /10", SCALE, id="a scale behind a remark"),
        pytest.param("SCORE: 7 - from 1 - 5 really", SCALE, id="a range in a remark behind a dash"),
        pytest.param("SCORE: 7/9 8", SEVERAL, id="a number behind the scale"),
        pytest.param("SCORE: 10/9", RANGE, id="more than the scale"),
        pytest.param("SCORE: 7/95", SCALE, id="a scale that begins like nine"),
        pytest.param("SCORE: 7/9.5", SCALE, id="nine and a half"),
        pytest.param("SCORE: 7/9/10", SCALE, id="two scales"),
        pytest.param("SCORE: 7 out of ten", SCALE, id="out of ten in words"),
        pytest.param("SCORE: 80 percent", SCALE, id="percent"),
        pytest.param("SCORE: 80 per cent", SCALE, id="per cent in words"),
        pytest.param("SCORE: 7％", SCALE, id="a wide per cent sign"),
        pytest.param("SCORE: 7 - out of ten", SCALE, id="out of ten in a remark"),
        pytest.param("SCORE: 7 - good for pages 3", SEVERAL, id="a digit in a remark"),
        pytest.param("SCORE: 7 - ½ better", MORE, id="a fraction in a remark"),
        pytest.param("SCORE: 7 -", MORE, id="a dash without a remark"),
        pytest.param("SCORE: 7 -solid", MORE, id="a dash without a blank behind"),
        pytest.param("SCORE: 7 - eight", "one in a remark", id="a number word as a remark"),
        pytest.param("SCORE: 7 - one", "one in a remark", id="one as a remark"),
        pytest.param("SCORE: 7 - zero", "one in a remark", id="zero as a remark"),
        pytest.param("SCORE: 7 - or eight", "one in a remark", id="a doubt in words"),
        pytest.param("SCORE: 7 (8)", "one in a remark", id="another number as a remark"),
        pytest.param("SCORE: 7 (or 8)", "one in a remark", id="a doubt in parentheses"),
        pytest.param("SCORE: 7 (6/9)", "one in a remark", id="another number of nine"),
        pytest.param("SCORE: 7 (6 out of 9, really)", "one in a remark", id="another number of nine, with words"),
        pytest.param("Score (1-5): 4", SCALE, id="another scale in the label"),
        pytest.param("Score [out of 10]: 7", SCALE, id="out of ten in the label"),
        pytest.param("Score (novelty): 7", MORE, id="a criterion in the label"),
        pytest.param("Score (novelty, 0-9): 7", MORE, id="a criterion and the scale in the label"),
        pytest.param("Score (9): 7", MORE, id="a number in the label"),
        pytest.param("Score (points): 7", MORE, id="no scale in the label"),
        pytest.param("SCORE: 7<|8|>", SEVERAL, id="a token with a digit"),
        pytest.param("2024. SCORE: 7", NO_LABEL, id="a year before the label"),
        pytest.param("3.SCORE: 7", NO_LABEL, id="an item without a blank"),
        pytest.param("SCORE: 7\na\nb\nc.<|eot_id|>", NO_LABEL, id="a line with an end token is a line"),
    ],
)
def test_doubt_is_refused(reply: str, reason: str) -> None:
    """A reply with a second number, another scale or a character that changes the number is refused."""
    reading = read_last_line(reply)
    assert reading.score is None
    assert reason in reading.reason


@pytest.mark.parametrize(
    "later",
    [
        pytest.param("Revised score: 6", id="revised"),
        pytest.param("Corrected: 6", id="corrected"),
        pytest.param("Actually, I'd say 6/9", id="of nine"),
        pytest.param("I see it at 6 out of 9 now", id="out of nine"),
        pytest.param("Actually, six.", id="a word"),
        pytest.param("On reflection, **6**", id="on reflection"),
        pytest.param("6", id="a number alone"),
        pytest.param("(6.)", id="a number in parentheses"),
        pytest.param("six", id="a number word alone"),
        pytest.param("6 (0-9)", id="a number and the scale"),
        pytest.param("7/9, 6", id="the same score and another"),
        pytest.param("That is 7/10", id="another scale"),
        pytest.param("Correction: after I read it again, I lower this to a 6.", id="a long sentence"),
        pytest.param("The essay deserves a 6.", id="deserves"),
        pytest.param("7 -> 6", id="an arrow"),
        pytest.param("That makes 6 points.", id="points"),
        pytest.param("Hmm, 6 instead.", id="instead"),
        pytest.param("Confidence: 6, and the score is 5.", id="how sure, and another score"),
        pytest.param("Make it 6 because of the ending.", id="make it"),
        pytest.param("I change it from 7 to 6.", id="from and to"),
        pytest.param("My final SCORE: 6", id="a label inside"),
        pytest.param("Revised score: 10", id="off the scale"),
        pytest.param("Revised score: -7", id="negative"),
        pytest.param("Fine.\nRevised score: 6", id="two lines behind"),
        pytest.param("Revised score: 6\nFine.", id="another line behind it"),
    ],
)
def test_a_later_line_with_another_score(later: str) -> None:
    """A reply whose later line states another score has no score, because neither number is certain."""
    reading = read_last_line(f"SCORE: 7\n{later}")
    assert reading.score is None
    assert reading.reason.startswith("a later line states another score: ")


@pytest.mark.parametrize(
    "later",
    [
        pytest.param("Thanks for reading the 3 drafts.", id="a count"),
        pytest.param("No, the 3 drafts are fine.", id="a count and a cue"),
        pytest.param("I give credit for its 3 ideas and 2 sources.", id="two counts and a cue"),
        pytest.param("Actually, the two drafts differ.", id="a count in words"),
        pytest.param("Actually, this one.", id="one"),
        pytest.param("Final score: see above\nSCORE: 7", id="a label line behind decides"),
        pytest.param("My rating stays 7.", id="the same score"),
        pytest.param("Rating: 7.0 / 9", id="the same score of nine"),
        pytest.param("7", id="the same number alone"),
        pytest.param("seven", id="the same number word alone"),
        pytest.param("The rating is on a scale from 0 to 9.", id="the wanted scale"),
        pytest.param("Confidence: 0.9", id="how sure"),
        pytest.param("Confidence: 90%", id="how sure, per cent"),
        pytest.param("Confidence: 8/10", id="how sure, of ten"),
        pytest.param("My confidence in this score: 6/9.", id="how sure, of nine"),
        pytest.param("Confidence score (0-10): 6", id="how sure, a label with score"),
        pytest.param("I am GPT-4 and my verdict is made.", id="a number in a name"),
        pytest.param("Version 2.", id="no cue"),
        pytest.param("Final revision: 2024-05-01", id="a date"),
    ],
)
def test_a_later_line_without_another_score(later: str) -> None:
    """A later line that repeats the score, or counts other things, does not change the score."""
    assert read_last_line(f"SCORE: 7\n{later}").score == 7.0


def test_a_refused_score_line_keeps_its_reason() -> None:
    """If the score line itself is refused, the reason is about this line."""
    assert SCALE in read_last_line("SCORE: 7/10\nRevised score: 6").reason


INSIDE, ENDED = "the reply ended inside its reasoning", "the reply ended with its reasoning, without an answer"


@pytest.mark.parametrize(
    ("reply", "score", "reason", "line"),
    [
        pytest.param("<think>\nSCORE: 4\n</think>\n\nStrong.\n\nSCORE: 7\n", 7.0, "", 6, id="set aside"),
        pytest.param("\n <THINKING a='b'>\nSCORE: 4</Thinking>SCORE: 7", 7.0, "", 2, id="attributes and case"),
        pytest.param("<reasoning>SCORE: 4</reasoning>\r\nSCORE: 7", 7.0, "", 1, id="reasoning"),
        pytest.param("<thought>x</thought >\nSCORE: 7", 7.0, "", 1, id="a blank in the closing tag"),
        pytest.param("<think>a</think><think>b</think>\nSCORE: 7", 7.0, "", 1, id="two blocks"),
        pytest.param("<think><reasoning>a</reasoning></think>\nSCORE: 7", 7.0, "", 1, id="nested"),
        pytest.param("SCORE: 4\n</think>\nSCORE: 7", 7.0, "", 2, id="no opening tag"),
        pytest.param("<think>a</think> b\nSCORE: 4\n</think>\nFine.", None, NO_LABEL, None, id="two closing tags"),
        pytest.param("SCORE: 4\n</think>\nFine.", None, NO_LABEL, None, id="no opening tag, no score"),
        pytest.param("<think>\nSCORE: 4\n</think>\nFine.", None, NO_LABEL, None, id="a decoy alone"),
        pytest.param("<think>\nSCORE: 4\n</think>\n \n", None, ENDED, None, id="nothing behind"),
        pytest.param("<think>SCORE: 4</think>\u200b\n***", None, ENDED, None, id="nothing visible behind"),
        pytest.param("<think>\nSCORE: 4\nbut wait", None, INSIDE, None, id="never closed"),
        pytest.param("<think>\nSCORE: 4", None, INSIDE, None, id="never closed, the score last"),
        pytest.param("<think\nSCORE: 4", None, INSIDE, None, id="an opening tag cut off"),
        pytest.param("<think>x</think\nSCORE: 4", None, INSIDE, None, id="a closing tag cut off"),
        pytest.param("<think", None, INSIDE, None, id="the tag alone"),
        pytest.param("<think>a<think>b</think>\nSCORE: 4", None, INSIDE, None, id="the outer block never closed"),
        pytest.param("</think><think><think>b</think>\nSCORE: 4", None, INSIDE, None, id="an early closing tag"),
        pytest.param("<think>a</reasoning>\nSCORE: 4", None, INSIDE, None, id="closed by another name"),
        pytest.param("</think>\n<think>\nSCORE: 4", None, INSIDE, None, id="opened behind the last closing tag"),
        pytest.param("Sure.\n<think>\nSCORE: 4", None, INSIDE, None, id="opened behind some words"),
        pytest.param("<thinker>\nSCORE: 7", 7.0, "", 1, id="another tag"),
        pytest.param("< think >\nSCORE: 7", None, INSIDE, None, id="blanks in the tag"),
    ],
)
def test_reasoning_is_set_aside(reply: str, score: float | None, reason: str, line: int | None) -> None:
    """Text between reasoning tags never decides, but its lines count for the index of the deciding line."""
    assert read_last_line(reply) == Reading(score=score, reason=reason)
    assert last_score_line(reply) == line


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        pytest.param("<think>\nI would lean to\nSCORE: 4\nbut wait, the ending\n", None, id="never closed"),
        pytest.param("<think>\nPerhaps\nSCORE: 4\n</think>\nThe essay is excellent.\n", None, id="no score after"),
        pytest.param("<think>\nPerhaps\nSCORE: 4\n</think>\n\nStrong.\n\nSCORE: 7\n", 7.0, id="score behind it"),
        pytest.param("- SCORE: 7\n", 7.0, id="bullet"),
        pytest.param("SCORE: [[7]]\n", 7.0, id="double square"),
        pytest.param("SCORE: 7<|eot_id|>\n", 7.0, id="end token"),
        pytest.param("Good.\nScore: 9.\n", 9.0, id="full stop"),
        pytest.param("SCORE: 7/9\n", 7.0, id="of nine"),
        pytest.param("Score (0-9): 7\n", 7.0, id="range in label"),
        pytest.param("SCORE：7\n", 7.0, id="wide colon"),
        pytest.param("SCORE: 7 - a solid essay\n", 7.0, id="with reason behind"),
    ],
)
def test_replies_of_real_judges(reply: str, score: float | None) -> None:
    """These are replies of real judges, which version 1 scored wrongly or refused."""
    assert read_last_line(reply).score == score


decorations = st.sampled_from(
    ["{}", "{}.", "[{}]", "[[{}]]", "<{}>", "$\\boxed{{{}}}$", "{}/9", "{} out of 9", "{} points", "**{}**.",
     "{} (0-9)", "{} (scale 0–9)", "{} - a solid essay", "{}—solid", "{}<|eot_id|>", "\u200e{}\u200f"]
)  # fmt: skip
labels = st.sampled_from(
    ["SCORE: ", "SCORE：", "SCORE = ", "SCORE - ", "- SCORE: ", "> SCORE: ", "3. SCORE: ", "Overall Score: ",
     "Score (0-9): ", "**Final Score:** "]
)  # fmt: skip
hundredths = st.integers(0, 900).map(lambda value: f"{value / 100:g}")


@PROPERTY
@given(hundredths, labels, decorations)
def test_any_decoration_leaves_the_number(number: str, label: str, decoration: str) -> None:
    """Any decoration of the label and the number leaves the score unchanged."""
    assert read_last_line(label + decoration.format(number)) == Reading(score=float(number))


@PROPERTY
@given(
    hundredths,
    hundredths,
    labels,
    decorations,
    decorations,
    st.sampled_from([" ", ", ", " or ", "-", " - ", "–", " to ", "/", " and ", "\u200b", "*", "; ", " → "]),
)
def test_two_different_numbers_are_never_a_score(
    one: str, two: str, label: str, first: str, second: str, between: str
) -> None:
    """A line that states two numbers has no score, whatever text surrounds them."""
    two = "8.5" if float(one) == float(two) and one != "8.5" else "3" if one == two else two
    # "7/9" and "7 of 9" state one number on the right scale.
    two = "8" if float(two) == 9 and float(one) != 8 else "3" if float(two) == 9 else two
    assert read_last_line(label + first.format(one) + between + second.format(two)).score is None


@PROPERTY
@given(
    st.one_of(
        st.text(max_size=60), st.lists(st.sampled_from(["SCORE: 3", "\n", "<b>", "7", "</reasoning>"])).map("".join)
    )
)
@example("\nSCORE: 3\n")
def test_reasoning_that_is_never_closed_is_never_scored(inside: str) -> None:
    """A reply that never closes its reasoning has no score, whatever the text in the reasoning."""
    for tag in ("<think>", "<Thinking>\n", "<thought id='1'>"):
        assert read_last_line(tag + inside) == Reading(reason=INSIDE)


@PROPERTY
@given(hundredths, st.text(st.characters(exclude_characters="<"), max_size=60))
def test_closed_reasoning_changes_nothing(number: str, inside: str) -> None:
    """The score after closed reasoning counts, whatever the text in the reasoning."""
    assert read_last_line(f"<think>{inside}</think>\nSCORE: {number}").score == float(number)


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
        pytest.param("Score: 4 (1-5)", id="a range alone"),
        pytest.param("SCORE: 4 (1 – 5)", id="a range alone, another dash"),
        pytest.param("SCORE: 7 (0..10)", id="a range with dots"),
        pytest.param("SCORE: 7 (from 1 to 5)", id="a range in words"),
        pytest.param("SCORE: 7 (between 1 and 10)", id="between"),
        pytest.param("SCORE: 7 (scale 0-9 or 0-10)", id="two ranges"),
        pytest.param("SCORE: 7 (max. 10)", id="a highest score"),
        pytest.param("SCORE: 7 (maximum: 10)", id="a highest score in a word"),
        pytest.param("SCORE: 7 (out of ten)", id="out of ten in words"),
        pytest.param("SCORE: 7 (solid, 7/10)", id="of ten among words"),
        pytest.param("SCORE: 8 (80 percent)", id="percent in a word"),
        pytest.param("SCORE: 7 (of ten)", id="of ten in words"),
        pytest.param("SCORE: 7 (on a 9-point scale)", id="a scale that may begin with one"),
    ],
)
def test_another_scale_in_a_remark_is_unscored(reply: str) -> None:
    """A reply whose remark names another scale has no score."""
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
    """A remark counts as a scale only if the whole remark is a scale; other numbers in a remark are ignored."""
    assert read_last_line(reply).score == 7.0


@pytest.mark.parametrize(
    "remark",
    [
        pytest.param("(scale 0-9)", id="a dash"),
        pytest.param("(on a scale of 0 to 9)", id="in words"),
        pytest.param("(on the 0 - 9 scale)", id="blanks"),
        pytest.param("(Scale: 0-9, 9 is best)", id="explained"),
        pytest.param("(0-9)", id="the range alone"),
        pytest.param("(scale 0–9)", id="an en dash"),
        pytest.param("(0—9)", id="an em dash"),
        pytest.param("(0\u20119)", id="a hyphen that does not break"),
        pytest.param("(0\u22129)", id="a minus sign"),
        pytest.param("(between 0 and 9)", id="between"),
        pytest.param("(0..9)", id="dots"),
        pytest.param("(out of nine)", id="out of nine in words"),
        pytest.param("(max 9)", id="the highest score"),
        pytest.param("(of 9)", id="of nine"),
    ],
)
def test_the_right_scale_in_a_remark_is_fine(remark: str) -> None:
    """A reply whose remark repeats the right scale is scored."""
    assert read_last_line(f"SCORE: 7 {remark}").score == 7.0


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param("SCORE: 9." + "0" * 20 + "1", id="above nine"),
        pytest.param("SCORE: -0." + "0" * 400 + "1", id="below zero"),
    ],
)
def test_a_number_is_not_rounded_onto_the_scale(reply: str) -> None:
    """A number that is off the scale by the least amount is refused."""
    assert read_last_line(reply).score is None


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param("", "the reply is empty", id="empty"),
        pytest.param("Fine.", "none of the last three lines begins with SCORE", id="no label"),
        pytest.param("SCORE: 7/10", "the score line uses another scale: '7/10'", id="scale"),
        pytest.param("SCORE: seven", "the score line states no number: 'seven'", id="no number"),
        pytest.param("SCORE: 7 or 8", "the score line states several numbers: '7 or 8'", id="several"),
        pytest.param("SCORE: 7 stars", "the score line states more than a number: '7 stars'", id="more"),
        pytest.param("SCORE: 7 stars <|end|>", "the score line states more than a number: '7 stars'", id="a token"),
        pytest.param("Score (1-5): 4", "the score line uses another scale: '(1-5) 4'", id="scale in the label"),
        pytest.param("Score (x): 4", "the score line states more than a number: '(x) 4'", id="remark in the label"),
        pytest.param("SCORE: 7,5", "the score line states several numbers, or a decimal comma: '7,5'", id="comma"),
        pytest.param("SCORE: 7-8", "the score line states several numbers, a range: '7-8'", id="a range"),
        pytest.param("SCORE: 7 (8)", "the score line states several numbers, one in a remark: '7 (8)'", id="remark"),
        pytest.param("SCORE: 7\n**6**", "a later line states another score: '6'", id="later"),
        pytest.param("SCORE:\n7", "the score line states no number: ''", id="on the next line"),
        pytest.param("SCORE: 10 (superb)", "the score is not from 0 to 9: '10'", id="range"),
        pytest.param("SCORE: " + "x" * 80, f"the score line states no number: '{'x' * 80}'", id="as long as shown"),
        pytest.param("SCORE: " + "x" * 81, f"the score line states no number: '{'x' * 77}...'", id="too long"),
    ],
)
def test_a_reason_quotes_the_line_but_not_all_of_a_long_one(reply: str, reason: str) -> None:
    """The reason names the mistake and quotes the text, cut to a length that fits a table."""
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
    """A reply cut at its token limit has no score, whatever its text, and the verdict names the parser's version."""
    verdict = judge_by(PARSERS[DEFAULT_PARSER], text, finish_reason="length" if truncated else "stop")
    assert (verdict.score, verdict.reason) == (score, reason)
    assert verdict.parser == PARSERS[DEFAULT_PARSER].ref


def test_the_default_parser_is_in_last_line() -> None:
    """A template without a parser uses `in_last_line`; the verdict has the parser's name and version."""
    assert DEFAULT_PARSER == "in_last_line"
    assert PARSERS["in_last_line"].ref == ParserRef("in_last_line", "2")


def test_the_record_of_a_verdict() -> None:
    """parsed_metadata.json has the parser, whether the reply has a score, the score, and the reason."""
    parser = {"parser_name": "in_last_line", "parser_version": "2"}
    scored = judge_by(PARSERS[DEFAULT_PARSER], "SCORE: 7.")
    assert verdict_record(scored) == parser | {"success": True, "score": 7.0, "reason": ""}
    refused = judge_by(PARSERS[DEFAULT_PARSER], "")
    assert verdict_record(refused) == parser | {"success": False, "score": None, "reason": EMPTY}


def test_each_parser_is_filed_under_its_name() -> None:
    """The key of a parser is the name in its verdicts."""
    assert {name: parser.ref.name for name, parser in PARSERS.items()} == {name: name for name in PARSERS}


def test_an_unknown_parser_raises() -> None:
    """An unknown parser raises an error, and no other parser is used instead."""
    with pytest.raises(KeyError):
        parser_of(ParserRef("in_first_line", "2"))


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
    """Any reply has either a score from 0 to 9 or a reason, never both, and never raises."""
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
    """A score on the last line counts, whatever text is before it."""
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
    """parsed.txt holds the score and a newline, as in existing stores."""
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
    """The text of a parsed.txt is a score from 0 to 9 or None; nothing is guessed."""
    assert parse_score_text(text, DEFAULT_SCALE) == score


def test_a_bom_before_a_score_is_accepted() -> None:
    """A BOM is accepted in a parsed.txt of an older program, as in all files."""
    assert parse_score_text("\ufeff7.0\n", DEFAULT_SCALE) == 7.0


@PROPERTY
@given(st.floats(0, 9).map(abs))
@example(5e-324)
def test_a_score_reads_back(score: float) -> None:
    """Every score is read as the same number that was written."""
    assert parse_score_text(score_text(score), DEFAULT_SCALE) == score
    assert "e" not in score_text(score)


def test_a_tiny_score_reads_back() -> None:
    """The lowest scores that the parser accepts can be stored in parsed.txt."""
    score = read_last_line("SCORE: 0.00001").score
    assert score is not None
    assert parse_score_text(score_text(score), DEFAULT_SCALE) == score


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
    """The deciding line is the last line with a label among the last three; lines are counted from 0."""
    assert last_score_line(reply) == line
    assert PARSERS[DEFAULT_PARSER].deciding_line(reply, DEFAULT_RUBRIC) == line


@PROPERTY
@given(st.one_of(st.text(max_size=200), st.lists(words, max_size=25).map("".join)))
def test_the_deciding_line_says_what_the_reply_says(reply: str) -> None:
    """The deciding line alone gives the same result as the reply; without such a line the reply has no score."""
    line, reading = last_score_line(reply), read_last_line(reply)
    if line is None:
        assert reading.reason in (NO_LABEL, EMPTY)
    elif "a later line" not in reading.reason:
        assert read_last_line(split_lines(reply)[line]) == reading
        assert reading.reason not in (NO_LABEL, EMPTY)


@PROPERTY
@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n"), max_size=5), min_size=1),
    st.sampled_from(["\n", "\r", "\r\n"]),
)
@example(["a\x0bb", "c\u2028d", "e\x85"], "\n")
def test_lines_are_split_where_an_editor_does(lines: list[str], end: str) -> None:
    """A line ends with LF, CR or both, and not with any other line end of Unicode."""
    assert split_lines(end.join(lines)) == lines


# ---------------------------------------------------------------- which parser, and a whole verdict

REPLY, BOTH = ParserRef("in_last_line", "2"), ParserRef("in_last_line", "2+reasoning")


def template(parser: str = "", reads: Literal["reply", "reply_or_reasoning"] = "reply") -> Template:
    """Return a template with this parser and this way to read replies."""
    return Template(template_id="t", text="", parser=parser, place="t.txt", row_place="t.csv:2", reads=reads)


@pytest.mark.parametrize(
    ("chosen", "ref"),
    [
        pytest.param(template(), REPLY, id="the default"),
        pytest.param(template("in_last_line"), REPLY, id="by name"),
        pytest.param(template("", "reply_or_reasoning"), BOTH, id="reasoning too"),
    ],
)
def test_a_template_names_its_parser(chosen: Template, ref: ParserRef) -> None:
    """A parser that also reads reasoning has a version of its own, from which the parser can be found again."""
    parser = template_parser(chosen)
    assert (parser.ref, parser.reads_reasoning) == (ref, ref == BOTH)
    assert parser_of(ref) == parser


def test_a_parser_of_another_version_is_today_s() -> None:
    """A name of any version gives the current parser; the version only says whether reasoning is read."""
    assert parser_of(ParserRef("in_last_line", "1")).ref == REPLY
    with pytest.raises(KeyError):
        parser_of(ParserRef("no_such", "1"))


def test_other_parsers_may_be_given() -> None:
    """A template's parser is looked up in the given parsers."""
    other = replace(parser_of(REPLY), ref=ParserRef("other", "9"))
    assert template_parser(template("other"), {"other": other}) == other
    with pytest.raises(KeyError):
        template_parser(template(), {"other": other})


@pytest.mark.parametrize(
    ("ref", "text", "reasoning", "finish_reason", "score", "reason"),
    [
        pytest.param(REPLY, "SCORE: 7", "", "stop", 7.0, "", id="a score"),
        pytest.param(REPLY, "SCORE: 7", "", "", 7.0, "", id="no recorded finish reason"),
        pytest.param(REPLY, "SCORE: 7", "SCORE: 1", "stop", 7.0, "", id="the reply goes before reasoning"),
        pytest.param(BOTH, "SCORE: 7", "SCORE: 1", "stop", 7.0, "", id="also where reasoning is read"),
        pytest.param(REPLY, "", "", "stop", None, "the reply is empty", id="nothing"),
        pytest.param(BOTH, " \n", " \n", "stop", None, "the reply is empty", id="blanks"),
        pytest.param(
            REPLY, " ", "SCORE: 7", "stop", None, "the judge reasoned but gave no answer", id="only reasoning"
        ),
        pytest.param(BOTH, " ", "SCORE: 7", "stop", 7.0, "", id="only reasoning, which is read"),
        pytest.param(
            BOTH, "", "SCORE: 7", "length", None, "truncated: the reply hit its token limit", id="reasoning cut off"
        ),
        pytest.param(REPLY, "SCORE: 7", "", "content_filter", None, "stopped by the content filter", id="not whole"),
    ],
)
def test_a_verdict(
    ref: ParserRef, text: str, reasoning: str, finish_reason: str, score: float | None, reason: str
) -> None:
    """The verdict follows from reply, reasoning and finish reason; an incomplete reply has no score."""
    verdict = judge_by(parser_of(ref), text, finish_reason=finish_reason, reasoning=reasoning)
    assert verdict == Verdict(parser=ref, score=score, reason=reason)
    assert judge_by(parser_of(REPLY), "SCORE: 7") == Verdict(parser=REPLY, score=7.0, reason="")
