"""Gives ids to essays that come without one: the slug of the title and a hash of the text."""

from __future__ import annotations

from hashlib import blake2s

from slugify import slugify

_MAX_SLUG_CHARACTERS = 60
# An id has at most 100 characters; the hash and its hyphen take 11.
_MAX_GIVEN_CHARACTERS = 89


def essay_id_of(title: str, text: str) -> str:
    """Return an id such as `the-harbour-master-3f9a1c2b4d`; the same title and text always give the same id."""
    slug = slugify(title, max_length=_MAX_SLUG_CHARACTERS, word_boundary=True)
    return f"{slug or 'essay'}-{_hash(text)}"


def renewed_id(essay_id: str, text: str) -> str:
    """Return a new id for an essay whose own id belongs to another text already."""
    return f"{essay_id[:_MAX_GIVEN_CHARACTERS]}-{_hash(f'{essay_id} {text}')}"


def _hash(text: str) -> str:
    return blake2s(text.encode("utf-8"), digest_size=5).hexdigest()
