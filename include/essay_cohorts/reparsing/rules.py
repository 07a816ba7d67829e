"""Scoring stored replies again: what may be asked for, and what a new verdict means for the one that stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from essay_cohorts.conf_checks import check_list, unknown_keys, wrong
from essay_cohorts.domain import ID_RULE, Cell, Verdict, is_id
from essay_cohorts.errors import Checked, Problem
from essay_cohorts.judging.parsers import parse_score_text, score_text, verdict_record
from essay_cohorts.records import VerdictRecord

# What stands, or comes, in the place of a score.
UNSCORED, NOT_SCORED, NO_NUMBER = "unscored", "not scored yet", "no number"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReparseRequest:
    """Which stored replies to score again, the whole store's unless it is narrowed, and whether to write it down."""

    cohort_id: str | None = None
    templates: tuple[str, ...] | None = None
    write: bool = False


KEYS = tuple(field.name for field in fields(ReparseRequest))


class Effect(StrEnum):
    """What scoring a stored evaluation again means, or why it was not done. Each has exactly one."""

    CHANGED = "changed"
    RENEWED = "renewed"
    UNCHANGED = "unchanged"
    BY_HAND = "by_hand"
    NO_REPLY = "no_reply"
    SKIPPED = "skipped"
    DAMAGED = "damaged"
    NOT_WRITTEN = "not_written"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reparsed:
    """One evaluation: its score `before` and `after` as texts, and `why`: the parser, the refusal, or the finding."""

    gen_id: str
    effect: Effect
    cell: Cell = Cell("", "", "")  # noqa: RUF009  (a named tuple: immutable)
    before: str = ""
    after: str = ""
    why: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The effect of a new verdict, with the score before and after it."""

    effect: Effect
    before: str
    after: str


def parse_reparse_request(conf: Mapping[str, Any], place: str = "conf") -> Checked[ReparseRequest]:
    """Check a conf: unknown keys and types. A key that is absent, or null, has its default."""
    problems = list(unknown_keys(conf, KEYS, place))
    given = {key: conf[key] for key in KEYS if conf.get(key) is not None}
    for key, value in given.items():
        problems += _check(key, value, f"{place}: {key}")
    if problems:
        return Checked(value=ReparseRequest(), problems=tuple(problems))
    templates = tuple(given["templates"]) if "templates" in given else None
    return Checked(value=ReparseRequest(**{**given, "templates": templates}))


def decide(
    parsed: str | None, record: VerdictRecord, verdict: Verdict, *, half_replaced: VerdictRecord | None = None
) -> Decision:
    """Return what `verdict` means for an evaluation with this parsed.txt and this parsed_metadata.json (`record`).

    A parsed.txt that does not say what is recorded was written by a person, and is kept; unless a replacement died
    before it came to parsed.txt: `half_replaced` is then the record that it came with.
    """
    before = _present(parsed, record)
    after = UNSCORED if verdict.score is None else _text(verdict.score)
    if _is_by_hand(before, record) and (half_replaced is None or _is_by_hand(before, half_replaced)):
        return Decision(effect=Effect.BY_HAND, before=before, after=after)
    if before != after:
        return Decision(effect=Effect.CHANGED, before=before, after=after)
    new = verdict_record(verdict)
    same = {key: record.fields.get(key) for key in new} == new
    return Decision(effect=Effect.UNCHANGED if same else Effect.RENEWED, before=before, after=after)


def _check(key: str, given: Any, place: str) -> Iterator[Problem]:
    if key == "templates":
        yield from check_list(given, place, ids_only=True)
    elif key == "write":
        if not isinstance(given, bool):
            yield wrong(place, given, "Write true or false.")
    elif not is_id(given):
        yield wrong(place, given, ID_RULE)


def _present(parsed: str | None, record: VerdictRecord) -> str:
    if not parsed:
        return UNSCORED if _recorded(record) == UNSCORED else NOT_SCORED
    score = parse_score_text(parsed)
    return NO_NUMBER if score is None else _text(score)


def _is_by_hand(before: str, record: VerdictRecord) -> bool:
    """Return True for a text that differs from the recorded result; a record that tells none proves nothing."""
    return before not in (UNSCORED, NOT_SCORED) and _recorded(record) not in (None, before)


def _recorded(record: VerdictRecord) -> str | None:
    if record.is_refusal:
        return UNSCORED
    return None if record.score is None else _text(record.score)


def _text(score: float) -> str:
    return score_text(score).strip()
