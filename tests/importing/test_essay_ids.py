"""The ids of essays that come without one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from essay_cohorts.domain import is_id
from essay_cohorts.importing.essay_ids import essay_id_of, renewed_id

texts = st.text(st.characters(codec="utf-8"))
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True)


def test_an_id_shows_the_title() -> None:
    """The id is readable, and its end is a hash of the text."""
    assert essay_id_of("The Harbour Master!", "Tides matter.") == "the-harbour-master-b4022d5646"
    assert essay_id_of("Über Ebbe & Flut", "x").startswith("uber-ebbe-flut-")
    assert essay_id_of("???", "x").startswith("essay-")


@given(texts, texts, texts)
def test_any_title_and_text_give_a_valid_id(title: str, text: str, other: str) -> None:
    """The id is valid, the same for the same essay, and another one for another text."""
    essay_id = essay_id_of(title, text)
    assert is_id(essay_id)
    assert essay_id == essay_id_of(title, text)
    assert (essay_id == essay_id_of(title, other)) is (text == other)


@given(ids, texts)
def test_a_renewed_id_is_valid_and_new(essay_id: str, text: str) -> None:
    """A new id begins like the former one and differs from it."""
    renewed = renewed_id(essay_id, text)
    assert is_id(renewed)
    assert renewed != essay_id
    assert renewed.startswith(essay_id[:89])
