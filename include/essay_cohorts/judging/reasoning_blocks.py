"""The reasoning that a reply may hold beside its answer, between tags such as `<think>` and `</think>`."""

from __future__ import annotations

import re
from dataclasses import dataclass

INSIDE_REASONING = "the reply ended inside its reasoning"
# The reason when nothing is behind the reasoning.
NO_ANSWER = "the reply ended with its reasoning, without an answer"

# An opening tag counts without its ">" too: a broken tag must not let reasoning pass for an answer.
_TAG = re.compile(
    r"<(?P<closing>/?)\s*(?P<name>thinking|think|thought|reasoning)(?=[\s/>]|\Z)[^<>\r\n]*(?P<end>>?)", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Where a reply's answer begins, behind its reasoning; or the `reason` why the reply has none."""

    start: int = 0
    reason: str = ""


def find_answer(text: str) -> Answer:
    """Find the answer: the text behind the last closing tag, or all of a reply without tags.

    Some chat templates leave the opening tag out, and reasoning may mention a closing tag. Only what is behind the
    last closing tag is an answer in every reading. A tag that is opened and not closed again means that the reply
    ended inside its reasoning.
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
