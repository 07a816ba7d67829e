"""The form of the offline judge's replies: the scale, the criteria and the JSON that a prompt asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devtools.offline_judge.answers import Call
from devtools.offline_judge.reply_form import reply_text


def reply(prompt: str, **call: Any) -> str:
    """Return the reply to a prompt; each made-up score is 4.5, the middle of the default scale."""
    return reply_text(Call(model="m", contents=[prompt], prompt=prompt, **call), lambda _: 4.5)


@pytest.mark.parametrize(
    ("prompt", "score"),
    [
        pytest.param("SCORE: <number>", "4.5", id="no scale"),
        pytest.param("SCORE: <a number from 0 to 9>", "4.5", id="the default"),
        pytest.param("End with one line, on a scale from 1 to 5:\nSCORE: <number>", "3.0", id="one to five"),
        pytest.param("A scale from\n1 (hard to follow) to 5 (clear): SCORE: <number>", "3.0", id="with words"),
        pytest.param("SCORE: <number from 0 to 100>", "50.0", id="inside the marks"),
        pytest.param("Score it from 1 to 5. Ships sail from 3 to 8 knots.", "3.0", id="other numbers"),
        pytest.param("Rate it from 5 to 1.", "4.5", id="turned round"),
    ],
)
def test_the_score_is_on_the_scale_of_the_prompt(prompt: str, score: str) -> None:
    """A template of one's own gets scores that its parser accepts."""
    assert reply(prompt).splitlines()[-1] == f"SCORE: {score}"


def test_labels_and_fields_get_a_score_each() -> None:
    """A prompt that shows labels or JSON fields is answered in that form."""
    lines = reply("Scores from 1 to 5:\nNOVELTY: <number>\nUSE OF EVIDENCE: <number>\nSCORE: <number>").splitlines()
    assert lines[-3:] == ["NOVELTY: 3.0", "USE OF EVIDENCE: 3.0", "SCORE: 3.0"]
    text = reply('Answer {"reason": <text>, "novelty": <number>, "score": <number>}')
    found = json.loads(text.split("```json")[1].split("```")[0])
    assert {name: value for name, value in found.items() if name != "reason"} == {"novelty": 4.5, "score": 4.5}


def test_a_schema_is_followed() -> None:
    """A request with a JSON schema gets an object of that form and nothing else."""
    number = {"type": "number", "minimum": 1, "maximum": 5}
    found = json.loads(reply("Judge it.", properties={"explanation": {"type": "string"}, "clarity": number}))
    assert found["clarity"] == 3.0
    assert list(found) == ["explanation", "clarity"]
