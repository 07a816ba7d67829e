"""The first step of a run: plans the cohort and writes its plan, its seeds and its membership."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from include.cohorts import VERSION
from include.cohorts.clock import now
from include.cohorts.cohort_folder import CohortFolder
from include.cohorts.cohort_inputs import Inputs, describe
from include.cohorts.crash_points import reach
from include.cohorts.gens_data_layer import GensDataLayer
from include.cohorts.identity import run_key
from include.cohorts.model import Action, Member, TaskRef
from include.cohorts.plan_table import plan_table
from include.cohorts.planning_turn import planning_turn
from include.cohorts.preparation import Prepared, prepare, still_holds
from include.cohorts.provenance import MADE_UP_BANNER
from include.cohorts.settings import Settings
from include.cohorts.side_by_side import side_by_side

log = logging.getLogger(__name__)

_MOST_WARNINGS = 20


def plan_cohort(
    settings: Settings, conf: Mapping[str, Any], task: TaskRef, check_calls: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Plans the cohort and writes it, or with `dry_run` only its plan.csv; returns what the later tasks need.

    `check_calls` is asked, when there are calls to make, whether they can be made. BadInput, before anything is
    written, when an input is wrong.
    """
    prepared = prepare(settings, conf, task.run, by_index=True)
    if prepared.inputs.request.dry_run:
        return _write_plan(settings, prepared, task)
    if prepared.by_index and prepared.estimate.calls:
        # That something is to be paid for only the store itself can say.
        prepared = prepare(settings, conf, task.run)
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
    if GensDataLayer.from_root(settings.data_root).made_up_counts:
        log.warning("%s", MADE_UP_BANNER)
    log_plan(prepared)
    folder.write_plan(planned["run_key"], prepared.plan.rows)
    return planned


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
        "models": [model.id for model in prepared.inputs.models],
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
        made = "existing evaluations were made with another prompt or model than today's"
        log.warning("%d %s: kept.", prepared.edited, made)
    if prepared.unknown_wording:
        log.info("%d existing evaluations do not tell with which prompt they were made.", prepared.unknown_wording)
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

    def seed(member: Member) -> None:
        store.seed(member.gen_id, _seed(member), shared=prepared.inputs.selection.include_existing)
        reach("between_seeds")

    if prepared.plan.minted:
        store.drop_unfinished_seeds()
    for _ in side_by_side(seed, prepared.plan.minted):
        pass
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


def _run_record(task: TaskRef, planned: Mapping[str, Any], conf: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dag_id": task.dag_id,
        "run_id": task.run_id,
        "try_number": task.try_number,
        "conf": dict(conf),
        "created_at": now(),
        "plan": dict(planned),
    }


def _sha256(text: str) -> str:
    return sha256(text.encode("utf-8")).hexdigest()
