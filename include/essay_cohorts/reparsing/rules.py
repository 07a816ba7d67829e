"""Rules of scoring stored replies again: the checks of a request, and what a new verdict does to a stored score."""

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
from essay_cohorts.rubric import Scale, rubric_of

# The words that stand in for a score that is missing or unreadable, in `before` and `after`.
UNSCORED, NOT_SCORED, NO_NUMBER = "unscored", "not scored yet", "no number"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReparseRequest:
    """Which stored replies to score again, and whether to write the results. The default is the whole store."""

    cohort_id: str | None = None
    templates: tuple[str, ...] | None = None
    write: bool = False


KEYS = tuple(field.name for field in fields(ReparseRequest))


class Effect(StrEnum):
    """The effect of scoring a stored evaluation again, or the kind of reason why it was not scored.

    Each evaluation has exactly one effect.
    """

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
    """The result for one evaluation.

    `before` and `after` are the scores as texts. `why` is the parser, the reason for a refusal, or the finding.
    """

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
    """Check the keys and types of a conf. A key that is absent or null gets its default."""
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
    """Return the effect of `verdict` on an evaluation with this parsed.txt and this parsed_metadata.json (`record`).

    A parsed.txt that differs from its record was edited by a person, and is kept. There is one exception: a process
    that replaced a verdict may have died after it wrote the record and before it wrote parsed.txt. Then
    `half_replaced` is the record that belongs to this parsed.txt.
    """
    owner = record if half_replaced is None else half_replaced
    before = _describe(parsed, record, owner.rubric.scale)
    after = UNSCORED if verdict.score is None else _text(verdict.score)
    if _is_by_hand(before, record) and (half_replaced is None or _is_by_hand(before, half_replaced)):
        return Decision(effect=Effect.BY_HAND, before=before, after=after)
    measures = owner.rubric.measure, rubric_of(verdict.parser.version).measure
    if owner and before not in (UNSCORED, NOT_SCORED, NO_NUMBER) and measures[0] != measures[1]:
        before, after = f"{before} ({measures[0]})", after if verdict.score is None else f"{after} ({measures[1]})"
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


def _describe(parsed: str | None, record: VerdictRecord, scale: Scale) -> str:
    if not parsed:
        return UNSCORED if _recorded(record) == UNSCORED else NOT_SCORED
    score = parse_score_text(parsed, scale)
    return NO_NUMBER if score is None else _text(score)


def _is_by_hand(before: str, record: VerdictRecord) -> bool:
    """Return True if the text differs from the recorded result; without a recorded result this cannot be known."""
    return before not in (UNSCORED, NOT_SCORED) and _recorded(record) not in (None, before)


def _recorded(record: VerdictRecord) -> str | None:
    if record.is_refusal:
        return UNSCORED
    return None if record.score is None else _text(record.score)


def _text(score: float) -> str:
    return score_text(score).strip()
