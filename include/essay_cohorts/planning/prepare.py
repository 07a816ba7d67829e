"""Prepares a plan: reads the inputs and the store, checks everything and makes the plan, before the first write.

Preparing needs no lock, so other runs may write while this module reads. The caller therefore takes the planning lock
after preparing, and uses `is_still_current` to find out whether the prepared plan is out of date. See
`backfill/plan_cohort.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from essay_cohorts.amounts import counted
from essay_cohorts.catalog.models import MODELS
from essay_cohorts.domain import Action, Cell, ChangedInputs, Member, Plan, Progress, RunRef, Stage, StoredEvaluation
from essay_cohorts.errors import BadInput, Problem, StoreError, raise_if_any
from essay_cohorts.files.atomic import LINK_STEP, leads_to
from essay_cohorts.judging.prices import Estimate, estimate_calls, unpriced
from essay_cohorts.ledger.evaluation_index import known_essays
from essay_cohorts.planning.changed_inputs import InputComparer, InputComparison, refuse_changes
from essay_cohorts.planning.inputs import Inputs, read_inputs
from essay_cohorts.planning.plan_rules import PlanInputs, plan_cohort
from essay_cohorts.planning.plan_warnings import doubtful_templates, mixed_versions, not_reused, open_delimiters
from essay_cohorts.planning.rendered_prompts import RenderedPrompt, prompt_sizes, render_prompts
from essay_cohorts.planning.slices import check_batch_size, rows_of_kind
from essay_cohorts.provenance import made_up_warning
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.store.scan import IndexChanges

Compare = Callable[[str, Cell], InputComparison]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """The inputs, the plan made from them, and what a person should know before the plan is carried out.

    - `estimate` is the cost of all calls; `estimates` has the cost for each (template, model).
    - `edited` counts existing members that were made with another prompt or model than today's. `unknown_inputs`
      counts existing members for which the store does not say this.
    - `seen` is the state of the store that the plan was made from; `is_still_current` compares it.
    - `by_index` is true when the list of existing evaluations came from the index, which may be stale.
    - `index_changes` brings the index up to date.
    """

    inputs: Inputs
    plan: Plan
    estimate: Estimate
    estimates: Mapping[tuple[str, str], Estimate]
    edited: int
    unknown_inputs: int
    warnings: tuple[str, ...]
    seen: tuple[object, ...]
    by_index: bool
    index_changes: IndexChanges

    @property
    def connections(self) -> tuple[str, ...]:
        """The ids of the connections over which the plan's calls are made, sorted."""
        called = _called_models(self.plan)
        return tuple(sorted({model.connection for model in self.inputs.models if model.id in called}))


def prepare(settings: Settings, conf: Mapping[str, Any], run: RunRef, *, by_index: bool = False) -> Prepared:
    """Read the inputs and the store, check them and make the plan. This writes nothing.

    With `by_index`, the index may say which essay an evaluation judges. The index may be stale, so the caller must
    plan again without it before anything but the reuse of scores follows from the plan.

    Raises BadInput with every problem that was found. Raises StoreError when a file exists and cannot be read: if
    such a file counted as missing, the run would pay for its content again.
    """
    try:
        return _prepare(settings, conf, run, by_index=by_index)
    except BadInput:
        if not by_index:
            raise
        # The problem may be one of the index.
        return prepare(settings, conf, run)
    except OSError as error:
        place = error.filename or settings.data_root
        msg = (
            f"{place}: cannot be read: {error.strerror}. Fix it, or move it out of the data root; "
            "nothing was written and nothing was called."
        )
        raise StoreError(msg) from error


def _prepare(settings: Settings, conf: Mapping[str, Any], run: RunRef, *, by_index: bool) -> Prepared:
    inputs = read_inputs(settings, conf)
    store = GensDataLayer.from_root(settings.data_root)
    folder = CohortFolder(root=settings.data_root, cohort_id=inputs.cohort_id)
    members_seen = folder.membership_stamp()
    former = folder.members()
    raise_if_any(former.problems)
    index = known_essays(settings.data_root, settings.ledger)
    scan = store.scan_evaluations({essay.gen_id for essay in inputs.essays}, index, by_index=by_index)
    prompts = render_prompts(inputs.templates, inputs.essays)
    mode = ChangedInputs(inputs.request.changed_inputs or settings.changed_inputs)
    compare = _comparison(store, inputs, prompts)
    plan_inputs = _plan_inputs(inputs, former.value, scan.evaluations, store.occupied(), run)
    decision = _decide(plan_inputs, compare, mode)
    plan, existing = decision.plan, _compare_existing(decision.plan, compare)
    raise_if_any(_plan_problems(settings, inputs, plan, existing if mode is ChangedInputs.REFUSE else None))
    sizes = prompt_sizes(plan, inputs.models, prompts)
    return Prepared(
        inputs=inputs,
        plan=plan,
        estimate=estimate_calls([call for calls in sizes.values() for call in calls]),
        estimates={judge: estimate_calls(calls) for judge, calls in sizes.items()},
        edited=len(existing.changed),
        unknown_inputs=existing.unknown,
        seen=(scan.names, members_seen),
        by_index=scan.by_index,
        index_changes=scan.changes,
        warnings=(
            *([made_up_warning(len(decision.made_up))] if decision.made_up else ()),
            *existing.warnings,
            *not_reused(inputs, plan, decision.plan_inputs, prompts),
            *scan.warnings,
            *plan.warnings,
            *doubtful_templates(inputs),
            *open_delimiters(inputs),
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Decision:
    """The plan, the inputs that it was made from, and the made-up evaluations that do not count."""

    plan_inputs: PlanInputs
    plan: Plan
    made_up: frozenset[str]


def _comparison(store: GensDataLayer, inputs: Inputs, prompts: Mapping[tuple[str, str], RenderedPrompt]) -> Compare:
    comparer = InputComparer(
        store=store,
        prompts={place: prompt.sha256 for place, prompt in prompts.items()},
        models={model.id: model for model in inputs.models},
    )
    # Cached, because planning may compare an evaluation several times, and each comparison reads a record from disk.
    return cache(comparer.compare)


def _decide(plan_inputs: PlanInputs, compare: Compare, mode: ChangedInputs) -> _Decision:
    """Make the plan; if it has made-up evaluations that do not count, make it again without them."""
    stored = plan_inputs.evaluations
    if mode is ChangedInputs.ASK_AGAIN:
        changed = _matching_ids(stored, compare, lambda comparison: comparison.inputs_changed)
        plan_inputs = replace(plan_inputs, excluded=changed)
    plan = plan_cohort(plan_inputs)
    if all(compare(member.gen_id, member.cell).counts for member in _existing(plan)):
        return _Decision(plan_inputs=plan_inputs, plan=plan, made_up=frozenset())
    made_up = _matching_ids(stored, compare, lambda comparison: not comparison.counts)
    plan_inputs = replace(plan_inputs, excluded=plan_inputs.excluded | made_up)
    return _Decision(plan_inputs=plan_inputs, plan=plan_cohort(plan_inputs), made_up=made_up)


def _plan_problems(
    settings: Settings, inputs: Inputs, plan: Plan, refused: _ExistingMembers | None
) -> Iterator[Problem]:
    """Yield the problems for which the plan must not be carried out.

    `refused` has the existing members when changed inputs are refused; None when they are accepted.
    """
    reuse, todo = (len(rows_of_kind(plan.evaluations, kind)) for kind in ("reuse", "todo"))
    yield from check_batch_size(inputs.request.batch_size, reuse=reuse, todo=todo)
    yield from _unpriced_models(inputs, plan)
    yield from _outside_links(settings.data_root, inputs.cohort_id, plan)
    if refused is not None:
        yield from refuse_changes(refused.changed)


def _plan_inputs(
    inputs: Inputs,
    former: Sequence[Member],
    evaluations: Sequence[StoredEvaluation],
    occupied: Container[str],
    run: RunRef,
) -> PlanInputs:
    return PlanInputs(
        cohort_id=inputs.cohort_id,
        include_existing=inputs.selection.include_existing,
        retry_unscored=inputs.request.retry_unscored,
        replicates=inputs.replicates,
        essays=inputs.essays,
        templates=inputs.templates,
        models=inputs.models,
        parsers=inputs.parsers,
        former=former,
        evaluations=evaluations,
        occupied=occupied,
        run=run,
    )


def is_still_current(settings: Settings, prepared: Prepared) -> bool:
    """Return False when evaluations or members were added or removed since the plan was prepared.

    Another run may then have taken the gen_ids that this plan is about to mint.
    """
    folder = CohortFolder(root=settings.data_root, cohort_id=prepared.inputs.cohort_id)
    names = GensDataLayer.from_root(settings.data_root).names_seen()
    return (names, folder.membership_stamp()) == prepared.seen


def _outside_links(root: Path, cohort_id: str, plan: Plan) -> Iterator[Problem]:
    """Yield a problem for each folder to be written to that a link leads out of the data root."""
    evaluations = f"gens/{Stage.EVALUATION}"
    shared = [evaluations, f"cohorts/{cohort_id}"]
    minted = {member.gen_id for member in plan.minted}  # these have no folder yet
    todo = (row.member.gen_id for row in rows_of_kind(plan.evaluations, "todo"))
    single = [f"{evaluations}/{gen_id}" for gen_id in todo if gen_id not in minted]
    for place in shared if leads_to(root, root / evaluations) else [*shared, *single]:
        real = leads_to(root, root / place)
        if real is not None:
            finding = f"a symbolic link leads out of the data root, to {real}."
            yield Problem(place=place, finding=finding, next_step=LINK_STEP)


def _called_models(plan: Plan) -> frozenset[str]:
    return frozenset(row.member.llm_model_id for row in plan.evaluations if row.action is Action.CALL)


def _unpriced_models(inputs: Inputs, plan: Plan) -> Iterator[Problem]:
    """Yield a problem for each called model whose worst-case cost is unknown, if the run has a cap on the cost."""
    if inputs.request.max_cost_usd is None:
        return
    called = _called_models(plan)
    for model in inputs.models:
        if model.id in called and unpriced(model):
            empty = ", ".join(unpriced(model))
            yield Problem(
                place=f"{MODELS}: {model.id}",
                finding=f"max_cost_usd needs the highest cost of a call; empty columns: {empty}.",
                next_step="Fill in the columns, leave this model out of the run, or leave max_cost_usd out.",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class _ExistingMembers:
    """The members that exist already, compared with today's inputs.

    `changed` has the cell of each member with changed inputs. `unknown` counts the members for which the store does
    not say with which inputs they were made.
    """

    changed: tuple[Cell, ...]
    unknown: int
    warnings: tuple[str, ...]


def _matching_ids(
    stored: Iterable[StoredEvaluation], compare: Compare, matches: Callable[[InputComparison], bool | None]
) -> frozenset[str]:
    replied = (found for found in stored if found.progress is not Progress.NO_REPLY)
    return frozenset(found.gen_id for found in replied if matches(compare(found.gen_id, found.cell)))


def _existing(plan: Plan) -> list[Member]:
    """Return the members that already have a reply, so that the run makes no call for them."""
    return [row.member for row in plan.evaluations if row.action is not Action.CALL]


def _compare_existing(plan: Plan, compare: Compare) -> _ExistingMembers:
    members = _existing(plan)
    compared = {member.gen_id: compare(member.gen_id, member.cell) for member in members}
    changed = tuple(member.cell for member in members if compared[member.gen_id].inputs_changed)
    unknown = sum(comparison.inputs_changed is None for comparison in compared.values())
    settings_changed = sum(comparison.settings_changed for comparison in compared.values())
    made = counted(settings_changed, "existing evaluation was made", "existing evaluations were made")
    reused = "it is reused" if settings_changed == 1 else "they are reused"
    warning = f"{made} with other settings than today's; {reused}."
    versions = mixed_versions((member.llm_model_id, compared[member.gen_id].version) for member in members)
    warnings = (*([warning] if settings_changed else []), *versions)
    return _ExistingMembers(changed=changed, unknown=unknown, warnings=warnings)
