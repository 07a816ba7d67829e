"""The steps of the tasks after planning, except the calls: make the slices, check, write prompts, score replies.

Tasks pass only small values to each other: the PlannedRun and the slices. Each step reads its slice's part of the
plan from a file, and reads from the store whether an evaluation is done. Because no step relies on the result of an
earlier task for that, the tasks that the scheduler skips never change what a run pays for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Any

from essay_cohorts.amounts import counted
from essay_cohorts.calls import Prompt
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.domain import PlanRow, TaskRef, Template, Verdict
from essay_cohorts.errors import StoreError, raise_if_any
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.judging.parsers import Parser, judge_by, parser_of, score_text, verdict_record
from essay_cohorts.judging.prompts import prompt_renderer
from essay_cohorts.ledger.callers import Caller
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.ledger.schema import LEASE_S
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import (
    evaluation_rows,
    rows_of_slice,
    rows_to_call,
    unparsed_rows,
    write_slices,
)
from essay_cohorts.planning.slices import Capacity, Slice, make_slices, rows_of_kind
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

log = logging.getLogger(__name__)

# How long to wait, in s, while another process holds the claim on a pending reply. If that process is dead, this
# process can take over the claim after LEASE_S at the latest.
_CLAIM_PATIENCE_S = LEASE_S + 10.0
_POLL_S = 0.25
# The evaluations of one essay by one template have the same prompt and are neighbouring rows of the slice. The
# threads work on neighbouring rows too, so a cache of eight prompts is enough.
_CACHED_PROMPTS = 8
# So many replies share a wait for the disk, and a line of the log. A line for each reply would take a tenth of the
# step's time, because each line of a task's log passes through two processes.
_REPLIES_PER_FLUSH = 1_000


def cut_into_slices(
    settings: Settings, planned: PlannedRun, tasks_at_once: int = 0, *, several_machines: bool = False
) -> list[dict[str, Any]]:
    """Divide the plan into slices, write each slice's part of the plan, and return the slices in their XCom form.

    `tasks_at_once` is how many tasks Airflow lets run, on all its machines if there are several; 0 means no limit.
    """
    rows = evaluation_rows(settings, planned)
    slices = make_slices(
        reuse_ids=[row.member.gen_id for row in rows_of_kind(rows, "reuse")],
        todo_ids=[row.member.gen_id for row in rows_of_kind(rows, "todo")],
        batch_size=planned.batch_size,
        max_concurrency=planned.max_concurrency,
        capacity=Capacity(
            processes=settings.processes,
            tasks=tasks_at_once,
            several_machines=several_machines,
            wanted=settings.slices,
        ),
        calls_at_once=_most_in_flight(settings, planned) if several_machines else None,
    )
    write_slices(settings, planned, rows, slices)
    evaluations = counted(sum(part.stop - part.start for part in slices), "evaluation")
    log.info("%s over %s", counted(len(slices), "slice"), evaluations)
    return [part.to_xcom() for part in slices]


def _most_in_flight(settings: Settings, planned: PlannedRun) -> int | None:
    """Return how many calls may be in flight at all judges of the run together; None if one of them has no limit."""
    models = Catalog(root=settings.data_root).models(planned.models).value
    limits = [model.max_in_flight for model in models if planned.models is None or model.id in planned.models]
    return sum(each for each in limits if each) if limits and all(limits) else None


def check_parsed(settings: Settings, planned: PlannedRun, part: Slice) -> int:
    """Log each evaluation of the slice that has a score; return how many have none."""
    store = GensDataLayer.from_root(settings.data_root)
    rows = rows_of_slice(settings, planned, part)
    unscored = set(unparsed_rows(store, rows))
    for row in rows:
        if row not in unscored:
            log.info("Skipping %s: parsed.txt already exists", row.member.gen_id)
    return len(unscored)


def write_prompts(settings: Settings, planned: PlannedRun, part: Slice) -> int:
    """Write the prompt of each evaluation of the slice that needs a call; return the number of prompts."""
    store = GensDataLayer.from_root(settings.data_root)
    templates = _templates(settings, planned)

    @lru_cache(maxsize=_CACHED_PROMPTS)
    def render(template_id: str, essay_id: str) -> Prompt:
        return _render(store, template_id, templates.get(template_id), essay_id)

    def write(row: PlanRow) -> Exception | None:
        try:
            prompt = render(row.member.template_id, row.member.parent_gen_id)
        except Exception as error:  # noqa: BLE001  (an input was edited after planning; the other rows continue)
            store.evaluation(row.member.gen_id).drop_prompt()
            return error
        store.evaluation(row.member.gen_id).write_prompt(prompt)
        return None

    rows = rows_to_call(store, rows_of_slice(settings, planned, part), planned)
    written = 0
    for row, error in parallel_map(write, rows):
        written += error is None
        if error is not None:
            log.error("%s: no prompt was written, so no call is made: %s", row.member.gen_id, error)
    store.flush()
    folder = CohortFolder(root=settings.data_root, cohort_id=planned.cohort_id)
    folder.mark_prompts(planned.run_key, part.name)
    log.info("%s in place", counted(written, "prompt is", "prompts are"))
    return written


def parse_replies(settings: Settings, planned: PlannedRun, part: Slice, task: TaskRef) -> dict[str, int]:
    """Score the stored replies of the slice; return how many got a score and how many were refused."""
    store = GensDataLayer.from_root(settings.data_root)
    counts = {"scored": 0, "unscored": 0}

    def parse(row: PlanRow) -> Verdict | None:
        # Use the parser that planning checked, even if the templates' CSV names another parser now.
        parser = parser_of(planned.parsers[row.member.template_id])
        return _parse(store.evaluation(row.member.gen_id), parser, ledger, caller)

    ledger = Ledger.of(settings)
    rows = unparsed_rows(store, rows_of_slice(settings, planned, part))
    with ledger.caller(str(task)) as caller:
        while some := list(islice(rows, _REPLIES_PER_FLUSH)):
            verdicts = list(parallel_map(parse, some))
            store.flush()  # the verdicts, before the first score that needs one
            _write_scores(store, verdicts)
            store.flush()
            _count(verdicts, counts)
    log.info("%(scored)d scored, %(unscored)d unscored", counts)
    return counts


def _parse(evaluation: EvaluationFolder, parser: Parser, ledger: Ledger, caller: Caller) -> Verdict | None:
    """Judge one stored reply and write the verdict without its score; return None if there is no reply."""
    _recover_from_crash(evaluation, ledger, caller)
    reply = evaluation.reply()
    if reply is None:
        return None
    verdict = judge_by(parser, reply.text, finish_reason=reply.finish_reason, reasoning=reply.reasoning)
    evaluation.write_verdict(verdict_record(verdict))
    return verdict


def _write_scores(store: GensDataLayer, verdicts: Iterable[tuple[PlanRow, Verdict | None]]) -> None:
    def write(found: tuple[PlanRow, Verdict | None]) -> None:
        row, verdict = found
        if verdict is not None and verdict.score is not None:
            store.evaluation(row.member.gen_id).write_score(score_text(verdict.score), verdict_record(verdict))

    for _ in parallel_map(write, verdicts):
        pass


def _count(verdicts: Iterable[tuple[PlanRow, Verdict | None]], counts: dict[str, int]) -> None:
    """Add the verdicts to `counts`, and log those that brought no score."""
    for row, verdict in verdicts:
        gen_id = row.member.gen_id
        if verdict is None:
            log.warning("%s: no reply to score", gen_id)
            continue
        counts["unscored" if verdict.score is None else "scored"] += 1
        if verdict.score is None:
            log.info("%s: %s", gen_id, verdict.reason)
    if sum(counts.values()) >= _REPLIES_PER_FLUSH:
        log.info("%s read so far", counted(sum(counts.values()), "reply", "replies"))


def _recover_from_crash(evaluation: EvaluationFolder, ledger: Ledger, caller: Caller) -> None:
    """Complete a reply that a crashed process left in temporary files, and remove a failure.json that is older."""
    if evaluation.is_clean_reply():
        return
    if not evaluation.has_pending_reply():
        evaluation.drop_stale_failure()
        return
    deadline = time.monotonic() + _CLAIM_PATIENCE_S
    while not ledger.claim(caller, [evaluation.gen_id]):
        if time.monotonic() > deadline or not evaluation.has_pending_reply():
            return
        time.sleep(_POLL_S)
    try:
        evaluation.complete_reply()
    finally:
        ledger.release(caller, [evaluation.gen_id])


def _render(store: GensDataLayer, template_id: str, template: Template | None, essay_id: str) -> Prompt:
    if template is None:
        msg = f"template {template_id} is no longer active"
        raise StoreError(msg)
    essay = store.essay_text(essay_id)
    if essay is None or not essay.strip():
        msg = f"the text of essay {essay_id} is missing"
        raise StoreError(msg)
    return prompt_renderer(template)(essay)


def _templates(settings: Settings, planned: PlannedRun) -> dict[str, Template]:
    templates = Catalog(root=settings.data_root).templates(planned.parsers.keys())
    raise_if_any(templates.problems, under_way=True)
    return {template.template_id: template for template in templates.value}
