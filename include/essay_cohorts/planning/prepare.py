"""What happens before the first write: read the inputs and the store, check all of it, make the plan."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from essay_cohorts.domain import Action, Cell, ChangedInputs, Member, Plan, Progress, RunRef, Stage, StoredEvaluation
from essay_cohorts.errors import Problem, StoreError, raise_if_any
from essay_cohorts.files.atomic import LINK_STEP, leads_to
from essay_cohorts.judging.prices import Estimate, estimate_calls, unpriced
from essay_cohorts.planning.changed_inputs import Wording, Wordings, refuse_changes
from essay_cohorts.planning.inputs import Inputs, read_inputs
from essay_cohorts.planning.plan_rules import PlanInputs, plan_cohort
from essay_cohorts.planning.plan_warnings import doubtful_templates, not_reused, open_delimiters
from essay_cohorts.planning.rendered_prompts import RenderedPrompt, prompt_sizes, render_prompts
from essay_cohorts.planning.slices import check_batch_size, rows_of_kind
from essay_cohorts.provenance import made_up_warning
from essay_cohorts.settings import Settings
from essay_cohorts.store.catalog import MODELS
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

Compare = Callable[[str, Cell], Wording]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """The inputs, the plan made of them, and what a person should know before it is carried out.

    `estimates` is that by template and model. `edited` counts existing members that were made with another prompt or
    model than today's, `unknown_wording` those that do not tell. `seen` is what `still_holds` compares. `by_index` is
    true when the index had a say in what exists.
    """

    inputs: Inputs
    plan: Plan
    estimate: Estimate
    estimates: Mapping[tuple[str, str], Estimate]
    edited: int
    unknown_wording: int
    warnings: tuple[str, ...]
    seen: tuple[object, ...]
    by_index: bool


def prepare(settings: Settings, conf: Mapping[str, Any], run: RunRef, *, by_index: bool = False) -> Prepared:
    """Read, checks and plans; writes nothing but the index. BadInput with every problem that was found.

    With `by_index` an index may tell what exists; what is to be called for must then be decided again without it.
    StoreError when a file is there and cannot be read: taken for missing, what it holds would be paid for again.
    """
    try:
        return _prepare(settings, conf, run, by_index=by_index)
    except OSError as error:
        place = error.filename or settings.data_root
        msg = (
            f"{place}: cannot be read: {error.strerror}. Fix it, or take it out of the data root; "
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
    scan = store.scan_evaluations({essay.gen_id for essay in inputs.essays}, by_index=by_index)
    prompts = render_prompts(inputs)
    mode = ChangedInputs(inputs.request.changed_inputs or settings.changed_inputs)
    compare = _comparison(store, inputs, prompts)
    decided = _decide(_plan_inputs(inputs, former.value, scan.evaluations, store.occupied(), run), compare, mode)
    plan, kept = decided.plan, _kept_wordings(decided.plan, compare)
    raise_if_any(_problems(settings, inputs, plan, kept if mode is ChangedInputs.REFUSE else None))
    sizes = prompt_sizes(plan, inputs.models, prompts)
    return Prepared(
        inputs=inputs,
        plan=plan,
        estimate=estimate_calls([call for calls in sizes.values() for call in calls]),
        estimates={judge: estimate_calls(calls) for judge, calls in sizes.items()},
        edited=len(kept.changed),
        unknown_wording=kept.unknown,
        seen=(scan.names, members_seen),
        by_index=scan.by_index,
        warnings=(
            *([made_up_warning(len(decided.made_up))] if decided.made_up else ()),
            *kept.warnings,
            *not_reused(inputs, plan, decided.asked, prompts),
            *scan.warnings,
            *plan.warnings,
            *doubtful_templates(inputs),
            *open_delimiters(inputs),
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Decided:
    """The plan, what it was made of, and the made-up evaluations that do not count."""

    asked: PlanInputs
    plan: Plan
    made_up: frozenset[str]


def _comparison(store: GensDataLayer, inputs: Inputs, prompts: Mapping[tuple[str, str], RenderedPrompt]) -> Compare:
    wordings = Wordings(
        store=store,
        prompts={place: prompt.sha256 for place, prompt in prompts.items()},
        models={model.id: model for model in inputs.models},
    )
    # A member's record is read once, though it may be asked for before planning and after.
    return cache(wordings.compare)


def _decide(asked: PlanInputs, compare: Compare, mode: ChangedInputs) -> _Decided:
    """Plan, and plans again without the made-up evaluations when the first plan would take some."""
    stored = asked.evaluations
    if mode is ChangedInputs.ASK_AGAIN:
        asked = replace(asked, left_out=_left_out(stored, compare, lambda wording: wording.is_other))
    plan = plan_cohort(asked)
    if all(compare(member.gen_id, member.cell).counts for member in _existing(plan)):
        return _Decided(asked=asked, plan=plan, made_up=frozenset())
    made_up = _left_out(stored, compare, lambda wording: not wording.counts)
    asked = replace(asked, left_out=asked.left_out | made_up)
    return _Decided(asked=asked, plan=plan_cohort(asked), made_up=made_up)


def _problems(settings: Settings, inputs: Inputs, plan: Plan, refused: _KeptWordings | None) -> Iterator[Problem]:
    """Yield what forbids to carry the plan out.

    `refused` are the existing members whose changed inputs are refused.
    """
    reuse, todo = (len(rows_of_kind(plan.evaluations, kind)) for kind in ("reuse", "todo"))
    yield from check_batch_size(inputs.request.batch_size, reuse=reuse, todo=todo)
    yield from _unpriced_models(inputs, plan)
    yield from _links_out(settings.data_root, inputs.cohort_id, plan)
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


def still_holds(settings: Settings, prepared: Prepared) -> bool:
    """Return False when evaluations or members came or went since: what was about to be minted may be taken."""
    folder = CohortFolder(root=settings.data_root, cohort_id=prepared.inputs.cohort_id)
    names = GensDataLayer.from_root(settings.data_root).names_seen()
    return (names, folder.membership_stamp()) == prepared.seen


def _links_out(root: Path, cohort_id: str, plan: Plan) -> Iterator[Problem]:
    """Folders to be written to that symbolic links place outside the data root."""
    evaluations = f"gens/{Stage.EVALUATION}"
    shared = [evaluations, f"cohorts/{cohort_id}"]
    minted = {member.gen_id for member in plan.minted}  # of which nothing stands there
    todo = (row.member.gen_id for row in rows_of_kind(plan.evaluations, "todo"))
    single = [f"{evaluations}/{gen_id}" for gen_id in todo if gen_id not in minted]
    for place in shared if leads_to(root, root / evaluations) else [*shared, *single]:
        real = leads_to(root, root / place)
        if real is not None:
            yield Problem(place=place, finding=f"it leads out of the data root, to {real}.", next_step=LINK_STEP)


def _unpriced_models(inputs: Inputs, plan: Plan) -> Iterator[Problem]:
    """With a cap on the cost each model to be called needs what its worst case is reckoned from."""
    if inputs.request.max_cost_usd is None:
        return
    called = {row.member.llm_model_id for row in plan.evaluations if row.action is Action.CALL}
    for model in inputs.models:
        if model.id in called and unpriced(model):
            yield Problem(
                place=f"{MODELS}: {model.id}",
                finding=f"max_cost_usd needs what its calls can cost, and {', '.join(unpriced(model))} is empty.",
                next_step="Fill it in, leave the model out by models, or leave max_cost_usd out.",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class _KeptWordings:
    """Members that exist already: the cells of those of another wording, how many tell none, and warnings."""

    changed: tuple[Cell, ...]
    unknown: int
    warnings: tuple[str, ...]


def _left_out(
    stored: Iterable[StoredEvaluation], compare: Compare, is_out: Callable[[Wording], bool | None]
) -> frozenset[str]:
    replied = (found for found in stored if found.progress is not Progress.NO_REPLY)
    return frozenset(found.gen_id for found in replied if is_out(compare(found.gen_id, found.cell)))


def _existing(plan: Plan) -> list[Member]:
    """Return the members that nobody is to be asked for."""
    return [row.member for row in plan.evaluations if row.action is not Action.CALL]


def _kept_wordings(plan: Plan, compare: Compare) -> _KeptWordings:
    members = _existing(plan)
    made = {member.gen_id: compare(member.gen_id, member.cell) for member in members}
    changed = tuple(member.cell for member in members if made[member.gen_id].is_other)
    unknown = sum(wording.is_other is None for wording in made.values())
    changed_settings = sum(wording.other_settings for wording in made.values())
    told = f"{changed_settings} existing evaluations were made with other settings than today's: kept."
    return _KeptWordings(changed=changed, unknown=unknown, warnings=(told,) if changed_settings else ())
