"""Tests of planning's warnings about a template whose replies its parser may not be able to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from essay_cohorts.judging.score_instructions import doubts_about
from essay_cohorts.rubric import Rubric, Scale

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        pytest.param("Judge.\nSCORE: <number from 0 to 9>", [], id="as the sample asks"),
        pytest.param("End with a line `Score: n`.", [], id="within a sentence"),
        pytest.param("Write 3 to 5 sentences, from 3 to 5.\nSCORE: n", [], id="another range, not of scores"),
        pytest.param("2-3: Weak.\n8-9: Excellent.\nSCORE: n", [], id="bands of a rubric"),
        pytest.param("Score it out of 9.", [], id="out of nine"),
        pytest.param("Is it good?", ["shows no line SCORE"], id="no score at all"),
        pytest.param("SCORE: <from 1 to 10>", ["from 1 to 10"], id="from 1 to 10"),
        pytest.param("Rate it between 1 and 5.\nSCORE: n", ["between 1 and 5"], id="between 1 and 5"),
        pytest.param("Score: n out of 5", ["out of 5"], id="out of 5"),
        pytest.param("SCORE: n/10", ["/10"], id="a slash"),
        pytest.param("Use the 1-5 scale.\nSCORE: n", ["1-5 scale"], id="a named scale"),
        pytest.param("Judge it from 1 (weak) to 10.\nSCORE: n", ["from 1 (weak) to 10"], id="judge, with words"),
        pytest.param("Give a number from 1 to 10.\nSCORE: n", ["from 1 to 10"], id="a number"),
        pytest.param("Grade: 1 (worst) to 10 (best).\nSCORE: n", [": 1 (worst) to 10"], id="after a colon"),
        pytest.param("Score it (1-10).\nSCORE: n", ["(1-10)"], id="in brackets"),
        pytest.param("Rate it on a scale of 1-10.\nSCORE: n", ["scale of 1-10"], id="a scale of"),
        pytest.param("Rate it from 0 to 2.5.\nSCORE: n", ["from 0 to 2.5"], id="decimals"),
        pytest.param("Rate it from 0 to 100.", ["shows no line SCORE", "from 0 to 100"], id="both"),
    ],
)
def test_doubts_about_a_template(text: str, warned: list[str]) -> None:
    """A text without a score line or with another scale gives a warning; other texts give none."""
    found = list(doubts_about(text))
    assert len(found) == len(warned)
    assert all(words in sentence for words, sentence in zip(warned, found, strict=True))


@pytest.mark.parametrize(
    ("text", "rubric", "warned"),
    [
        pytest.param("Score from 1 to 5: {score}", Rubric(scale=Scale(1, 5)), [], id="its scale"),
        pytest.param("Score from 0 to 2.5", Rubric(scale=Scale(0, 2.5)), [], id="its decimals"),
        pytest.param("Score from 0 to 9", Rubric(scale=Scale(1, 5)), ["its scores are from 1 to 5"], id="another"),
        pytest.param("SCORE: n\nUSE OF EVIDENCE: n", Rubric(criteria=("use_of_evidence",)), [], id="its criterion"),
        pytest.param(
            "SCORE: n", Rubric(criteria=("clarity", "wit")), ["does not name clarity, wit"], id="no criterion"
        ),
        pytest.param(
            "CLARITY: n", Rubric(criteria=("clarity",), overall="mean"), [], id="the mean needs no score line"
        ),
    ],
)
def test_doubts_about_a_rubric(text: str, rubric: Rubric, warned: list[str]) -> None:
    """The text is compared with the scale and the criteria of its row."""
    found = list(doubts_about(text, "", rubric))
    assert len(found) == len(warned)
    assert all(words in sentence for words, sentence in zip(warned, found, strict=True))


def test_the_samples_templates_are_beyond_doubt() -> None:
    """The templates of the sample data give no warning."""
    texts = sorted((PROJECT / "data/1_raw/templates/evaluation").glob("*.txt"))
    assert len(texts) >= 3
    assert [list(doubts_about(path.read_text(encoding="utf-8"))) for path in texts] == [[]] * len(texts)
