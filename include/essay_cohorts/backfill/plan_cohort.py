"""Plans a cohort and writes its plan, its seeds, its membership and its manifest: the first step of a run.

A seed is the folder of a new evaluation with only its metadata.json. The files are written in a fixed order: plan,
seeds, membership, selection, manifest, and last the record of the run. A crash between two of them is harmless,
because planning again finds the seeds and the membership that were written, and continues from them.
"""

from __future__ import annotations

import logging
import platform
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from essay_cohorts import VERSION
from essay_cohorts.amounts import counted
from essay_cohorts.domain import Action, Member, PlanRow, TaskRef
from essay_cohorts.files.clock import now
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.ids import run_key
from essay_cohorts.ledger.ledger import Ledger, left_below_caps
from essay_cohorts.planning.inputs import Inputs, describe
from essay_cohorts.planning.plan_table import plan_table
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.prepare import Prepared, is_still_current, prepare
from essay_cohorts.provenance import MADE_UP_BANNER
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

log = logging.getLogger(__name__)

_MAX_WARNINGS = 20


def plan_cohort(
    settings: Settings,
    conf: Mapping[str, Any],
    task: TaskRef,
    check_connections: Callable[[Collection[str]], None] = lambda _: None,
) -> PlannedRun:
    """Plan the cohort and write its files, or with `dry_run` only its plan.csv; return what the later tasks need.

    If there are calls to make, `check_connections` is called first with the ids of all connections that they need; it
    raises an error if one of them cannot be used. BadInput, before anything is written, if an input is wrong.
    """
    prepared = prepare(settings, conf, task.run, by_index=True)
    if prepared.inputs.request.dry_run:
        return _write_plan(settings, prepared, task)
    if prepared.by_index and any(row.action is not Action.REUSE for row in prepared.plan.evaluations):
        # The index may be stale: decide again from the store before anything is paid for.
        prepared = prepare(settings, conf, task.run)
    if prepared.estimate.calls:
        check_connections(prepared.connections)
    # Concurrent planners would mint the same replicate numbers.
    ledger = Ledger.of(settings)
    with ledger.planning_turn(str(task)):
        if not is_still_current(settings, prepared):
            prepared = prepare(settings, conf, task.run)
            if prepared.estimate.calls:
                check_connections(prepared.connections)
        planned = _write_plan(settings, prepared, task)
        folder = CohortFolder(root=settings.data_root, cohort_id=prepared.inputs.cohort_id)
        _write_cohort(settings, prepared, folder)
        minted = {member.gen_id: member.parent_gen_id for member in prepared.plan.minted}
        ledger.index.update(prepared.index_changes.essays | minted, prepared.index_changes.gone)
        folder.write_run(planned.run_key, _run_record(task, planned, conf, prepared.plan.evaluations))
    return planned


def _write_plan(settings: Settings, prepared: Prepared, task: TaskRef) -> PlannedRun:
    folder = CohortFolder(root=settings.data_root, cohort_id=prepared.inputs.cohort_id)
    # Stops exist here only if a run was deleted and then triggered again with the same run_id.
    former_stops = folder.stop_names(run_key(task.dag_id, task.run_id, task.try_number))
    planned = describe_plan(prepared, task, former_stops)
    if GensDataLayer.from_root(settings.data_root).made_up_counts:
        log.warning("%s", MADE_UP_BANNER)
    log_plan(prepared, left_below_caps(settings))
    folder.write_plan(planned.run_key, prepared.plan.rows)
    return planned


def describe_plan(prepared: Prepared, task: TaskRef, former_stops: Iterable[str] = ()) -> PlannedRun:
    """Return the counts and the settings of the plan that the later tasks need."""
    actions = [row.action for row in prepared.plan.evaluations]
    inputs, request = prepared.inputs, prepared.inputs.request
    return PlannedRun(
        cohort_id=inputs.cohort_id,
        dag_id=task.dag_id,
        run_id=task.run_id,
        run_key=run_key(task.dag_id, task.run_id, task.try_number),
        dry_run=request.dry_run,
        planned=len(actions),
        reuse=actions.count(Action.REUSE),
        parse=actions.count(Action.PARSE),
        call=actions.count(Action.CALL),
        unscored=actions.count(Action.UNSCORED),
        edited=prepared.edited,
        joined=len(prepared.plan.joined),
        left=len(prepared.plan.left),
        warnings=len(prepared.warnings),
        replicates=inputs.replicates,
        max_concurrency=request.max_concurrency,
        batch_size=request.batch_size,
        retry_unscored=request.retry_unscored,
        max_unscored=request.max_unscored,
        max_llm_calls=request.max_llm_calls,
        max_cost_usd=request.max_cost_usd,
        former_stops=tuple(sorted(former_stops)),
        parsers=inputs.parsers,
        models=tuple(model.id for model in inputs.models),
        estimate=prepared.estimate,
    )


def log_plan(prepared: Prepared, caps: Iterable[str]) -> None:
    """Log the plan as a table, then everything else that a person should know before the calls are made.

    `caps` are lines about the caps of the whole project (see left_below_caps).
    """
    log.info(
        "Cohort %s\n%s", prepared.inputs.cohort_id, plan_table(prepared.plan.evaluations, prepared.inputs.connections)
    )
    log.info("To call: %s", prepared.estimate)
    request = prepared.inputs.request
    for name, cap in (("max_llm_calls", request.max_llm_calls), ("max_cost_usd", request.max_cost_usd)):
        if cap is not None:
            log.info("Budget of this run: %s %s; calls beyond the budget are deferred", name, cap)
    for line in caps:
        log.info("%s Calls beyond the cap are deferred", line)
    if prepared.edited:
        made = counted(prepared.edited, "existing evaluation was made", "existing evaluations were made")
        kept = "it is kept" if prepared.edited == 1 else "they are kept"
        log.warning("%s with another prompt or model than today's; %s.", made, kept)
    if prepared.unknown_inputs:
        record = counted(prepared.unknown_inputs, "existing evaluation does", "existing evaluations do")
        log.info("%s not record the prompt of the request.", record)
    for word, gen_ids in (("joined", prepared.plan.joined), ("left", prepared.plan.left)):
        if gen_ids:
            shown = ", ".join(gen_ids[:_MAX_WARNINGS])
            log.info("%s %s since the former membership: %s", counted(len(gen_ids), "member"), word, shown)
    for warning in prepared.warnings[:_MAX_WARNINGS]:
        log.warning("%s", warning)
    if len(prepared.warnings) > _MAX_WARNINGS:
        log.warning("and %s", counted(len(prepared.warnings) - _MAX_WARNINGS, "more warning"))


def _write_cohort(settings: Settings, prepared: Prepared, folder: CohortFolder) -> None:
    """Write the seeds, then the membership, then the manifest.

    Keep this order: planning again after a crash reuses the seeds and the membership that it finds.
    """
    store = GensDataLayer.from_root(settings.data_root)

    def stage(member: Member) -> Path:
        return store.evaluation(member.gen_id).stage_seed(_seed(member))

    def place(staged: tuple[Member, Path]) -> None:
        member, path = staged
        shared = prepared.inputs.selection.include_existing
        store.evaluation(member.gen_id).place_seed(path, _seed(member), shared=shared)
        sys.audit("essay_cohorts.between_seeds")

    if prepared.plan.minted:
        store.drop_unfinished_seeds()
        staged = list(parallel_map(stage, prepared.plan.minted))
        store.flush()  # so that no power cut can leave an evaluation without its metadata
        for _ in parallel_map(place, staged):
            pass
        store.flush()
    sys.audit("essay_cohorts.after_seeds")
    folder.write_membership([row.member for row in prepared.plan.rows])
    sys.audit("essay_cohorts.after_membership")
    folder.write_selection(prepared.inputs.selection.text)
    manifest = _manifest(prepared.inputs)
    former = folder.manifest()
    if {key: former.get(key) for key in manifest} != manifest:
        folder.write_manifest({**manifest, "created_at": former.get("created_at") or now()})
    sys.audit("essay_cohorts.after_manifest")


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
    systems = {t.template_id: _sha256(t.system) for t in inputs.templates if t.system}
    return {
        "cohort_id": inputs.cohort_id,
        **describe(inputs),
        "selection": inputs.selection.text,
        "template_sha256": {t.template_id: _sha256(t.text) for t in inputs.templates},
        **({"system_sha256": systems} if systems else {}),
        "essay_sha256": {essay.gen_id: _sha256(essay.text) for essay in inputs.essays},
        "parsers": {template_id: list(parser) for template_id, parser in inputs.parsers.items()},
        "version": VERSION,
        "python": platform.python_version(),
    }


def _run_record(
    task: TaskRef, planned: PlannedRun, conf: Mapping[str, Any], rows: Iterable[PlanRow]
) -> dict[str, Any]:
    """Return the content of run.json; `rows` are the evaluations of the plan."""
    return {
        "dag_id": task.dag_id,
        "run_id": task.run_id,
        "try_number": task.try_number,
        "conf": dict(conf),
        "created_at": now(),
        "plan": planned.to_xcom(),
        "calls_by_judge": Counter(row.member.llm_model_id for row in rows if row.action is Action.CALL),
    }


def _sha256(text: str) -> str:
    return sha256(text.encode("utf-8")).hexdigest()
