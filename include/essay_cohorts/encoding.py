"""Makes text storable: JSON can hold lone surrogates, but files and pages in UTF-8 cannot."""

from __future__ import annotations


def encoded(text: str) -> bytes:
    """Return the text in UTF-8, with ? for each lone surrogate, because a reply that was paid for must be stored."""
    return text.encode("utf-8", errors="replace")


def storable(text: str) -> str:
    """Return the text as it will be read back from a file: without lone surrogates."""
    return text if text.isascii() else encoded(text).decode("utf-8")
