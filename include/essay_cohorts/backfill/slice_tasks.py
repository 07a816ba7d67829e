"""The steps of the DAG's tasks after planning, except the calls: cut the slices, check, write prompts, score replies.

Tasks pass only small values to each other: the PlannedRun and the slices. Each step reads its slice's part of the
plan from a file, and reads from the store whether an evaluation is done. So what a run pays for never depends on
which tasks the scheduler skips.
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from typing import Any

from essay_cohorts.calls import Prompt
from essay_cohorts.domain import PlanRow, TaskRef, Template, Verdict
from essay_cohorts.errors import StoreError, raise_if_any
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.judging.parsers import Parser, judge_by, parser_of, score_text, verdict_record
from essay_cohorts.judging.prompts import prompt_renderer
from essay_cohorts.leases.evaluation_lease import CallLease
from essay_cohorts.leases.lease import LEASE_S
from essay_cohorts.leases.task_lease import TaskLease
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import (
    evaluation_rows,
    rows_of_slice,
    rows_to_call,
    unparsed_rows,
    write_slices,
)
from essay_cohorts.planning.slices import Slice, make_slices, rows_of_kind
from essay_cohorts.settings import Settings
from essay_cohorts.store.catalog import Catalog
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

log = logging.getLogger(__name__)

# How long to wait, in s, while another process holds the claim on a pending reply. If that process is dead, its task
# lease expires after LEASE_S, and the claim can be taken then.
_STORING_S = LEASE_S + 10.0
_POLL_S = 0.1
# The evaluations of one essay by one template follow each other and have the same prompt. Eight prompts are enough,
# because the threads work on neighbouring rows.
_CACHED_PROMPTS = 8
# Each line of a task's log passes through two processes. One line per score would take a tenth of the step's time.
_SCORES_PER_LINE = 1_000


def batches(settings: Settings, planned: PlannedRun, tasks_at_once: int = 0) -> list[dict[str, Any]]:
    """Return the slices to map over, in their XCom form, and write each slice's part of the plan.

    `tasks_at_once` limits the number of slices with calls; 0 means no limit.
    """
    rows = evaluation_rows(settings, planned)
    slices = make_slices(
        reuse_ids=[row.member.gen_id for row in rows_of_kind(rows, "reuse")],
        todo_ids=[row.member.gen_id for row in rows_of_kind(rows, "todo")],
        batch_size=planned.batch_size,
        max_concurrency=planned.max_concurrency,
        processes=min(settings.processes, tasks_at_once or settings.processes),
    )
    write_slices(settings, planned, rows, slices)
    log.info("%d slices over %d evaluations", len(slices), sum(part.stop - part.start for part in slices))
    return [part.to_xcom() for part in slices]


def check_parsed(settings: Settings, planned: PlannedRun, part: Slice) -> int:
    """Log each evaluation of the slice that is done; return how many are not done."""
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
    log.info("%d prompts are in place", written)
    return written


def parse_replies(settings: Settings, planned: PlannedRun, part: Slice, task: TaskRef) -> dict[str, int]:
    """Score the stored replies of the slice; return how many have a score and how many were refused."""
    store = GensDataLayer.from_root(settings.data_root)
    counts = {"scored": 0, "unscored": 0}

    def parse(row: PlanRow) -> Verdict | None:
        # Use the parser that planning checked, even if the templates' CSV names another parser now.
        parser = parser_of(planned.parsers[row.member.template_id])
        return _parse(store.evaluation(row.member.gen_id), parser, task_lease)

    # Use one task lease for all evaluations of the slice. It measures how long a dead task's lease has been silent; a
    # new task lease per evaluation would start to measure, and to wait, again for each evaluation.
    with TaskLease(settings.data_root, task) as task_lease:
        for row, verdict in parallel_map(parse, unparsed_rows(store, rows_of_slice(settings, planned, part))):
            gen_id = row.member.gen_id
            if verdict is None:
                log.warning("%s: no reply to score", gen_id)
                continue
            counts["unscored" if verdict.score is None else "scored"] += 1
            if verdict.score is None:
                log.info("%s: %s", gen_id, verdict.reason)
            if sum(counts.values()) % _SCORES_PER_LINE == 0:
                log.info("%d replies read so far", sum(counts.values()))
    log.info("%(scored)d scored, %(unscored)d unscored", counts)
    return counts


def _parse(evaluation: EvaluationFolder, parser: Parser, task_lease: TaskLease) -> Verdict | None:
    """Score one stored reply and write the verdict; return None if there is no reply."""
    _put_in_place(evaluation, task_lease)
    reply = evaluation.reply()
    if reply is None:
        return None
    verdict = judge_by(parser, reply.text, finish_reason=reply.finish_reason, reasoning=reply.reasoning)
    score = None if verdict.score is None else score_text(verdict.score)
    evaluation.write_verdict(verdict_record(verdict), score)
    return verdict


def _put_in_place(evaluation: EvaluationFolder, task_lease: TaskLease) -> None:
    """Clean up after a process that died during its call.

    Such a process may have left a reply in temporary files, a claim, or a failure.json that is older than the reply.
    """
    if evaluation.is_clean_reply():
        return
    if not evaluation.has_pending_reply() and not evaluation.is_claimed():
        evaluation.drop_stale_failure()
        return
    lease = CallLease(evaluation.writable_claim(), task_lease)
    deadline = time.monotonic() + _STORING_S
    while not lease.take():
        if time.monotonic() > deadline or not evaluation.has_pending_reply():
            return
        time.sleep(_POLL_S)
    try:
        evaluation.complete_reply()
    finally:
        lease.release()


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
