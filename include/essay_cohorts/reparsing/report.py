"""Reports the results of scoring stored replies again: as numbers, as JSON, and as text for a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from essay_cohorts.amounts import counted
from essay_cohorts.reparsing.rules import Effect, Reparsed

_COLUMNS = ("gen_id", "essay", "template", "model", "before", "after", "why")
# Evaluations with the same reason share a line, which names at most this many of them.
_MAX_NAMES = 5
_MAX_COHORTS = 20
_WORDS = {
    Effect.CHANGED: "with another result",
    Effect.RENEWED: "with the same result from another parser or version",
    Effect.UNCHANGED: "unchanged",
    Effect.BY_HAND: "corrected by hand and kept",
    Effect.NO_REPLY: "without a reply",
    Effect.SKIPPED: "skipped",
    Effect.DAMAGED: "damaged",
    Effect.NOT_WRITTEN: "not written",
}
_LISTED = (Effect.SKIPPED, Effect.DAMAGED, Effect.NOT_WRITTEN)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReparseReport:
    """The rows of all requested evaluations, in order, and their counts by effect.

    `written` is True if the changes were to be written. Then `stale_cohorts` are the cohorts with a changed member.
    """

    written: bool
    counts: Mapping[Effect, int]
    rows: tuple[Reparsed, ...]
    stale_cohorts: tuple[str, ...]

    def of(self, *effects: Effect) -> list[Reparsed]:
        """Return the rows with one of these effects."""
        return [row for row in self.rows if row.effect in effects]

    def to_xcom(self) -> dict[str, Any]:
        """Return the counts; each evaluation is in exactly one count."""
        counts = {effect.value: self.counts.get(effect, 0) for effect in Effect}
        return {"written": self.written, "evaluations": sum(counts.values()), "llm_calls": 0, **counts}

    def to_json(self) -> dict[str, Any]:
        """Return the whole report for programs."""
        rows = {
            effect.value: [_as_json(row) for row in self.of(effect)]
            for effect in (Effect.CHANGED, Effect.BY_HAND, *_LISTED)
        }
        return {"counts": self.to_xcom(), "stale_cohorts": list(self.stale_cohorts), **rows}


def changes_text(report: ReparseReport, max_rows: int | None = None) -> str:
    """Return the table of changes, the table of scores corrected by hand, and the evaluations that were not scored.

    Each part has at most `max_rows` rows.
    """
    parts = [_table(changed, max_rows)] if (changed := report.of(Effect.CHANGED)) else []
    if by_hand := report.of(Effect.BY_HAND):
        heading = "Corrected by hand, and kept (after: the score that the parser reads in the reply):"
        parts.append(f"{heading}\n{_table(by_hand, max_rows)}")
    if listed := [line for effect in _LISTED for line in _listed(report.of(effect), max_rows)]:
        parts.append("\n".join(listed))
    return "\n\n".join([*parts, ""]) if parts else ""


def totals_text(report: ReparseReport) -> str:
    """Return the counts, in which each evaluation is counted once, and the next step."""
    total = sum(report.counts.values())
    parts = [f"{report.counts[effect]:,} {_WORDS[effect]}" for effect in Effect if report.counts.get(effect)]
    totals = counted(total, "evaluation") + (f": {', '.join(parts)}" if parts else "")
    return f"{totals}. LLM calls: 0.\n{_next_step(report)}"


def _next_step(report: ReparseReport) -> str:
    if not (report.counts.get(Effect.CHANGED) or report.counts.get(Effect.RENEWED)):
        return "Nothing was written."
    if not report.written:
        return "Nothing was written. Add --write to apply the changes; in the DAG, trigger with write true."
    if not report.counts.get(Effect.CHANGED):
        return "Written. Only parsed_metadata.json files were written again. No score changed."
    return "\n".join(_stale(report))


def _stale(report: ReparseReport) -> Iterator[str]:
    yield "Written. The former results are kept as parsed.<n>.txt and parsed_metadata.<n>.json."
    yield "Stale now: 7_cross_experiment/aggregated_scores.csv. Next: cohorts aggregate"
    if cohorts := report.stale_cohorts:
        shown = ", ".join(cohorts[:_MAX_COHORTS]) + _more(len(cohorts) - _MAX_COHORTS)
        yield (
            f"Stale now: scores.csv and report.html of {shown}. Next: trigger evaluation_backfill again with the "
            "conf of the cohort's last run. The run writes both files again, and does not call the judge for "
            "evaluations that have a reply."
        )


def _table(rows: Sequence[Reparsed], limit: int | None) -> str:
    shown = rows if limit is None else rows[:limit]
    cells = [_COLUMNS, *(tuple(map(_one_line, _cells(row))) for row in shown)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(lines) + (f"\nand {len(rows) - len(shown):,} more" if len(shown) < len(rows) else "")


def _listed(rows: Sequence[Reparsed], limit: int | None) -> Iterator[str]:
    by_reason: dict[tuple[Effect, str], list[str]] = {}
    for row in rows:
        by_reason.setdefault((row.effect, row.why), []).append(_one_line(row.gen_id))
    for (effect, why), names in list(by_reason.items())[:limit]:
        shown = ", ".join(names[:_MAX_NAMES]) + _more(len(names) - _MAX_NAMES)
        yield f"{_WORDS[effect].capitalize()}: {shown}: {why}"
    if limit is not None and len(by_reason) > limit:
        yield f"and {len(by_reason) - limit:,} more"


def _more(count: int) -> str:
    return f" and {count:,} more" if count > 0 else ""


def _cells(row: Reparsed) -> tuple[str, ...]:
    return (row.gen_id, *row.cell, row.before, row.after, row.why)


def _one_line(text: str) -> str:
    """Return the text, or its repr if it has unprintable characters: the store's files may contain anything."""
    return text if text.isprintable() else repr(text)


def _as_json(row: Reparsed) -> dict[str, str]:
    return dict(zip(_COLUMNS, _cells(row), strict=True))
