"""Text as UTF-8 can hold it: JSON carries lone surrogates, files and pages cannot."""

from __future__ import annotations


def encoded(text: str) -> bytes:
    """`text` as a file holds it: JSON carries lone surrogates, UTF-8 cannot; a paid reply must be storable."""
    return text.encode("utf-8", errors="replace")


def storable(text: str) -> str:
    """`text` as it will be read back: without lone surrogates."""
    return text if text.isascii() else encoded(text).decode("utf-8")
