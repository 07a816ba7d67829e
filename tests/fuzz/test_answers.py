"""Fuzz tests of server answers: whatever the bytes are, a paid text is read exactly and nothing raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from essay_cohorts.llm_client.completion import Completion, error_message, read_completion
from tests.fuzz import fuzzed
from tests.fuzz.near_misses import HOSTILE_LINES, is_readable, odd_texts, odd_values

DEEP = 5_000

texts = st.one_of(odd_texts(), st.sampled_from(HOSTILE_LINES), st.sampled_from(["SCORE: 7", "", "0", "é\r\n7"]))
parts = st.lists(st.one_of(st.fixed_dictionaries({"type": st.just("text"), "text": texts}), odd_values), max_size=3)
functions = st.one_of(st.fixed_dictionaries({"arguments": st.one_of(texts, odd_values)}), odd_values)
calls = st.one_of(st.lists(st.fixed_dictionaries({"function": functions}), max_size=2), odd_values)
messages = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "content": st.one_of(texts, parts, odd_values),
            "refusal": texts,
            "reasoning": st.one_of(texts, odd_values),
            "reasoning_content": st.one_of(texts, odd_values),
            "reasoning_details": st.one_of(parts, odd_values),
            "tool_calls": calls,
            "function_call": functions,
        },
    ),
    odd_values,
)
errors = st.one_of(
    st.fixed_dictionaries(
        {"message": st.one_of(texts, odd_values)},
        optional={
            "code": st.one_of(st.sampled_from([429, "429", 502, 9**99, "content_filter"]), odd_values),
            "metadata": st.one_of(st.fixed_dictionaries({"headers": odd_values}), odd_values),
        },
    ),
    odd_values,
)
ends = st.one_of(st.sampled_from(["stop", "error", "content_filter"]), odd_values)
choices = st.one_of(
    st.fixed_dictionaries(
        {"message": messages},
        optional={"finish_reason": ends, "text": texts, "error": errors, "delta": messages},
    ),
    st.fixed_dictionaries({"delta": messages}, optional={"finish_reason": ends}),
    odd_values,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.one_of(st.lists(choices, max_size=2), odd_values),
        "usage": st.one_of(
            st.fixed_dictionaries(
                {"prompt_tokens": odd_values, "completion_tokens": odd_values},
                optional={"total_tokens": odd_values, "cost": odd_values, "prompt_tokens_details": odd_values},
            ),
            odd_values,
        ),
        "model": odd_values,
        "error": errors,
        "message": odd_values,
        "detail": odd_values,
    },
)


def nested(opening: bytes, closing: bytes, depth: int, around: bytes = b"%s") -> bytes:
    """Return JSON nested `depth` deep, in the place of %s in `around`."""
    return around % (opening * depth + b"1" + closing * depth)


def damaged(content: bytes, slips: list[tuple[int, bytes]], end: int | None) -> bytes:
    """Return the content with inserted bytes, cut off at `end`."""
    for number, odd in slips:
        at = number % (len(content) + 1)
        content = content[:at] + odd + content[at:]
    return content[:end]


slips = st.lists(
    st.tuples(
        st.integers(0, 5_000),
        st.sampled_from([b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\n", b'"', b"}"]),
    ),
    max_size=2,
)
answers = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda body, ascii_only: json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"),
        bodies,
        st.booleans(),
    ),
    st.builds(
        damaged,
        bodies.map(lambda body: json.dumps(body).encode()),
        slips,
        st.one_of(st.none(), st.none(), st.integers(0, 400)),
    ),
    st.builds(
        lambda events, done: b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events) + done,
        st.lists(bodies, max_size=3),
        st.sampled_from([b"", b"data: [DONE]\n\n", b": comment\n\n"]),
    ),
)
IN_CONTENT = b'{"choices":[{"message":{"content":%s}}]}'
IN_ARGUMENTS = b'{"choices":[{"message":{"tool_calls":[{"function":{"arguments":%s}}]}}]}'
IN_ERROR = b'{"choices":[],"error":%s}'


@fuzzed("answers")
@given(answers)
@example(b"\xff\xfe{\x00}\x00").via("UTF-16")
@example(b'{"choices":[],"usage":{"prompt_tokens":' + b"9" * 5_000 + b"}}").via("a number without end")
@example(nested(b"[", b"]", DEEP, IN_ERROR)).via("deeper than JSON can be read")
@example(nested(b'[{"text":', b"}]", DEEP, IN_CONTENT)).via("parts deeper than JSON can be read")
def test_any_answer_is_a_completion_or_none(content: bytes) -> None:
    """An answer is a completion or none, never an exception; its texts can be stored and its counts are counts."""
    completion = read_completion(content)
    assert isinstance(completion, Completion | None)
    assert can_be_stored(error_message(content))
    if completion is not None:
        usage = completion.usage
        counts = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.cached_tokens)
        assert all(count is None or (type(count) is int and count >= 0) for count in counts)
        for text in (completion.text, completion.response_model, completion.finish_reason, completion.reasoning):
            assert can_be_stored(text)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((b"[", b"]", IN_CONTENT), id="lists as content"),
        pytest.param((b'[{"text":', b"}]", IN_CONTENT), id="parts in parts"),
        pytest.param((b"[", b"]", IN_ERROR), id="lists as error"),
        pytest.param((b'{"message":', b"}", IN_ERROR), id="errors in errors"),
        pytest.param((b"[", b"]", IN_ARGUMENTS), id="lists as arguments"),
        pytest.param((b"[", b"]", b'{"choices":[],"detail":%s}'), id="lists as detail"),
    ],
)
def test_no_depth_of_an_answer_is_too_deep(shape: tuple[bytes, bytes, bytes]) -> None:
    """A nested answer never raises, whatever its depth; depths around the interpreter's limit are tried above all."""
    opening, closing, around = shape
    for depth in range(150, 1_100, 3):
        content = nested(opening, closing, depth, around)
        assert isinstance(read_completion(content), Completion | None)
        assert is_readable(error_message(content))


@fuzzed("odd completions")
@given(
    texts,
    st.dictionaries(st.text(max_size=5), odd_values, max_size=3),
    st.sampled_from(["content", "parts", "refusal", "text"]),
    st.sampled_from([b"", b"\xef\xbb\xbf", b" \n", b"\r\n\t"]),
    st.booleans(),
    st.booleans(),
)
@example("SCORE: 7\nBecause.", {}, "content", b"", True, True).via("a raw line end in a text")
@example("\ud800\udfff", {}, "content", b"", True, False).via("two halves that make a pair")
def test_a_paid_text_is_read_whatever_stands_around_it(
    text: str, around: dict[str, Any], shape: str, before: bytes, ascii_only: bool, raw_ends: bool
) -> None:
    """The text of a completion is kept to the letter, only lone surrogates become question marks."""
    shapes: dict[str, dict[str, Any]] = {
        "content": {"content": text},
        "parts": {"content": [{"type": "text", "text": text}, None, {"type": "image_url"}]},
        "refusal": {"content": None, "refusal": text},
        "text": {},
    }
    message = shapes[shape]
    choice = {"finish_reason": "stop", "message": message, **({"text": text} if shape == "text" else {})}
    body = {**around, "choices": [choice, {"message": {"content": "another"}}], "error": None}
    content = before + json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    if raw_ends and b"\\\\" not in content:
        content = content.replace(b"\\n", b"\n")
    completion = read_completion(content)
    assert completion is not None
    if ascii_only or can_be_stored(text):
        paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        assert completion.text == "".join("?" if "\ud800" <= letter <= "\udfff" else letter for letter in paired)
    assert (completion.error, completion.finish_reason) == (None, "stop")


def can_be_stored(text: str) -> bool:
    """Return True if UTF-8 can hold the text."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
