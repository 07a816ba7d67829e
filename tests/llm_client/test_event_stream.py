"""The shapes in which servers stream an answer: each piece of text is kept, and none is kept twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from essay_cohorts.llm_client.completion import read_completion


def stream(*choices: dict[str, Any]) -> bytes:
    """Return a stream with one event per choice."""
    events = [f"data: {json.dumps({'choices': [choice]})}\n\n" for choice in choices]
    return "".join([*events, "data: [DONE]\n\n"]).encode()


def delta(**fields: object) -> dict[str, Any]:
    """Return the choice of a piece."""
    return {"index": 0, "delta": fields}


WHOLE = {"index": 0, "message": {"role": "assistant", "content": "SCORE: 7"}, "finish_reason": "stop"}
FUNCTION = [{"function": {"arguments": '{"score"'}}]


@pytest.mark.parametrize(
    ("choices", "text", "reasoning"),
    [
        pytest.param([delta(content="SCORE"), delta(content=": 7")], "SCORE: 7", "", id="pieces"),
        pytest.param([WHOLE], "SCORE: 7", "", id="one message"),
        pytest.param([delta(content="SCORE"), delta(content=": 7"), WHOLE], "SCORE: 7", "", id="pieces, then all"),
        pytest.param([delta(content="SCORE"), WHOLE], "SCORE: 7", "", id="a lost piece"),
        pytest.param([{"text": "SCORE"}, {"text": ": 7", "finish_reason": "stop"}], "SCORE: 7", "", id="older API"),
        pytest.param([delta(reasoning="Think"), delta(content="7")], "7", "Think", id="reasoning"),
        pytest.param(
            [
                delta(reasoning_details=[{"text": "Thi"}]),
                delta(reasoning_details=[{"text": "nk"}]),
                delta(content="7"),
            ],
            "7",
            "Think",
            id="reasoning in details",
        ),
        pytest.param([delta(tool_calls=FUNCTION), delta(tool_calls=FUNCTION)], '{"score"' * 2, "", id="a tool"),
        pytest.param(
            [delta(function_call={"name": "f", "arguments": "{"}), delta(function_call={"arguments": "}"})],
            "{}",
            "",
            id="a function of older APIs",
        ),
    ],
)
def test_a_stream_is_joined(choices: list[dict[str, Any]], text: str, reasoning: str) -> None:
    """The text and the reasoning of a streamed answer are those of the pieces, in their order."""
    completion = read_completion(stream(*choices))
    assert completion is not None
    assert (completion.text, completion.reasoning) == (text, reasoning)


def test_the_names_of_a_streamed_answer_are_kept() -> None:
    """Each event of a stream repeats the model's name and the fingerprint of the server."""
    event = {"model": "vendor/a-1", "system_fingerprint": "fp_1", "choices": [delta(content="SCORE: 7")]}
    completion = read_completion(f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode())
    assert completion is not None
    assert (completion.response_model, completion.system_fingerprint) == ("vendor/a-1", "fp_1")
