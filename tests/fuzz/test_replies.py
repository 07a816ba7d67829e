"""Fuzz tests of replies: no reply, however odd, gets a score that it does not state."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from essay_cohorts.judging.parsers import DEFAULT_PARSER, PARSERS, judge_by, read_last_line
from tests.fuzz import fuzzed
from tests.fuzz.near_misses import HOSTILE_LINES, ODD_CHARACTERS, is_readable, lines_of, odd_texts, with_slips

LABELS = (
    *("SCORE", "Score", "score", "sCoRe", "Final Score", "FINAL  SCORE", "Total Score", "total\u00a0score"),
    *(
        "ſcore",
        "fınal score",
        "SC0RE",
        "ＳＣＯＲＥ",
        "SCORES",
        "Scored",
        "Overall score",
        "- SCORE",
        "> 3. SCORE",
        "Score (0-9)",
        "Score (0–9)",
        "Score (1-5)",
        "Score 1",
        "S*CORE",
    ),
)
COLONS = (":", ":", ": ", " : ", " ", "", "\t", "\u00a0", "：", "::", " =", " is ", "-", ": - ", ":\x00", ":\u202e ")
NUMBERS = (
    *("0", "1", "5", "7", "9", "7.5", "6.875", "9.0", "0.0", "07", "00.50", "-0", "-0.0", "0.00001"),
    *("7.", ".5", "1e1", "1E0", "NaN", "inf", "10", "9.0001", "-1", "-0.1", "75", "100", "+7", "−7", "- 7", "~7"),
    *("7/10", "7 / 9", "85%", "85 %", "7 out of 10", "7 of 9", "7-8", "7–8", "7 8", "7, 8", "7,5", "7.5.1", "7 or 8"),
    *("７", "٧", "½", "7²", "𝟟", "①", "VII", "seven", "0x7", "7_0", "1_5", "0*5", "1.5*2", "0.5**1", "7`5`", "#7"),
    *(
        "[[7]]",
        "$\\boxed{7}$",
        "7.",
        "7/9",
        "7 out of 9",
        "7 out of ten",
        "7。",
        "0[5]",
        "<<8>>",
        "[7/9]",
        "7\u200b5",
    ),
    *("**7**", "_7_", "**7** **8**", "-*0*", "<7>", "[7]", "$7$", "(7)", "7!", "7 points", "", "<n>", "N/A"),
    *("9" * 400, "0" * 400 + "7", "9." + "0" * 400 + "1", "-0." + "0" * 400 + "1", "8." + "9" * 400),
)
REMARKS = (
    *("", "", "", " (good)", "(x)", " ()", " (it has 3 fresh ideas)", " (90% sure)", " (3 of 4 criteria)"),
    *(" (out of 9)", " (7/9)", " (out of 10)", " (/10)", "(7/10)", " (85%)", " (of 9.5 points)", " (scale 1 to 10)"),
    *(
        " (scale 0-9)",
        " (scale 0 to 9)",
        " (scale 0-90)",
        " (scale 1.0-9.5)",
        " (scale 10-9)",
        " (on a 5-point scale)",
        " (1-5)",
        " (0–9)",
        " - a solid essay",
        " – or eight",
        "<|eot_id|>",
        "</s>",
    ),
    *(
        " (a (b) c)",
        " (never closed",
        " )(",
        " [good]",
        " (or\n8)",
        " (or\x0bSCORE: 3\x0b)",
        " \u202e(8)",
        "(good) 8",
    ),
)
WRAPS = ("", "", "**", "_", "`", "### ", "***", "* ", "> ", '"', "\ufeff", "\u200b", "\u200f", "\x00", " ")
ENDS = ("\n", "\n", "\n", "\r\n", "\r", "\n\n", " \n\t\n", "\n***\n", "\u2028", "\x0b", "\x0c", "\x85", "\x1c", "")
OTHER_LINES = (
    *("<think>", "</think>", "<think>SCORE: 3</think>", "<reasoning>", "Revised score: 6", "Actually, six.", "8"),
    *("", "Because of its tides.", "Thank you.", "---", "```", "7", "\u200b", "\ufeff", *HOSTILE_LINES),
)

score_lines = st.tuples(*map(st.sampled_from, (WRAPS, LABELS, COLONS, WRAPS, NUMBERS, REMARKS, WRAPS))).map("".join)
near_scores = st.tuples(*map(st.sampled_from, (WRAPS[:8], LABELS[:8], COLONS[:7], NUMBERS, REMARKS))).map("".join)
lines = st.one_of(near_scores, near_scores, score_lines, st.sampled_from(OTHER_LINES), odd_texts(20))
whole_replies = st.lists(st.tuples(lines, st.sampled_from(ENDS)).map("".join), min_size=1, max_size=5).map("".join)
pieces = st.sampled_from([*LABELS[:8], *COLONS, *NUMBERS, *REMARKS, *ENDS, *ODD_CHARACTERS])
replies = st.one_of(
    near_scores,
    with_slips(near_scores),
    with_slips(score_lines),
    with_slips(whole_replies),
    with_slips(whole_replies),
    st.lists(pieces, max_size=10).map("".join),
)


DIGITS = tuple("0123456789")
DIGIT_BEFORE, DIGIT_BEHIND = (*DIGITS, ".", "-"), (*DIGITS, ".")


def stated_number(reply: str) -> str | None:
    """Return the number from 0 to 9 that a reply without decoration states as its score, or None.

    The rule of version 1 is checked here character by character, so that the check shares nothing with the parser,
    which uses patterns.
    """
    worded = [line for line in map(without_marks, lines_of(reply)) if line]
    for line in reversed(worded[-3:]):
        statement = behind_label(line)
        if statement is not None:
            number, remarks = apart_from_remarks(statement)
            return number if on_the_scale(number) and not any(map(names_another_scale, remarks)) else None
    return None


def without_marks(line: str) -> str:
    """Return the line without marks; between the digits of a number a blank replaces the marks."""
    kept, marks = "", ""
    for character in line:
        if character in "*#_`":
            marks += character
            continue
        parts = marks and kept[-1:] in DIGIT_BEFORE and character in DIGIT_BEHIND
        kept, marks = kept + (" " if parts else "") + character, ""
    return kept.strip().strip("\ufeff").strip()


def behind_label(line: str) -> str | None:
    """Return the text after the label and its colon, or None if the line does not begin with a label."""
    for words in (["final", "score"], ["total", "score"], ["score"]):
        rest = line
        for position, word in enumerate(words):
            blanks = len(rest) - len(rest.lstrip())
            starts = (blanks > 0) == (position > 0) and is_same_word(rest.lstrip()[: len(word)], word)
            if not starts:
                break
            rest = rest.lstrip()[len(word) :]
        else:
            if not is_in_a_word(rest[:1]):
                rest = rest.lstrip()
                return rest[1:].lstrip() if rest.startswith(":") else rest
    return None


def is_same_word(written: str, word: str) -> bool:
    """Return True if the letters are the same in any case; a long s counts as S and a dotless i as I."""
    return len(written) == len(word) and all(
        letter.lower() == meant or letter.upper() == meant.upper() or (letter == "İ" and meant == "i")
        for letter, meant in zip(written, word, strict=True)
    )


def apart_from_remarks(statement: str) -> tuple[str, list[str]]:
    """Return the text without its innermost parentheses, and the texts that were in these."""
    kept, remarks, opened = "", [], -1
    for character in statement:
        kept += character
        if character == "(":
            opened = len(kept) - 1
        elif character == ")" and opened >= 0:
            remarks.append(kept[opened + 1 : -1])
            kept, opened = kept[:opened] + " ", -1
    return kept.strip(), remarks


def on_the_scale(number: str) -> bool:
    """Return True for a plain decimal number from 0 to 9, including a negative zero."""
    whole, point, fraction = number.removeprefix("-").partition(".")
    digits = set(whole + fraction)
    if not whole or (point and not fraction) or not digits <= set("0123456789"):
        return False
    if number.startswith("-"):
        return digits == {"0"}
    ones = whole.lstrip("0")
    return len(ones) < 2 and (ones != "9" or not fraction.strip("0"))


def names_another_scale(remark: str) -> bool:
    """Return True if a remark is only a scale other than 9, or speaks of a scale but not of 0 to 9."""
    words = " ".join(remark.lower().split())
    if "scale" in "".join(letter if letter.isalnum() else " " for letter in remark.lower()).split():
        return not any(is_nought_to_nine(remark[:at], remark[at:]) for at in range(len(remark)))
    words = words.removesuffix(" points").removesuffix(" point")
    for sign in ("out of", "of", "/"):
        before, found, top = (part.strip() for part in words.partition(sign))
        if found and is_plain_number(top) and (not before or is_plain_number(before)):
            return float(top) != 9
    return words.endswith("%") and is_plain_number(words[:-1].rstrip())


def is_nought_to_nine(before: str, rest: str) -> bool:
    """Return True if `rest` begins with 0-9 or 0 to 9, and neither number is part of another number."""
    behind = rest.removeprefix("0").lstrip()
    end = next((behind[len(word) :].lstrip() for word in ("-", "to") if behind.startswith(word)), "")
    after = end.removeprefix("9")
    whole = not is_in_a_word(before[-1:]) and before[-1:] != "." and not is_in_a_word(after[:1])
    return rest[:1] == "0" and end[:1] == "9" and whole and not (after[:1] == "." and after[1:2] in DIGITS)


def is_in_a_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def is_plain_number(text: str) -> bool:
    return on_the_scale("0." + text.replace(".", "", 1)) and text[0] != "." and text[-1] != "."


def written_scores(reply: str) -> set[float]:
    """Return the numbers from 0 to 9 in the last three lines with words, after the last closing tag of reasoning."""
    plain = "".join(chr(ord(letter) - 0xFEE0) if "０" <= letter <= "９" else letter for letter in reply)
    plain = plain.replace("．", ".")
    for name in ("think", "reasoning"):
        plain = plain.rpartition(f"</{name}>")[2]
    worded = [line for line in lines_of(plain) if any(map(str.isalnum, line))]
    words = "".join(letter if letter in DIGIT_BEHIND else " " for letter in "\n".join(worded[-3:])).split()
    numbers = [word.strip(".") for word in words if word.strip(".").count(".") < 2 and word.strip(".")]
    return {float(number) for number in numbers if float(number) <= 9}


def has_doubt(reply: str) -> bool:
    """Return True if a reply has tags of reasoning, or a number, number word or label next to the statement."""
    without_blanks = "".join(reply.lower().split())
    if any(f"<{close}{name}" in without_blanks for close in ("", "/") for name in ("think", "reasoning", "thought")):
        return True
    worded = [line for line in map(without_marks, lines_of(reply)) if line][-3:]
    at = max((at for at, line in enumerate(worded) if behind_label(line) is not None), default=0)
    behind = behind_label(worded[at]) if worded else None
    beside = " ".join([*worded[at + 1 :], *apart_from_remarks(behind or "")[1]])
    letters = "".join(filter(str.isalnum, unicodedata.normalize("NFKC", beside).casefold()))
    words = ("score", "six", "seven", "eight", "ten")
    return any(map(str.isnumeric, letters)) or any(word in letters for word in words)


@fuzzed("replies")
@given(replies, st.booleans())
@example(f"SCORE: 9.{'0' * 20}1", False).via("above nine by less than a float can tell")
@example("SCORE: 7\x0b/10", False).via("a line end that only str.splitlines() knows")
@example("SCORE: 7 (scale 1.0-9.5)", False).via("another scale with 0-9 in it")
@example("SCORE: 1.5*2", False).via("marks must not join two numbers")
@example("SCORE: 7 - or eight", False).via("a doubt in words")
@example("SCORE: 7\nRevised score: 6", False).via("taken back")
@example("<think>\nSCORE: 3", False).via("reasoning that is never closed")
@example("<\nthink>\nSCORE:0\n", False).via("a tag of reasoning with blanks")
@example("SCORE:0\n---\u2028SCORE:1\n", False).via("a later statement behind a line end that editors do not know")
def test_no_score_is_given_that_is_not_stated(reply: str, truncated: bool) -> None:
    """A score is a number of the last lines; a plain statement without doubt has no other; a refusal is readable."""
    verdict = judge_by(PARSERS[DEFAULT_PARSER], reply, finish_reason="length" if truncated else "stop")
    stated = None if truncated else stated_number(reply)
    if verdict.score is None:
        assert is_readable(verdict.reason)
        assert stated is None or has_doubt(reply)
    else:
        assert not verdict.reason
        assert not truncated
        assert verdict.score in written_scores(reply)
        assert stated is None or verdict.score == abs(float(stated)) or has_doubt(reply)


@fuzzed("stated scores")
@given(
    st.one_of(odd_texts(), whole_replies),
    st.tuples(*map(st.sampled_from, (("", "**", "`", "### "), LABELS[:8], (":", ": ", " ", " : ", ":\u00a0")))),
    st.integers(0, 9_000),
    st.sampled_from(["", " (good)", "(x)", " (out of 9)", " (90% sure)", "**", "`"]),
    st.sampled_from(["", "\n", "\r\n", "\r", "\n\n***\n", "\nThank you.", "\n{{ response }}\n<b>"]),
)
def test_a_stated_score_is_given(before: str, start: tuple[str, ...], size: int, remark: str, behind: str) -> None:
    """A judge that does as it was asked has its score read, whatever it wrote before."""
    number = f"{size / 1000:g}"
    before = re.sub("think|thought|reasoning", "tale", before, flags=re.IGNORECASE)
    blank = "" if start[-1].endswith((":", " ", "\u00a0")) else " "
    assert read_last_line(f"{before}\n{''.join(start)}{blank}{number}{remark}{behind}").score == float(number)
