"""The key is in no text that is logged or stored, and words that merely resemble a key stay."""

from __future__ import annotations

import base64

import pytest

from essay_cohorts.llm_client.key_mask import KeyMask

KEY = "sk-a/b+0123456789"


@pytest.mark.parametrize(
    "echo",
    [
        pytest.param(KEY, id="plain"),
        pytest.param(KEY.upper(), id="in capitals"),
        pytest.param("sk-a%2Fb%2B0123456789", id="in an address"),
        pytest.param(KEY.replace("/", "\\/"), id="escaped"),
        pytest.param(base64.b64encode(KEY.encode()).decode(), id="in base64"),
    ],
)
def test_the_key_is_masked_in_every_shape(echo: str) -> None:
    """Neither a message nor a stored field of a reply holds the key, in any shape in which a server echoes it."""
    mask = KeyMask(KEY)
    for text in (mask.message(f"Wrong key: {echo}."), mask.kept(f"model-{echo}")):
        assert "0123456789" not in text
        assert echo not in text
        assert "***" in text


def test_a_short_key_is_masked_in_messages_only() -> None:
    """A word as key may be part of a model's name, which is stored as it is; a message never holds it."""
    mask = KeyMask("offline")
    assert mask.kept("offline-judge-not-a-model/x") == "offline-judge-not-a-model/x"
    assert mask.message("the key offline is wrong") == "the key *** is wrong"


def test_a_short_key_masks_whole_words_and_no_address() -> None:
    """A key of a few characters garbles neither the words around it nor the stored address."""
    assert KeyMask("key").message("monkeys say: key") == "monkeys say: ***"
    assert KeyMask("v1").address("http://127.0.0.1:8001/v1") == "http://127.0.0.1:8001/v1"
    assert KEY not in KeyMask(KEY).address(f"http://h/{KEY}/v1")


def test_a_message_is_one_line_of_a_sane_length() -> None:
    """Line ends and control characters become blanks, and a long text is cut."""
    assert KeyMask(KEY).message("a\r\n\tb\x00c") == "a b c"
    assert len(KeyMask(KEY).message("x" * 1_000)) == 500
