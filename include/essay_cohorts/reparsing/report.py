"""What scoring stored replies again found, in numbers and in words for a terminal and a task's log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from essay_cohorts.reparsing.rules import Effect, Reparsed

_COLUMNS = ("gen_id", "essay", "template", "model", "before", "after", "why")
# Evaluations that share a reason are told in one line, with so many names.
_MOST_NAMES = 5
_MOST_COHORTS = 20
_WORDS = {
    Effect.CHANGED: "with another result",
    Effect.RENEWED: "with the same result by another parser or version",
    Effect.UNCHANGED: "as they were",
    Effect.BY_HAND: "corrected by hand and kept",
    Effect.NO_REPLY: "without a reply",
    Effect.SKIPPED: "skipped",
    Effect.DAMAGED: "damaged",
    Effect.NOT_WRITTEN: "not written",
}
_LISTED = (Effect.SKIPPED, Effect.DAMAGED, Effect.NOT_WRITTEN)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReparseReport:
    """Every evaluation that was asked for, in order, and all of them counted by effect.

    `written` is true when it was to be carried out; `stale_cohorts` then have a changed member.
    """

    written: bool
    counts: Mapping[Effect, int]
    rows: tuple[Reparsed, ...]
    stale_cohorts: tuple[str, ...]

    def of(self, *effects: Effect) -> list[Reparsed]:
        """Return the rows with one of these effects."""
        return [row for row in self.rows if row.effect in effects]

    def to_xcom(self) -> dict[str, Any]:
        """Return the counts; each evaluation is in one of them."""
        counts = {effect.value: self.counts.get(effect, 0) for effect in Effect}
        return {"written": self.written, "evaluations": sum(counts.values()), "llm_calls": 0, **counts}

    def to_json(self) -> dict[str, Any]:
        """Return all of it, for programs."""
        rows = {
            effect.value: [_as_json(row) for row in self.of(effect)]
            for effect in (Effect.CHANGED, Effect.BY_HAND, *_LISTED)
        }
        return {"counts": self.to_xcom(), "stale_cohorts": list(self.stale_cohorts), **rows}


def changes_text(report: ReparseReport, most_rows: int | None = None) -> str:
    """Return the table of changes, what a person corrected, what was left alone and why.

    At most so many rows of each.
    """
    parts = [_table(changed, most_rows)] if (changed := report.of(Effect.CHANGED)) else []
    if by_hand := report.of(Effect.BY_HAND):
        told = "Corrected by hand, and kept (after: what the parser reads in the reply):"
        parts.append(f"{told}\n{_table(by_hand, most_rows)}")
    if listed := [line for effect in _LISTED for line in _listed(report.of(effect), most_rows)]:
        parts.append("\n".join(listed))
    return "\n\n".join([*parts, ""]) if parts else ""


def totals_text(report: ReparseReport) -> str:
    """Return all evaluations, counted once each, and what to do next."""
    total = sum(report.counts.values())
    counted = [f"{report.counts[effect]:,} {_WORDS[effect]}" for effect in Effect if report.counts.get(effect)]
    told = f"{total:,} evaluations" + (f": {', '.join(counted)}" if counted else "")
    return f"{told}. LLM calls: 0.\n{_what_next(report)}"


def _what_next(report: ReparseReport) -> str:
    if not (report.counts.get(Effect.CHANGED) or report.counts.get(Effect.RENEWED)):
        return "Nothing was written."
    if not report.written:
        return "Nothing was written. Add --write to apply it; in the DAG, trigger with write true."
    if not report.counts.get(Effect.CHANGED):
        return "Written: the metadata of the renewed ones. No score changed."
    return "\n".join(_stale(report))


def _stale(report: ReparseReport) -> Iterator[str]:
    yield "Written. The former results are kept as parsed.<n>.txt and parsed_metadata.<n>.json."
    yield "Stale now: 7_cross_experiment/aggregated_scores.csv. Next: cohorts aggregate"
    if cohorts := report.stale_cohorts:
        shown = ", ".join(cohorts[:_MOST_COHORTS]) + _more(len(cohorts) - _MOST_COHORTS)
        yield (
            f"Stale now: scores.csv and report.html of {shown}. Next: trigger evaluation_backfill again with the "
            "conf of the cohort's last run: it writes both again, and calls for nothing that has a reply."
        )


def _table(rows: Sequence[Reparsed], most: int | None) -> str:
    shown = rows if most is None else rows[:most]
    lines = [_COLUMNS, *(tuple(map(_one_line, _cells(row))) for row in shown)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    told = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(told) + (f"\nand {len(rows) - len(shown):,} more" if len(shown) < len(rows) else "")


def _listed(rows: Sequence[Reparsed], most: int | None) -> Iterator[str]:
    by_reason: dict[tuple[Effect, str], list[str]] = {}
    for row in rows:
        by_reason.setdefault((row.effect, row.why), []).append(_one_line(row.gen_id))
    for (effect, why), names in list(by_reason.items())[:most]:
        shown = ", ".join(names[:_MOST_NAMES]) + _more(len(names) - _MOST_NAMES)
        yield f"{_WORDS[effect].capitalize()}: {shown}: {why}"
    if most is not None and len(by_reason) > most:
        yield f"and {len(by_reason) - most:,} more"


def _more(count: int) -> str:
    return f" and {count:,} more" if count > 0 else ""


def _cells(row: Reparsed) -> tuple[str, ...]:
    return (row.gen_id, *row.cell, row.before, row.after, row.why)


def _one_line(text: str) -> str:
    """As it is, or with what no line can show made visible: it comes from the files of others."""
    return text if text.isprintable() else repr(text)


def _as_json(row: Reparsed) -> dict[str, str]:
    return dict(zip(_COLUMNS, _cells(row), strict=True))
