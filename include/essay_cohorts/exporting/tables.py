"""Exports evaluations as rows of one table, with the titles and groups of their essays, for other programs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from essay_cohorts.domain import Stage, is_id
from essay_cohorts.files.csv_text import csv_text, escape_formula
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.records import VerdictRecord, text_of
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.evaluation_state import read_state
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_titles import DescribedEssay, describe_essay
from essay_cohorts.views.evaluation_state import NO_CALLERS, Callers, shown_state


class ExportedTexts(NamedTuple):
    """The texts of an evaluation; None for one that does not exist."""

    essay_text: str | None
    prompt: str | None
    reply: str | None
    reasoning: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedEvaluation:
    """A row: the evaluation's cell and replicate, its state and score, and where the reply came from.

    `state` is one of views/evaluation_state.MemberState. `texts` is None unless the texts were asked for. `cost_usd`
    is what the reply cost; None when it is not known. `score_min` and `score_max` are the scale of the score, and
    `criteria` a JSON object of the scores of its criteria; without a score they are empty.
    """

    gen_id: str
    essay_id: str
    essay_title: str
    essay_group: str
    template_id: str
    llm_model_id: str
    replicate: int | None
    state: str
    score: float | None
    reason: str
    cost_usd: float | None
    created_at: str
    origin_cohort_id: str
    response_model: str
    settings: str
    prompt_sha256: str
    system_fingerprint: str
    score_min: float | None = None
    score_max: float | None = None
    criteria: str = ""
    texts: ExportedTexts | None = None


NO_TEXTS = ExportedTexts(None, None, None, None)


def export_rows(
    root: Path, gen_ids: Collection[str] | None = None, *, texts: bool = False, callers: Callers = NO_CALLERS
) -> Iterator[ExportedEvaluation]:
    """Yield the evaluations of a data root, or those of `gen_ids`, by gen_id; folders without a cell are left out."""
    exporter = _Exporter(store=GensDataLayer.from_root(root), texts=texts, callers=callers)
    names = sorted(exporter.store.folder_names(Stage.EVALUATION) if gen_ids is None else gen_ids)
    return (row for _, row in parallel_map(exporter.row, filter(is_id, names)) if row is not None)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Exporter:
    """Reads rows; `essays` remembers the title, the group and the text of each essay."""

    store: GensDataLayer
    texts: bool
    callers: Callers
    essays: dict[str, DescribedEssay] = field(default_factory=dict)

    def row(self, gen_id: str) -> ExportedEvaluation | None:
        evaluation = self.store.evaluation(gen_id)
        metadata = evaluation.metadata()
        if metadata is None or metadata.cell is None:
            return None
        cell = metadata.cell
        essay = self._essay(cell.essay_id)
        found = read_state(evaluation)
        shown, record, verdict = shown_state(found, self.callers.get(gen_id)), found.reply, found.verdict
        scale = verdict.rubric.scale if shown.score is not None else None
        return ExportedEvaluation(
            gen_id=gen_id,
            essay_id=cell.essay_id,
            essay_title=essay.title,
            essay_group=essay.group,
            template_id=cell.template_id,
            llm_model_id=cell.model_id,
            replicate=metadata.replicate,
            state=str(shown.state),
            score=shown.score,
            reason=shown.reason,
            cost_usd=record.cost_usd,
            created_at=text_of(record.fields, "created_at"),
            origin_cohort_id=metadata.origin_cohort_id,
            **record.provenance._asdict(),
            score_min=float(scale.low) if scale else None,
            score_max=float(scale.high) if scale else None,
            criteria=_criteria_text(verdict) if scale else "",
            texts=_texts_of(evaluation, essay.text) if self.texts else None,
        )

    def _essay(self, essay_id: str) -> DescribedEssay:
        if essay_id not in self.essays:
            essay = describe_essay(self.store, essay_id)
            # A whole store of texts need not fit into memory.
            self.essays[essay_id] = essay if self.texts else essay._replace(text="")
        return self.essays[essay_id]


def _criteria_text(verdict: VerdictRecord) -> str:
    scores = {name: score for name, score, _ in verdict.criteria}
    return json.dumps(scores, ensure_ascii=False) if scores else ""


def _texts_of(evaluation: EvaluationFolder, essay_text: str) -> ExportedTexts:
    prompt, reply = evaluation.whole_prompt(), evaluation.reply()
    prompt_text, reply_text = (None if each is None else each.text for each in (prompt, reply))
    return ExportedTexts(essay_text, prompt_text, reply_text, evaluation.reasoning())


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """Return a CSV; None is an empty cell, and a text that a spreadsheet would run as a formula is escaped."""
    lines = (["" if row[name] is None else escape_formula(row[name]) for name in columns] for row in rows)
    return csv_text(columns, lines).encode("utf-8", errors="replace")


def as_jsonl(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:  # noqa: ARG001  (as the others)
    """Return one JSON object per line."""
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", errors="replace")


def as_parquet(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """Return a Parquet file whose columns have the same types whatever the rows hold."""
    import polars

    numbers = dict.fromkeys(("score", "cost_usd", "score_min", "score_max"), polars.Float64)
    kinds = {"replicate": polars.Int64, **numbers}
    schema = {name: kinds.get(name, polars.String) for name in columns}
    sink = io.BytesIO()
    polars.DataFrame(rows, schema=schema).write_parquet(sink)
    return sink.getvalue()


FORMATS: Mapping[str, Callable[[Sequence[Mapping[str, Any]], Sequence[str]], bytes]] = {
    "csv": as_csv,
    "jsonl": as_jsonl,
    "parquet": as_parquet,
}


def export_file(rows: Sequence[ExportedEvaluation], kind: str, *, texts: bool = False) -> bytes:
    """Return the content of a file of one of the FORMATS; the texts have columns only with `texts`."""
    columns = [each.name for each in fields(ExportedEvaluation) if each.name != "texts"]
    values = [{name: getattr(row, name) for name in columns} for row in rows]
    if texts:
        columns += ExportedTexts._fields
        values = [{**value, **(row.texts or NO_TEXTS)._asdict()} for value, row in zip(values, rows, strict=True)]
    return FORMATS[kind](values, columns)
