"""Plans a cohort: decides which evaluations belong to the cohort, and what the run does for each of them.

The functions are pure and deterministic: they read no files. To mint is to choose a gen_id for a new evaluation.
The rules for one cell that should hold k evaluations:

* In backfill mode, the plan takes at most k of the existing evaluations, in this order: members of the cohort's
  former membership first, then all others. Within each of the two groups: scored evaluations, replies that are not
  scored yet, evaluations without a reply, refused replies; and within each of these, by gen_id. If there are fewer
  than k, the plan mints the rest.
* Without backfill mode, the same holds, but only evaluations that this cohort itself created count.
* Excluded evaluations are never members. These are evaluations with changed inputs (another prompt or model than
  today's) when the run asks again, and made-up evaluations when only real ones count. Their replicate numbers stay
  in use.
* A minted evaluation gets the smallest replicate number that no evaluation in the cell has and whose gen_id is free.

A crash at any point is harmless, because planning again gives the same members. If the crash came after an evaluation
was seeded (its folder was created), the store has this evaluation in the same cell. The new plan takes it before any
refused reply, so it takes the place that it was minted for.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from essay_cohorts.calls import JudgeModel
from essay_cohorts.domain import (
    Action,
    Cell,
    Essay,
    Generation,
    Member,
    ParserRef,
    Plan,
    PlanRow,
    Progress,
    RunRef,
    Stage,
    StoredEvaluation,
    Template,
)
from essay_cohorts.ids import evaluation_gen_id


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanInputs:
    """Everything that a plan depends on.

    - `replicates` is k, the number of evaluations that each cell should hold.
    - `parsers` maps a template to its parser.
    - `former` are the members of the cohort's former membership.
    - `evaluations` are the stored evaluations of the selected essays, in any order.
    - `occupied` contains each gen_id that is the name of a folder in the store.
    - `run` is the DagRun that plans. A refused reply that this DagRun itself paid for is not asked for again.
    - `excluded` are gen_ids that must not be members, because they are made up or have changed inputs.
    """

    cohort_id: str
    include_existing: bool
    retry_unscored: bool
    replicates: int
    essays: Sequence[Essay]
    templates: Sequence[Template]
    models: Sequence[JudgeModel]
    parsers: Mapping[str, ParserRef]
    former: Sequence[Member]
    evaluations: Iterable[StoredEvaluation]
    occupied: Container[str]
    run: RunRef
    excluded: frozenset[str] = frozenset()


def plan_cohort(inputs: PlanInputs) -> Plan:
    """Plan the cohort: for each essay, in the selection's order, the rows of its draft, itself and its evaluations.

    Every planned cell ends with exactly `inputs.replicates` members.
    """
    by_cell = _group_by_cell(inputs.evaluations)
    former = {member.gen_id for member in inputs.former}
    # Collect every id that this plan may use before minting new ones.
    taken = {found.gen_id for stored in by_cell.values() for found in stored}
    taken |= {essay.gen_id for essay in inputs.essays} | {
        essay.draft.gen_id for essay in inputs.essays if essay.draft
    }
    drafts: set[str] = set()
    rows: list[PlanRow] = []
    minted: list[Member] = []
    for essay in inputs.essays:
        rows += _source_rows(essay, inputs.cohort_id, drafts)
        for template in inputs.templates:
            for model in inputs.models:
                cell = Cell(essay.gen_id, template.template_id, model.id)
                planned = _plan_cell(cell, by_cell.get(cell, []), former, taken, inputs, essay.meta.combo_id)
                rows += planned.rows
                minted += planned.minted
    members = {row.member.gen_id for row in rows}
    return Plan(
        rows=tuple(rows),
        minted=tuple(minted),
        joined=tuple(row.member.gen_id for row in rows if inputs.former and row.member.gen_id not in former),
        left=tuple(member.gen_id for member in inputs.former if member.gen_id not in members),
        warnings=tuple(_missing_drafts(inputs.essays)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _PlannedCell:
    rows: list[PlanRow]
    minted: list[Member]


def _group_by_cell(evaluations: Iterable[StoredEvaluation]) -> dict[Cell, list[StoredEvaluation]]:
    by_cell: dict[Cell, list[StoredEvaluation]] = {}
    for evaluation in evaluations:
        by_cell.setdefault(evaluation.cell, []).append(evaluation)
    return by_cell


def _plan_cell(
    cell: Cell,
    stored: list[StoredEvaluation],
    former: set[str],
    taken: set[str],
    inputs: PlanInputs,
    combo_id: str,
) -> _PlannedCell:
    parser = inputs.parsers[cell.template_id]
    chosen = _choose(stored, former, parser, inputs)
    make_member = _member_maker(cell, inputs.cohort_id, combo_id)
    rows = [
        PlanRow(member=make_member(found.gen_id, found.replicate), action=action, reason=reason)
        for found in chosen
        for action, reason in [_decide(found, parser, inputs)]
    ]
    minted: list[Member] = []
    missing = inputs.replicates - len(chosen)
    for replicate, gen_id in _free_numbers(cell, stored, taken, inputs.occupied, missing):
        member = make_member(gen_id, replicate)
        minted.append(member)
        reason = f"missing: {len(chosen)} of {inputs.replicates} are in the store"
        rows.append(PlanRow(member=member, action=Action.CALL, reason=reason))
    rows.sort(key=lambda row: row.member.gen_id)
    return _PlannedCell(rows=rows, minted=minted)


def _choose(
    stored: list[StoredEvaluation], former: set[str], parser: ParserRef, inputs: PlanInputs
) -> list[StoredEvaluation]:
    eligible = (
        stored
        if inputs.include_existing
        else [found for found in stored if found.origin_cohort_id == inputs.cohort_id]
    )
    eligible = [found for found in eligible if found.gen_id not in inputs.excluded]
    ranked = sorted(eligible, key=lambda found: (found.gen_id not in former, _rank(found, parser), found.gen_id))
    return ranked[: inputs.replicates]


def _rank(found: StoredEvaluation, parser: ParserRef) -> int:
    if found.progress is Progress.PARSED:
        return 0
    if found.progress is Progress.NO_REPLY:
        return 2
    return 3 if found.refused_by == parser else 1


def _decide(found: StoredEvaluation, parser: ParserRef, inputs: PlanInputs) -> tuple[Action, str]:
    if found.progress is Progress.PARSED:
        return Action.REUSE, "parsed.txt exists"
    if found.progress is Progress.NO_REPLY:
        return Action.CALL, f"created by cohort {found.origin_cohort_id or 'unknown'}, no reply yet"
    if found.refused_by != parser:
        return Action.PARSE, f"the stored reply has not been scored by {parser.name} {parser.version} yet"
    if not inputs.retry_unscored:
        return Action.UNSCORED, f"reply refused: {found.refusal}"
    if found.reply_run == inputs.run:
        return Action.UNSCORED, f"reply refused; this run has already asked again: {found.refusal}"
    return Action.CALL, f"retry_unscored: the former reply was refused: {found.refusal}"


def _free_numbers(
    cell: Cell, stored: list[StoredEvaluation], taken: set[str], occupied: Container[str], missing: int
) -> Iterator[tuple[int, str]]:
    """Yield `missing` free pairs (replicate, gen_id), and add each gen_id to `taken`."""
    used_numbers = {found.replicate for found in stored}
    for replicate in count(1):
        if missing <= 0:
            return
        if replicate in used_numbers:
            continue
        gen_id = evaluation_gen_id(cell.essay_id, cell.template_id, cell.model_id, replicate)
        if gen_id in taken or gen_id in occupied:
            continue
        taken.add(gen_id)
        missing -= 1
        yield replicate, gen_id


def _member_maker(cell: Cell, cohort_id: str, combo_id: str) -> Callable[[str, int], Member]:
    def make_member(gen_id: str, replicate: int) -> Member:
        return Member(
            stage=Stage.EVALUATION,
            gen_id=gen_id,
            cohort_id=cohort_id,
            parent_gen_id=cell.essay_id,
            combo_id=combo_id,
            template_id=cell.template_id,
            llm_model_id=cell.model_id,
            replicate=replicate,
        )

    return make_member


def _source_rows(essay: Essay, cohort_id: str, drafts: set[str]) -> Iterator[PlanRow]:
    """Yield the row of the essay's draft, then the row of the essay.

    The draft has no second row when its gen_id is in `drafts` already; otherwise its gen_id is added to `drafts`.
    """
    draft = essay.draft
    if draft is not None and draft.gen_id not in drafts:
        drafts.add(draft.gen_id)
        member = _source_member(Stage.DRAFT, draft, cohort_id)
        yield PlanRow(member=member, action=Action.REUSE, reason="draft of a selected essay")
    member = _source_member(Stage.ESSAY, essay.meta, cohort_id)
    yield PlanRow(member=member, action=Action.REUSE, reason="selected")


def _source_member(stage: Stage, source: Generation, cohort_id: str) -> Member:
    return Member(
        stage=stage,
        gen_id=source.gen_id,
        cohort_id=cohort_id,
        parent_gen_id=source.parent_gen_id,
        combo_id=source.combo_id,
        template_id=source.template_id,
        llm_model_id=source.llm_model_id,
        replicate=source.replicate,
    )


def _missing_drafts(essays: Sequence[Essay]) -> Iterator[str]:
    for essay in essays:
        parent = essay.meta.parent_gen_id
        if essay.draft is None and parent:
            yield f"essay {essay.gen_id}: draft {parent} has no readable metadata, so the plan has no draft row."
