"""Planning a cohort: which evaluations belong to it, and what is to be done for each.

Pure and deterministic. The rules, by example, for one cell that should hold k = 4 evaluations:

* backfill mode takes what exists, in the order: members of this cohort's former membership, scored ones, replies
  not yet scored, unfinished ones without a reply, refused ones; each by gen_id; at most k. What is short is minted.
* without it only evaluations that this cohort itself produced count; what is short is minted.
* evaluations of another wording (another prompt or model than today's) are not members when they are to be asked
  again, nor are made-up ones where only real ones count; their replicate numbers stay theirs.
* a minted one gets the smallest replicate number that nothing in the cell bears and whose gen_id is free.

Planning again after a crash at any point gives the same members: a seeded evaluation is in the cell, is taken
before a refused one, and so fills the place that it was minted for.
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
    """All that a plan depends on.

    `replicates` is k, the evaluations that each cell should hold. `parsers` gives each template's parser.
    `evaluations` are those of the selected essays, in any order. `occupied` answers whether a gen_id names a folder
    of the store. `run` is the DagRun that plans: a refused reply that it bought itself is not asked for again.
    `left_out` are the evaluations that must not be members, because they answer another prompt or model, or are
    made up.
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
    left_out: frozenset[str] = frozenset()


def plan_cohort(inputs: PlanInputs) -> Plan:
    """Plan the cohort: sources and evaluations of each essay in the selection's order.

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
    make = _member_maker(cell, inputs.cohort_id, combo_id)
    rows = [
        PlanRow(member=make(found.gen_id, found.replicate), action=action, reason=reason)
        for found in chosen
        for action, reason in [_decide(found, parser, inputs)]
    ]
    minted: list[Member] = []
    missing = inputs.replicates - len(chosen)
    for replicate, gen_id in _free_numbers(cell, stored, taken, inputs.occupied, missing):
        member = make(gen_id, replicate)
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
    eligible = [found for found in eligible if found.gen_id not in inputs.left_out]
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
        return Action.CALL, f"begun by cohort {found.origin_cohort_id or 'unknown'}, no reply yet"
    if found.refused_by != parser:
        return Action.PARSE, f"a reply is stored that {parser.name} {parser.version} has not scored yet"
    if not inputs.retry_unscored:
        return Action.UNSCORED, f"reply refused: {found.refusal}"
    if found.reply_run == inputs.run:
        return Action.UNSCORED, f"reply refused, and asked for again in this run already: {found.refusal}"
    return Action.CALL, f"retry_unscored: the former reply was refused: {found.refusal}"


def _free_numbers(
    cell: Cell, stored: list[StoredEvaluation], taken: set[str], occupied: Container[str], missing: int
) -> Iterator[tuple[int, str]]:
    """Yield `missing` pairs (replicate, gen_id); marks each gen_id as taken."""
    borne = {found.replicate for found in stored}
    for replicate in count(1):
        if missing <= 0:
            return
        if replicate in borne:
            continue
        gen_id = evaluation_gen_id(cell.essay_id, cell.template_id, cell.model_id, replicate)
        if gen_id in taken or gen_id in occupied:
            continue
        taken.add(gen_id)
        missing -= 1
        yield replicate, gen_id


def _member_maker(cell: Cell, cohort_id: str, combo_id: str) -> Callable[[str, int], Member]:
    def make(gen_id: str, replicate: int) -> Member:
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

    return make


def _source_rows(essay: Essay, cohort_id: str, drafts: set[str]) -> Iterator[PlanRow]:
    """Yield the draft's row unless it is in `drafts` already (it is added), then the essay's."""
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
            yield f"essay {essay.gen_id}: its draft {parent} has no readable metadata; it gets no draft row."
