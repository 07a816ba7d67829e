"""Keeps an API's key out of every text that is logged or stored, because a server may echo the key in any shape."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote

from essay_cohorts.encoding import storable

_LONGEST_LINE = 500
# A shorter key is a word such as "offline", which may rightly be part of a model's name.
_SHORTEST_KEY = 8


class KeyMask:
    """Masks one key in texts, in every shape in which a server may echo it."""

    def __init__(self, key: str) -> None:
        self._is_long = len(key.strip()) >= _SHORTEST_KEY
        # A short key is masked only where it is a whole word: the key "a" must not mask every letter a.
        around = "%s" if self._is_long else r"(?<!\w)%s(?!\w)"
        self._patterns = [re.compile(around % re.escape(shape), re.IGNORECASE) for shape in _shapes(key)]

    def hide(self, text: str) -> str:
        """Return the text with *** in place of the key."""
        for pattern in self._patterns:
            text = pattern.sub("***", text)
        return text

    def address(self, text: str) -> str:
        """Return an API's address for storage; a key that may be a word is not masked."""
        return self.hide(text) if self._is_long else text

    def message(self, text: str) -> str:
        """Return the text on one line, without the key, in UTF-8 and at most 500 characters long."""
        return _one_line(self.hide(text))

    def kept(self, text: str) -> str:
        """Return a field of a reply for storage: like `message`, but a key that may be a word is not masked."""
        return _one_line(self.address(text))


def _shapes(key: str) -> tuple[str, ...]:
    """Return the shapes in which a server may echo a key: plain, escaped, in an address, in base64; longest first."""
    shapes = {key, key.strip(), quote(key), quote(key, safe=""), json.dumps(key)[1:-1], key.replace("/", "\\/")}
    shapes.add(base64.b64encode(key.encode()).decode().rstrip("="))
    return tuple(sorted((shape for shape in shapes if shape), key=len, reverse=True))


def _one_line(text: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return storable(line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 3]}...")
