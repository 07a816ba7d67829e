"""What the DAG's tasks and the command line call: read, decide, write.

Between tasks travel only small values: the dict that `plan_cohort` returns and slices. Each step reads the run's own
plan.csv, and each looks for itself whether an evaluation is done: spending never depends on a scheduler's skip.
"""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from include.cohorts import VERSION
from include.cohorts.batching import Slice, cut_slices, rows_of_kind
from include.cohorts.catalog import Catalog
from include.cohorts.clock import now
from include.cohorts.cohort_folder import CohortFolder
from include.cohorts.cohort_inputs import Inputs, describe
from include.cohorts.crash_points import reach
from include.cohorts.errors import StoreError, raise_if_any
from include.cohorts.gens_data_layer import GensDataLayer
from include.cohorts.identity import run_key
from include.cohorts.model import Action, Member, PlanRow, Stage, TaskRef, Template
from include.cohorts.plan_table import plan_table
from include.cohorts.planning_turn import planning_turn
from include.cohorts.preparation import Prepared, prepare, still_holds
from include.cohorts.prompting import renderer
from include.cohorts.scoring import judge_reply, score_text
from include.cohorts.settings import Settings

log = logging.getLogger(__name__)

_MOST_WARNINGS = 20
# A reply that another process is just storing is waited for so long; in s.
_STORING_S = 10.0
_LOOK_AGAIN_S = 0.1


def plan_cohort(
    settings: Settings, conf: Mapping[str, Any], task: TaskRef, check_calls: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Plans the cohort and writes it, or with `dry_run` only its plan.csv; returns what the later tasks need.

    `check_calls` is asked, when there are calls to make, whether they can be made. BadInput, before anything is
    written, when an input is wrong.
    """
    prepared = prepare(settings, conf, task.run)
    if prepared.inputs.request.dry_run:
        return _write_plan(settings, prepared, task)
    if prepared.estimate.calls:
        check_calls()
    # Two that plan at once would each take numbers that the other is about to take.
    with planning_turn(settings.data_root):
        if not still_holds(settings, prepared):
            prepared = prepare(settings, conf, task.run)
        planned = _write_plan(settings, prepared, task)
        folder = CohortFolder(root=settings.data_root, cohort_id=prepared.inputs.cohort_id)
        _write_cohort(settings, prepared, folder)
        folder.write_run(planned["run_key"], _run_record(task, planned, conf))
    return planned


def _write_plan(settings: Settings, prepared: Prepared, task: TaskRef) -> dict[str, Any]:
    folder = CohortFolder(root=settings.data_root, cohort_id=prepared.inputs.cohort_id)
    # There are some only when a run was deleted and triggered anew under its former run_id.
    former_stops = folder.stop_names(run_key(task.dag_id, task.run_id, task.try_number))
    planned = describe_plan(prepared, task, former_stops)
    log_plan(prepared)
    folder.write_plan(planned["run_key"], prepared.plan.rows)
    return planned


def batches(settings: Settings, planned: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The slices to map over, as XCom carries them."""
    rows = _plan_rows(settings, planned)
    slices = cut_slices(
        reuse_ids=[row.member.gen_id for row in rows_of_kind(rows, "reuse")],
        todo_ids=[row.member.gen_id for row in rows_of_kind(rows, "todo")],
        batch_size=planned["batch_size"],
        max_concurrency=planned["max_concurrency"],
        processes=settings.processes,
    )
    log.info("%d slices over %d evaluations", len(slices), sum(part.stop - part.start for part in slices))
    return [part.to_xcom() for part in slices]


def check_parsed(settings: Settings, planned: Mapping[str, Any], part: Slice) -> int:
    """Logs each evaluation of the slice that is done; returns how many are left to do."""
    store = GensDataLayer.from_root(settings.data_root)
    return sum(1 for _ in rows_left(store, rows_of(settings, planned, part)))


def write_prompts(settings: Settings, planned: Mapping[str, Any], part: Slice) -> int:
    """Writes the prompt of each evaluation of the slice that has to be asked; returns how many."""
    store = GensDataLayer.from_root(settings.data_root)
    templates = _templates(settings)
    written = 0
    for row in rows_left(store, rows_of(settings, planned, part)):
        if not needs_call(store, row, planned):
            continue
        try:
            prompt = _render(store, templates.get(row.member.template_id), row.member)
        except Exception as error:  # noqa: BLE001  (an input was edited after planning; the others go on)
            log.error("%s: no prompt, so no call: %s", row.member.gen_id, error)
            store.drop_prompt(row.member.gen_id)
            continue
        store.write_prompt(row.member.gen_id, prompt)
        written += 1
    log.info("%d prompts are in place", written)
    return written


def parse_replies(settings: Settings, planned: Mapping[str, Any], part: Slice, task: TaskRef) -> dict[str, int]:
    """Scores the stored replies of the slice; returns how many were scored and how many refused."""
    store = GensDataLayer.from_root(settings.data_root)
    counts = {"scored": 0, "unscored": 0}
    for row in rows_left(store, rows_of(settings, planned, part)):
        gen_id = row.member.gen_id
        _put_in_place(store, gen_id, task)
        reply = store.reply(gen_id)
        if reply is None:
            log.warning("%s: no reply to score", gen_id)
            continue
        # The parser that planning checked, whatever the CSV names meanwhile.
        parser_name = planned["parsers"][row.member.template_id][0]
        verdict = judge_reply(parser_name, reply.text, truncated=reply.truncated)
        record = {
            "parser_name": verdict.parser.name,
            "parser_version": verdict.parser.version,
            "success": verdict.score is not None,
            "score": verdict.score,
            "reason": verdict.reason,
        }
        store.write_verdict(gen_id, record, None if verdict.score is None else score_text(verdict.score))
        counts["unscored" if verdict.score is None else "scored"] += 1
        log.info("%s: %s", gen_id, verdict.reason if verdict.score is None else f"scored {verdict.score}")
    log.info("%(scored)d scored, %(unscored)d unscored", counts)
    return counts


def _put_in_place(store: GensDataLayer, gen_id: str, task: TaskRef) -> None:
    """Finishes what a process left that died while it called: a reply in temporary files, a lease, an old failure."""
    if not store.has_pending_reply(gen_id) and not store.has_lease(gen_id):
        store.drop_stale_failure(gen_id)
        return
    lease = store.call_lease(gen_id, task)
    end = time.monotonic() + _STORING_S
    while not lease.take():
        if time.monotonic() > end or not store.has_pending_reply(gen_id):
            return
        time.sleep(_LOOK_AGAIN_S)
    try:
        store.complete_reply(gen_id)
    finally:
        lease.release()


def needs_call(store: GensDataLayer, row: PlanRow, planned: Mapping[str, Any]) -> bool:
    """True when the judge is to be asked: there is no reply, or a refused one that this run may ask for again.

    A reply that this DagRun bought is never asked for again, whatever is retried or cleared.
    """
    gen_id = row.member.gen_id
    if row.action is not Action.CALL or store.has_pending_reply(gen_id):
        return False
    if not store.reply_exists(gen_id):
        return True
    if not planned["retry_unscored"] or store.verdict_record(gen_id).get("success") is not False:
        return False
    return (planned["dag_id"], planned["run_id"]) not in store.reply_runs(gen_id)


def rows_of(settings: Settings, planned: Mapping[str, Any], part: Slice) -> tuple[PlanRow, ...]:
    """The rows of the run's plan that a slice stands for."""
    if planned["dry_run"]:
        raise StoreError("This is the plan of a dry run: nothing is called for it. Trigger again without dry_run.")
    return tuple(rows_of_kind(_plan_rows(settings, planned), part.kind)[part.start : part.stop])


def rows_left(store: GensDataLayer, rows: tuple[PlanRow, ...]) -> Iterator[PlanRow]:
    """The rows without a parsed.txt; logs a line for each of the others."""
    for row in rows:
        if store.parsed_exists(Stage.EVALUATION, row.member.gen_id):
            log.info("Skipping %s: parsed.txt already exists", row.member.gen_id)
        else:
            yield row


def describe_plan(prepared: Prepared, task: TaskRef, former_stops: Iterable[str] = ()) -> dict[str, Any]:
    """The plan in a few numbers and settings: what XCom carries."""
    actions = [row.action for row in prepared.plan.evaluations]
    request = prepared.inputs.request
    return {
        "cohort_id": prepared.inputs.cohort_id,
        "dag_id": task.dag_id,
        "run_id": task.run_id,
        "run_key": run_key(task.dag_id, task.run_id, task.try_number),
        "dry_run": request.dry_run,
        "planned": len(actions),
        **{action.value: actions.count(action) for action in Action},
        "edited": prepared.edited,
        "joined": len(prepared.plan.joined),
        "left": len(prepared.plan.left),
        "warnings": len(prepared.warnings),
        "replicates": prepared.inputs.replicates,
        "max_concurrency": request.max_concurrency,
        "batch_size": request.batch_size,
        "retry_unscored": request.retry_unscored,
        "max_unscored": request.max_unscored,
        "budget": {"max_llm_calls": request.max_llm_calls, "max_cost_usd": request.max_cost_usd},
        "former_stops": sorted(former_stops),
        "parsers": {template_id: list(parser) for template_id, parser in prepared.inputs.parsers.items()},
        "estimate": asdict(prepared.estimate),
    }


def log_plan(prepared: Prepared) -> None:
    """Logs the plan as a table, with what a person should know before the calls are made."""
    log.info("Cohort %s\n%s", prepared.inputs.cohort_id, plan_table(prepared.plan.evaluations))
    log.info("To call: %s", prepared.estimate)
    request = prepared.inputs.request
    for name, cap in (("max_llm_calls", request.max_llm_calls), ("max_cost_usd", request.max_cost_usd)):
        if cap is not None:
            log.info("Budget of this run: %s %s; what does not fit is deferred", name, cap)
    if prepared.edited:
        log.info("%d reused evaluations were made with another prompt than today's: kept.", prepared.edited)
    for word, gen_ids in (("joined", prepared.plan.joined), ("left", prepared.plan.left)):
        if gen_ids:
            shown = ", ".join(gen_ids[:_MOST_WARNINGS])
            log.info("%d members %s since the former membership: %s", len(gen_ids), word, shown)
    for warning in prepared.warnings[:_MOST_WARNINGS]:
        log.warning("%s", warning)
    if len(prepared.warnings) > _MOST_WARNINGS:
        log.warning("and %d more warnings", len(prepared.warnings) - _MOST_WARNINGS)


def _write_cohort(settings: Settings, prepared: Prepared, folder: CohortFolder) -> None:
    """Seeds, then membership, then manifest: whatever a crash leaves, planning again finds."""
    store = GensDataLayer.from_root(settings.data_root)
    for member in prepared.plan.minted:
        store.seed(member.gen_id, _seed(member), shared=prepared.inputs.selection.include_existing)
        reach("between_seeds")
    store.sync()
    reach("after_seeds")
    folder.write_membership([row.member for row in prepared.plan.rows])
    reach("after_membership")
    folder.write_selection(prepared.inputs.selection.text)
    manifest = _manifest(prepared.inputs)
    former = folder.manifest()
    if {key: former.get(key) for key in manifest} != manifest:
        folder.write_manifest({**manifest, "created_at": former.get("created_at") or now()})
    reach("after_manifest")


def _render(store: GensDataLayer, template: Template | None, member: Member) -> str:
    if template is None:
        raise StoreError(f"template {member.template_id} is not active any more")
    essay = store.essay_text(member.parent_gen_id)
    if essay is None or not essay.strip():
        raise StoreError(f"the text of essay {member.parent_gen_id} is gone")
    return renderer(template)(essay)


def _seed(member: Member) -> dict[str, Any]:
    return {
        "stage": member.stage.value,
        "gen_id": member.gen_id,
        "origin_cohort_id": member.cohort_id,
        "mode": "llm",
        "template_id": member.template_id,
        "combo_id": member.combo_id,
        "parent_gen_id": member.parent_gen_id,
        "llm_model_id": member.llm_model_id,
        "replicate": member.replicate,
    }


def _manifest(inputs: Inputs) -> dict[str, Any]:
    return {
        "cohort_id": inputs.cohort_id,
        **describe(inputs),
        "selection": inputs.selection.text,
        "template_sha256": {t.template_id: _sha256(t.text) for t in inputs.templates},
        "essay_sha256": {essay.gen_id: _sha256(essay.text) for essay in inputs.essays},
        "parsers": {template_id: list(parser) for template_id, parser in inputs.parsers.items()},
        "version": VERSION,
        "python": platform.python_version(),
    }


def _run_record(task: TaskRef, planned: Mapping[str, Any], conf: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dag_id": task.dag_id,
        "run_id": task.run_id,
        "try_number": task.try_number,
        "conf": dict(conf),
        "created_at": now(),
        "plan": dict(planned),
    }


def _plan_rows(settings: Settings, planned: Mapping[str, Any]) -> tuple[PlanRow, ...]:
    rows = CohortFolder(root=settings.data_root, cohort_id=planned["cohort_id"]).plan(planned["run_key"])
    return tuple(row for row in rows if row.member.stage is Stage.EVALUATION)


def _templates(settings: Settings) -> dict[str, Template]:
    templates = Catalog(root=settings.data_root).templates()
    raise_if_any(templates.problems, under_way=True)
    return {template.template_id: template for template in templates.value}


def _sha256(text: str) -> str:
    return sha256(text.encode("utf-8")).hexdigest()
