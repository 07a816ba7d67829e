"""Separates a reply's answer from its reasoning, which is between tags such as `<think>` and `</think>`."""

from __future__ import annotations

import re
from dataclasses import dataclass

INSIDE_REASONING = "the reply ended inside its reasoning"
# The reason if nothing follows the reasoning.
NO_ANSWER = "the reply ended with its reasoning, without an answer"

# An opening tag counts even without its ">", so that reasoning after a broken tag is not read as an answer.
_TAG = re.compile(
    r"<(?P<closing>/?)\s*(?P<name>thinking|think|thought|reasoning)(?=[\s/>]|\Z)[^<>\r\n]*(?P<end>>?)", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The index at which a reply's answer begins, after its reasoning; or the `reason` why there is no answer."""

    start: int = 0
    reason: str = ""


def find_answer(text: str) -> Answer:
    """Find the answer: the text after the last closing tag, or the whole reply if there are no tags.

    Some chat templates leave the opening tag out, and reasoning may mention a closing tag. Only the text after the
    last closing tag is certain to be the answer. A tag that is opened and not closed again means that the reply ended
    inside its reasoning.
    """
    opened: dict[str, int] = {}
    start = 0
    for tag in _TAG.finditer(text):
        name = tag["name"].lower()
        if not tag["closing"]:
            opened[name] = opened.get(name, 0) + 1
        elif tag["end"]:
            opened[name] = max(opened.get(name, 0) - 1, 0)
            start = tag.end()
    if any(opened.values()):
        return Answer(reason=INSIDE_REASONING)
    return Answer(start=start)
