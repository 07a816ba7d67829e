"""Explains how a reply ended, by its finish_reason. Only a reply that came to its end is read for a score."""

from __future__ import annotations

from essay_cohorts.calls import BROKEN_OFF, TRUNCATED

# The names that servers use for the end of a whole reply. Many older records and some servers give no reason.
_WHOLE = frozenset(
    {"", "stop", "stop_sequence", "end_turn", "eos", "eos_token", "complete", "completed", "finished"}
    | {"tool_calls", "function_call", "tool_use"}
)
_WHY = {
    TRUNCATED: "truncated: the reply hit its token limit",
    "max_tokens": "truncated: the reply hit its token limit",
    "content_filter": "stopped by the content filter",
    BROKEN_OFF: "the reply broke off: the server met an error before its end",
}


def why_unfinished(finish_reason: str) -> str:
    """Return why a reply with this finish_reason is not read for a score; "" if the reply came to its end."""
    reason = finish_reason.strip().lower()
    if reason in _WHOLE:
        return ""
    return _WHY.get(reason, f"the reply did not come to its end: finish_reason {finish_reason[:80]!r}")
