"""`7_cross_experiment/aggregated_scores.csv`: every evaluation of the store with its score, or why it has none.

`score_pivot.csv` in the same folder has the same scores by essay, template and model.

A row of the former file is taken over when its score has not changed since; all other rows are read from the store. A
damaged folder is reported in its own row and changes no other row.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from essay_cohorts.amounts import counted
from essay_cohorts.domain import Cell, Stage, is_human, is_id, one_form
from essay_cohorts.errors import BadInput, Problem, StoreError
from essay_cohorts.files.atomic import make_folder, write_text
from essay_cohorts.files.clock import is_surely_older
from essay_cohorts.files.csv_text import csv_reader, csv_text, escape_formula, unescape_formula
from essay_cohorts.provenance import MADE_UP_REASON, Provenance
from essay_cohorts.records import text_of
from essay_cohorts.rubric import Scale, points, scale_in, score_of
from essay_cohorts.selecting.essay_ranking import DAMAGED, JudgedEvaluation
from essay_cohorts.store.evaluation_state import read_state
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.store.scores_csv import pivot_text
from essay_cohorts.views.evaluation_state import NO_CALLERS, Callers, MemberState, shown_state

STORE_PIVOT = "7_cross_experiment/score_pivot.csv"
AGGREGATED = "7_cross_experiment/aggregated_scores.csv"


class AggregatedRow(NamedTuple):
    """A row of the file, each field a column and a text; exactly one of `score` and `error` is empty.

    `error` begins with the evaluation's state (see views/evaluation_state) or with `damaged`. Paths are
    below the data root; a person's score has no reply, so its path is "".
    """

    parent_gen_id: str
    gen_id: str
    evaluation_template: str
    evaluation_llm_model: str
    score: str
    error: str
    origin_cohort_id: str
    combo_id: str
    draft_template: str
    generation_template: str
    generation_model: str
    replicate: str
    evaluation_response_path: str
    generation_response_path: str
    created_at: str
    response_model: str = ""
    settings: str = ""
    prompt_sha256: str = ""
    system_fingerprint: str = ""
    score_min: str = ""
    score_max: str = ""

    @property
    def scale(self) -> Scale:
        """The scale of the score; a file of an older version has no columns for it, so it is the default one."""
        return scale_in(self.score_min, self.score_max)

    @property
    def provenance(self) -> Provenance:
        """The model that answered, the settings of the request, and the hash of the prompt."""
        return Provenance(*(unescape_formula(getattr(self, name)) for name in Provenance._fields))


COLUMNS = AggregatedRow._fields


@dataclass(frozen=True, kw_only=True, slots=True)
class Aggregation:
    """What was written: all rows, those with a score, the others by the first word of their error.

    `taken_over` of the rows stand as they did in the former file.
    """

    rows: int
    scored: int
    errors: Mapping[str, int]
    taken_over: int

    def __str__(self) -> str:
        errors = "".join(f", {count:,} {state.replace('_', ' ')}" for state, count in sorted(self.errors.items()))
        rows, unchanged = counted(self.rows, "evaluation"), counted(self.taken_over, "row")
        return f"{rows}: {self.scored:,} with a score{errors}; {unchanged} unchanged."


def aggregate_scores(root: Path, callers: Callers = NO_CALLERS) -> Aggregation:
    """Rewrite the file, ordered by gen_id, and its pivot; `callers` are the tasks that call a judge now.

    StoreError when the disk refuses; then the former file stays.
    """
    # These load pandas, which no other command of the sub-app needs.
    from essay_cohorts.statistics.frame import store_frame
    from essay_cohorts.statistics.pivot import pivot_scores

    began = time.time_ns()
    aggregator = _Aggregator(store=GensDataLayer.from_root(root), former=_former(root), callers=callers)
    names = sorted(aggregator.store.folder_names(Stage.EVALUATION))
    tally = _Tally()
    path = root / AGGREGATED
    make_folder(root, path.parent)
    write_text(path, csv_text(COLUMNS, tally.counted(map(aggregator.row, names))), as_of=began)
    pivot = pivot_scores(store_frame(tally.judged))
    write_text(root / STORE_PIVOT, pivot_text(pivot.columns, pivot.rows))
    return Aggregation(
        rows=len(names), scored=tally.scored, errors=dict(tally.errors), taken_over=aggregator.taken_over
    )


def read_aggregated(path: Path, *, made_up_counts: bool) -> tuple[JudgedEvaluation, ...]:
    """Return the evaluations of such a file; BadInput when it is missing, lacks a column or has an invalid score.

    Unless `made_up_counts`, evaluations of the offline judge have no score, even when the file has one.
    """
    place, lines = str(path), _lines_of(path)
    header = next(lines, [])
    needed = ("parent_gen_id", "gen_id", "evaluation_template", "evaluation_llm_model", "score")
    problems = [
        Problem(
            place=f"{place}:1", finding=f'the column "{name}" is missing.', next_step=f"It has: {','.join(header)}"
        )
        for name in needed
        if name not in header
    ]
    if problems:
        raise BadInput(problems)
    found: list[JudgedEvaluation] = []
    for number, cells in enumerate(lines, start=2):
        row = dict(zip(header, cells, strict=False))
        scale = scale_in(row.get("score_min", ""), row.get("score_max", ""))
        score = score_of(row["score"], scale) if len(cells) == len(header) else None
        if len(cells) != len(header) or (row["score"] and score is None):
            finding = f"it has another number of cells than the header, or its score is not a number from {scale}."
            problems.append(Problem(place=f"{place}: row {number}", finding=finding, next_step="Aggregate again."))
            continue
        found.append(_judged(row, score, scale, made_up_counts=made_up_counts))
    if problems:
        raise BadInput(problems[:20])
    return tuple(found)


def _judged(row: Mapping[str, str], score: float | None, scale: Scale, *, made_up_counts: bool) -> JudgedEvaluation:
    provenance = Provenance(*(unescape_formula(row.get(name, "")) for name in Provenance._fields))
    error = row.get("error", "")
    if provenance.is_made_up and not made_up_counts:
        score, error = None, f"{MemberState.MADE_UP}: {MADE_UP_REASON}"
    return JudgedEvaluation(
        gen_id=row["gen_id"],
        cell=Cell(row["parent_gen_id"], one_form(row["evaluation_template"]), one_form(row["evaluation_llm_model"])),
        score=score,
        error=error,
        provenance=provenance,
        scale=scale,
        origin_cohort_id=unescape_formula(row.get("origin_cohort_id", "")),
    )


def _lines_of(path: Path) -> Iterator[list[str]]:
    try:
        return iter(csv_reader(path.read_bytes().decode("utf-8-sig")))
    except FileNotFoundError:
        problem = Problem(place=str(path), finding="there is no such file.", next_step="Write it: cohorts aggregate")
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem(place=str(path), finding=f"it cannot be read: {error}.", next_step="Fix it.")
    raise BadInput([problem])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Former:
    """The rows of the former file that have a score, by gen_id, and when its reading began, in ns since 1970."""

    rows: Mapping[str, AggregatedRow]
    read_at: int


def _former(root: Path) -> _Former:
    path = root / AGGREGATED
    try:
        read_at = path.stat().st_mtime_ns
        lines = iter(csv_reader(path.read_bytes().decode("utf-8")))
        if tuple(next(lines, ())) != COLUMNS:
            return _Former(rows={}, read_at=0)
        rows = (_with_one_form(AggregatedRow(*cells)) for cells in lines)
        return _Former(
            rows={row.gen_id: row for row in rows if score_of(row.score, row.scale) is not None}, read_at=read_at
        )
    except (OSError, ValueError, TypeError):
        return _Former(rows={}, read_at=0)


def _with_one_form(row: AggregatedRow) -> AggregatedRow:
    """Return the row with the judge's id in composed form, which an older program did not ensure."""
    judge = row.evaluation_llm_model
    return row if judge.isascii() else row._replace(evaluation_llm_model=one_form(judge))


@dataclass(kw_only=True)
class _Aggregator:
    store: GensDataLayer
    former: _Former
    callers: Callers
    taken_over: int = 0
    _essays: dict[str, tuple[str, str, str, str]] = field(default_factory=dict)

    def row(self, gen_id: str) -> AggregatedRow:
        """Return the evaluation's row; a folder that cannot be read gives a row with an error."""
        try:
            known = self.former.rows.get(gen_id)
            if known is not None and (self.store.made_up_counts or not known.provenance.is_made_up):
                # The time of the former file is the time when its reading began.
                changed_at = self.store.evaluation(gen_id).parsed_at()
                if changed_at is not None and is_surely_older(changed_at, self.former.read_at):
                    self.taken_over += 1
                    return known
            return self._read(gen_id)
        except (OSError, StoreError) as error:
            return _damaged(gen_id, str(error))

    def _read(self, gen_id: str) -> AggregatedRow:
        evaluation = self.store.evaluation(gen_id)
        metadata = evaluation.metadata()
        cell = metadata.cell if metadata else None
        if metadata is None or cell is None:
            return _damaged(gen_id, "its metadata.json is missing or unusable")
        found = read_state(evaluation)
        shown = shown_state(found, self.callers.get(gen_id))
        scale = found.verdict.rubric.scale if shown.score is not None else None
        combo_id, draft_template, template, model = self._essay(cell.essay_id)
        replicate = metadata.replicate
        return AggregatedRow(
            parent_gen_id=cell.essay_id,
            gen_id=gen_id,
            evaluation_template=cell.template_id,
            evaluation_llm_model=cell.model_id,
            score="" if shown.score is None else f"{shown.score}",
            error="" if shown.score is not None else f"{shown.state}: {shown.reason}",
            origin_cohort_id=metadata.origin_cohort_id,
            combo_id=combo_id or text_of(metadata.fields, "combo_id"),
            draft_template=draft_template,
            generation_template=template,
            generation_model=model,
            replicate="" if replicate is None else str(replicate),
            evaluation_response_path="" if is_human(cell.model_id) else f"gens/evaluation/{gen_id}/raw.txt",
            generation_response_path=f"gens/essay/{cell.essay_id}/parsed.txt" if is_id(cell.essay_id) else "",
            created_at=text_of(found.reply.fields, "created_at"),
            **{name: escape_formula(text) for name, text in found.reply.provenance._asdict().items()},
            score_min=points(scale.low) if scale else "",
            score_max=points(scale.high) if scale else "",
        )

    def _essay(self, essay_id: str) -> tuple[str, str, str, str]:
        """Return an essay's combo, its draft's template, its own template, and the model that wrote it."""
        if essay_id not in self._essays:
            essay = self.store.generation(Stage.ESSAY, essay_id) if is_id(essay_id) else None
            parent = essay.parent_gen_id if essay else ""
            draft = self.store.generation(Stage.DRAFT, parent) if is_id(parent) else None
            self._essays[essay_id] = (
                (essay.combo_id if essay else "") or (draft.combo_id if draft else ""),
                draft.template_id if draft else "",
                essay.template_id if essay else "",
                (essay.llm_model_id if essay else "") or (draft.llm_model_id if draft else ""),
            )
        return self._essays[essay_id]


@dataclass(kw_only=True)
class _Tally:
    """The counts and scores of all rows; the rows themselves are not kept, because a large store has many."""

    scored: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    judged: list[tuple[tuple[str, str, str], float | None, Scale]] = field(default_factory=list)

    def counted(self, rows: Iterable[AggregatedRow]) -> Iterator[AggregatedRow]:
        """Count each row and yield it."""
        for row in rows:
            cell = (row.parent_gen_id, row.evaluation_template, row.evaluation_llm_model)
            self.judged.append((cell, float(row.score) if row.score else None, row.scale))
            self.scored += bool(row.score)
            if row.error:
                self.errors[row.error.split(":", 1)[0]] += 1
            yield row


def _damaged(gen_id: str, finding: str) -> AggregatedRow:
    empty: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    return AggregatedRow(**{**empty, "gen_id": gen_id, "error": f"{DAMAGED}: {' '.join(finding.split())}"})
