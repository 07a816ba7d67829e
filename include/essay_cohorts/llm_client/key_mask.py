"""Keeps an API's key out of every text that is logged or stored: a server may echo it in any shape."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote

from essay_cohorts.encoding import storable

_LONGEST_LINE = 500
# A shorter one is a word such as "offline", which a model's name may hold by right.
_SHORTEST_KEY = 8


class KeyMask:
    """Masks one key in texts, in each shape in which a server may echo it."""

    def __init__(self, key: str) -> None:
        self._is_long = len(key.strip()) >= _SHORTEST_KEY
        # A short one counts as a whole word only: the key "a" is no reason to mask every a.
        around = "%s" if self._is_long else r"(?<!\w)%s(?!\w)"
        self._patterns = [re.compile(around % re.escape(shape), re.IGNORECASE) for shape in _shapes(key)]

    def hide(self, text: str) -> str:
        """Return the text with *** in the place of the key."""
        for pattern in self._patterns:
            text = pattern.sub("***", text)
        return text

    def address(self, text: str) -> str:
        """Return an API's address as it is stored: the key is looked for only where it is long enough to be one."""
        return self.hide(text) if self._is_long else text

    def message(self, text: str) -> str:
        """`text` on one line without the key, storable, of at most 500 characters."""
        return _one_line(self.hide(text))

    def kept(self, text: str) -> str:
        """Return what is stored of a reply, as `message`.

        The key is looked for only where it is long enough to be one.
        """
        return _one_line(self.address(text))


def _shapes(key: str) -> tuple[str, ...]:
    """Return a key as a server may echo it: plain, escaped, in an address, in base64; the longest first."""
    shapes = {key, key.strip(), quote(key), quote(key, safe=""), json.dumps(key)[1:-1], key.replace("/", "\\/")}
    shapes.add(base64.b64encode(key.encode()).decode().rstrip("="))
    return tuple(sorted((shape for shape in shapes if shape), key=len, reverse=True))


def _one_line(text: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return storable(line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 3]}...")
