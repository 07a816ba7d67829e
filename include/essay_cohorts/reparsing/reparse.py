"""Scores stored replies again without a call, in two passes: the first reads and decides, the second writes.

The second pass runs only on request. It claims each evaluation in the ledger, as a calling task does, so that
no other process changes the evaluation at the same time. Then it reads and decides again, because another process
may have changed the evaluation since the first pass, and writes the result of this second decision.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial

from essay_cohorts.amounts import counted
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.catalog.templates import TEMPLATES
from essay_cohorts.domain import Cell, Member, Stage, TaskRef, Template, Verdict, is_human, is_id
from essay_cohorts.errors import Problem, StoreError, choose_from, raise_if_any
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.judging.parsers import PARSERS, Parser, judge_by, score_text, template_parser, verdict_record
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.planning.inputs import check_parser
from essay_cohorts.reparsing.report import ReparseReport, changes_text, totals_text
from essay_cohorts.reparsing.rules import Effect, Reparsed, ReparseRequest, decide
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import cohorts_with
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_state import Callers
from essay_cohorts.views.status import evaluations_of

log = logging.getLogger(__name__)

_REPLIES_PER_LINE = 10_000
# So many evaluations are claimed together, because a transaction costs as much as scoring several of them.
_CLAIMED_AT_ONCE = 200
_TO_WRITE = (Effect.CHANGED, Effect.RENEWED)
_PENDING = "a complete reply is in temporary files; run its cohort, which puts the reply in place and scores it"


def reparse(
    settings: Settings,
    request: ReparseRequest,
    task: TaskRef,
    show: Callable[[str], None] = lambda _: None,
    *,
    max_rows: int | None = None,
    parsers: Mapping[str, Parser] = PARSERS,
) -> ReparseReport:
    """Score the requested stored replies again, with the parsers that their templates name today.

    Shows what would change, at most `max_rows` rows per table, before anything is written. Writes only on request.
    BadInput, before any write, if the inputs cannot be used. An evaluation that is damaged or cannot be written is
    reported and does not stop the others.
    """
    members = () if request.cohort_id is None else evaluations_of(settings, request.cohort_id)
    parsing = _parsing(settings, request, members, parsers)
    store = GensDataLayer.from_root(settings.data_root)
    whole_store = request.cohort_id is None
    names = sorted(store.folder_names(Stage.EVALUATION)) if whole_store else [member.gen_id for member in members]
    callers = Ledger.for_reading(settings).holders()
    rescorer = _Rescorer(store=store, parsing=parsing, templates=request.templates, callers=callers)
    rows = _read_all(rescorer, names)
    show(changes_text(_report(rows), max_rows) or "No result changes.")
    if request.write and any(row.effect in _TO_WRITE for row in rows):
        before, rows = rows, _write_all(rescorer, rows, settings, task)
        differing = [now for was, now in zip(before, rows, strict=True) if now.effect is not was.effect]
        if text := changes_text(_report(differing), max_rows):
            show(text)
    # A verdict that was only written again may have other scores of criteria.
    changed = {row.gen_id for row in rows if row.effect is Effect.CHANGED or rescorer.renews_criteria(row)}
    stale = cohorts_with(settings.data_root, changed) if request.write and changed else []
    report = _report(rows, written=request.write, stale_cohorts=tuple(stale))
    show(totals_text(report))
    return report


def describe_unwritten(report: ReparseReport) -> str:
    """Return how many evaluations the disk refused to write, and the next step; "" if everything was written."""
    unwritten = report.of(Effect.NOT_WRITTEN)
    if not unwritten:
        return ""
    return (
        f"{counted(len(unwritten), 'evaluation')} could not be written; run this again to write the rest. "
        f"The first: {unwritten[0].gen_id}: {unwritten[0].why}"
    )


def raise_unless_written(report: ReparseReport) -> None:
    """Raise StoreError if the disk refused to write some evaluations."""
    if problem := describe_unwritten(report):
        raise StoreError(problem)


def _read_all(rescorer: _Rescorer, names: Iterable[str]) -> list[Reparsed]:
    rows: list[Reparsed] = []
    for number, (_, row) in enumerate(parallel_map(rescorer.read, names), start=1):
        if row is not None:
            rows.append(row)
        if number % _REPLIES_PER_LINE == 0:
            log.info("%s read", counted(number, "evaluation"))
    return rows


def _write_all(rescorer: _Rescorer, rows: Sequence[Reparsed], settings: Settings, task: TaskRef) -> list[Reparsed]:
    """Write the rows that need it; return all rows, with the new state of those that were written."""
    todo = [row for row in rows if row.effect in _TO_WRITE]
    done: dict[str, Reparsed] = {}
    ledger = Ledger.of(settings)
    with ledger.caller(str(task)) as caller:
        for start in range(0, len(todo), _CLAIMED_AT_ONCE):
            part = todo[start : start + _CLAIMED_AT_ONCE]
            claimed = ledger.claim(caller, [row.gen_id for row in part])
            callers = ledger.holders()
            try:
                for row, now in parallel_map(partial(rescorer.rewrite, callers, claimed), part):
                    done[row.gen_id] = now
                    if len(done) % _REPLIES_PER_LINE == 0:
                        log.info("%s of %s written", f"{len(done):,}", f"{len(todo):,}")
            finally:
                ledger.release(caller, claimed)
    return [done.get(row.gen_id, row) for row in rows]


def _report(rows: Sequence[Reparsed], *, written: bool = False, stale_cohorts: tuple[str, ...] = ()) -> ReparseReport:
    counts = Counter(row.effect for row in rows)
    return ReparseReport(written=written, counts=counts, rows=tuple(rows), stale_cohorts=stale_cohorts)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """How a template's replies are read today. `asks_for_scale`: its requests name the scale of its row."""

    parser: Parser
    asks_for_scale: bool


def _parsing(
    settings: Settings, request: ReparseRequest, members: Iterable[Member], parsers: Mapping[str, Parser]
) -> dict[str, _Reading]:
    """Return how each requested template is read. BadInput if a template or its parser is unknown."""
    catalog = Catalog(root=settings.data_root)
    found = catalog.template_rows()
    raise_if_any(found.problems)
    known: dict[str, Template] = found.value
    in_cohort = {member.template_id for member in members}
    wanted = request.templates or (in_cohort if request.cohort_id else known)
    problems = [
        Problem(
            place=f"templates, entry {position}",
            finding=f'"{name}" is not in {TEMPLATES}.',
            next_step=choose_from(name, known),
        )
        for position, name in enumerate(request.templates or (), start=1)
        if name not in known
    ]
    rows = [template for template in known.values() if template.template_id in wanted]
    problems += [problem for template in rows for problem in check_parser(template, parsers.keys())]
    raise_if_any(problems)
    return {
        template.template_id: _Reading(
            parser=template_parser(template, parsers), asks_for_scale=_asks_for_scale(catalog, template)
        )
        for template in rows
    }


def _asks_for_scale(catalog: Catalog, template: Template) -> bool:
    texts = (catalog.text(place).value for place in (template.place, template.system_place))
    return template.response_format == "json_schema" or any("score_m" in text for text in texts)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rescorer:
    """Scores evaluations again, one at a time; several threads may use the same object."""

    store: GensDataLayer
    parsing: Mapping[str, _Reading]
    templates: tuple[str, ...] | None
    callers: Callers

    def read(self, gen_id: str) -> Reparsed | None:
        """Return what scoring the evaluation again would change; None if it was not requested or is a person's."""
        if not is_id(gen_id):
            return Reparsed(gen_id=gen_id, effect=Effect.DAMAGED, why="its name is not a valid id")
        try:
            return self._read(self.store.evaluation(gen_id))[0]
        except (OSError, StoreError) as error:
            return Reparsed(gen_id=gen_id, effect=Effect.DAMAGED, why=f"it cannot be read: {error}")

    def renews_criteria(self, row: Reparsed) -> bool:
        """Return True if the verdict was written again and its template has criteria."""
        reading = self.parsing.get(row.cell.template_id) if row.cell else None
        return row.effect is Effect.RENEWED and reading is not None and bool(reading.parser.rubric.criteria)

    def rewrite(self, callers: Callers, claimed: Set[str], row: Reparsed) -> Reparsed:
        """Score the evaluation again, if this process has claimed it, write the result, and return the new row.

        The new row may differ from `row`, because another process may have changed the evaluation meanwhile.
        """
        if row.gen_id not in claimed:
            return replace(row, effect=Effect.SKIPPED, why=_in_use(callers.get(row.gen_id, "another task")))
        try:
            evaluation = self.store.evaluation(row.gen_id)
            now, verdict = self._read(evaluation)
            if now is not None and verdict is not None and now.effect in _TO_WRITE:
                _replace(evaluation, now, verdict)
            return now or row
        except (OSError, StoreError) as error:
            return replace(row, effect=Effect.NOT_WRITTEN, why=str(error))

    def _read(self, evaluation: EvaluationFolder) -> tuple[Reparsed | None, Verdict | None]:
        """Return the row according to the files as they are now, and the new verdict if there is a reply.

        The row is None if the template was not requested, or if a person gave the score.
        """
        gen_id, metadata = evaluation.gen_id, evaluation.metadata()
        cell = metadata.cell if metadata else None
        if cell is None:
            why = "its metadata.json is missing or unusable"
            return Reparsed(gen_id=gen_id, effect=Effect.DAMAGED, why=why), None
        # A person's score has no reply that could be read again.
        if is_human(cell.model_id) or (self.templates is not None and cell.template_id not in self.templates):
            return None, None
        row = partial(Reparsed, gen_id=gen_id, cell=cell)
        reading = self.parsing.get(cell.template_id)
        if reading is None:
            why = f"the template {cell.template_id} is not in {TEMPLATES}"
            return row(effect=Effect.SKIPPED, why=why), None
        if gen_id in self.callers:
            return row(effect=Effect.SKIPPED, why=_in_use(self.callers[gen_id])), None
        if evaluation.has_pending_reply():
            return row(effect=Effect.SKIPPED, why=_PENDING), None
        record = evaluation.verdict_record()
        made_for = record.rubric.scale
        if reading.asks_for_scale and record and made_for != reading.parser.rubric.scale:
            # The reply answers a request that named the former scale, so 4 of 5 would become 4 of 10.
            return row(effect=Effect.SKIPPED, why=f"its judge was asked for a score from {made_for}"), None
        return _score(evaluation, cell, reading.parser)


def _replace(evaluation: EvaluationFolder, row: Reparsed, verdict: Verdict) -> None:
    score = None if verdict.score is None else score_text(verdict.score)
    evaluation.replace_verdict(verdict_record(verdict), score, result_changes=row.effect is Effect.CHANGED)
    evaluation.drop_stale_failure()


def _score(evaluation: EvaluationFolder, cell: Cell, parser: Parser) -> tuple[Reparsed, Verdict | None]:
    gen_id, reply = evaluation.gen_id, evaluation.reply()
    if reply is None:
        return Reparsed(gen_id=gen_id, cell=cell, effect=Effect.NO_REPLY), None
    verdict = judge_by(parser, reply.text, finish_reason=reply.finish_reason, reasoning=reply.reasoning)
    parsed, record = evaluation.parsed_text(), evaluation.verdict_record()
    found = decide(parsed, record, verdict)
    if found.effect is Effect.BY_HAND:
        found = decide(parsed, record, verdict, half_replaced=evaluation.half_replaced())
    why, effect = verdict.reason or " ".join(verdict.parser), found.effect
    if effect in _TO_WRITE and not evaluation.reply_matches_record():
        effect, why = Effect.DAMAGED, "its raw.txt is not the reply that raw_metadata.json records"
    return Reparsed(gen_id=gen_id, cell=cell, effect=effect, before=found.before, after=found.after, why=why), verdict


def _in_use(holder: str) -> str:
    return f"{holder} is working on this evaluation"
