"""The planning rules, by example and as properties of random stores.

`Store` represents `gens/evaluation`: the evaluations and the other folders in it. A test can seed the store as a run
does, and can add replies and scores as judges do, and then plan the cohort again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from essay_cohorts.calls import JudgeModel
from essay_cohorts.domain import (
    Action,
    Cell,
    Essay,
    Generation,
    Member,
    ParserRef,
    Plan,
    Progress,
    RunRef,
    Stage,
    StoredEvaluation,
    Template,
)
from essay_cohorts.ids import evaluation_gen_id
from essay_cohorts.planning.plan_rules import PlanInputs, plan_cohort

PROPERTY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

COHORT = "novelty_v2_backfill"
PARSER = ParserRef("in_last_line", "1")
OLD_PARSER = ParserRef("in_last_line", "0")
THIS_RUN = RunRef("evaluation_backfill", "manual__2")
FORMER_RUN = RunRef("evaluation_backfill", "manual__1")
CELL = Cell("e_1", "novelty", "judge-a")


@dataclass(frozen=True, kw_only=True)
class Store:
    """The evaluations with usable metadata, and the names of the folders without usable metadata."""

    evaluations: tuple[StoredEvaluation, ...] = ()
    other_folders: frozenset[str] = frozenset()

    @property
    def occupied(self) -> frozenset[str]:
        return self.other_folders | {found.gen_id for found in self.evaluations}

    def of(self, cell: Cell) -> dict[str, StoredEvaluation]:
        return {found.gen_id: found for found in self.evaluations if found.cell == cell}

    def seeded(self, members: Iterable[Member]) -> Store:
        """Return the store after seeding: the new evaluations have metadata and no reply."""
        seeds = [stored(member.gen_id, member.cell, member.replicate, origin=COHORT) for member in members]
        return replace(self, evaluations=(*self.evaluations, *seeds))


def stored(
    gen_id: str,
    cell: Cell = CELL,
    replicate: int = 1,
    progress: Progress = Progress.NO_REPLY,
    *,
    origin: str = "old",
    refused_by: ParserRef | None = None,
    run: RunRef | None = None,
) -> StoredEvaluation:
    return StoredEvaluation(
        gen_id=gen_id,
        cell=cell,
        replicate=replicate,
        origin_cohort_id=origin,
        progress=progress,
        refused_by=refused_by,
        refusal="several numbers" if refused_by else "",
        reply_run=run,
    )


def parsed(gen_id: str, replicate: int = 1, cell: Cell = CELL, origin: str = "old") -> StoredEvaluation:
    return stored(gen_id, cell, replicate, Progress.PARSED, origin=origin)


def refused(gen_id: str, replicate: int = 1, *, run: RunRef | None = FORMER_RUN) -> StoredEvaluation:
    return stored(gen_id, CELL, replicate, Progress.REPLIED, refused_by=PARSER, run=run)


def replied(gen_id: str, replicate: int = 1) -> StoredEvaluation:
    return stored(gen_id, CELL, replicate, Progress.REPLIED, run=FORMER_RUN)


def template(template_id: str = "novelty") -> Template:
    return Template(template_id=template_id, text="{{ response }}", parser="", place="", row_place="")


def draft(gen_id: str) -> Generation:
    return Generation(
        gen_id=gen_id, parent_gen_id="", combo_id="combo", template_id="draft-a", llm_model_id="w", replicate=1
    )


def essay(gen_id: str = "e_1", draft_id: str = "d_1", *, draft_exists: bool = True) -> Essay:
    meta = Generation(
        gen_id=gen_id, parent_gen_id=draft_id, combo_id="combo", template_id="essay-x", llm_model_id="w", replicate=1
    )
    return Essay(meta=meta, text="Tides.", draft=draft(draft_id) if draft_exists else None)


def asked(
    store: Store | None = None,
    *,
    k: int = 4,
    include: bool = True,
    former: tuple[Member, ...] = (),
    retry: bool = False,
    essays: tuple[Essay, ...] = (),
    templates: tuple[str, ...] = ("novelty",),
    models: tuple[str, ...] = ("judge-a",),
) -> PlanInputs:
    store = store or Store()
    return PlanInputs(
        cohort_id=COHORT,
        include_existing=include,
        retry_unscored=retry,
        replicates=k,
        essays=essays or (essay(),),
        templates=[template(name) for name in templates],
        models=[JudgeModel(id=name, model=name) for name in models],
        parsers=dict.fromkeys(templates, PARSER),
        former=former,
        evaluations=store.evaluations,
        occupied=store.occupied,
        run=THIS_RUN,
    )


def in_store(inputs: PlanInputs, store: Store) -> PlanInputs:
    """Return the same inputs with another store."""
    return replace(inputs, evaluations=store.evaluations, occupied=store.occupied)


def gen_ids(plan: Plan) -> list[str]:
    return [row.member.gen_id for row in plan.evaluations]


def members(plan: Plan) -> tuple[Member, ...]:
    return tuple(row.member for row in plan.rows)


def member(gen_id: str, cell: Cell = CELL, replicate: int = 1, stage: Stage = Stage.EVALUATION) -> Member:
    return Member(
        stage=stage,
        gen_id=gen_id,
        cohort_id=COHORT,
        parent_gen_id=cell.essay_id,
        combo_id="combo",
        template_id=cell.template_id,
        llm_model_id=cell.model_id,
        replicate=replicate,
    )


def minted_id(number: int, cell: Cell = CELL) -> str:
    return evaluation_gen_id(*cell, number)


# One example for each rule.


def test_of_fifty_existing_evaluations_the_first_four_are_taken() -> None:
    """A new cohort with 50 existing evaluations and k = 4 takes the first four by gen_id and mints none."""
    ids = [f"v_{number:03}" for number in range(50)]
    plan = plan_cohort(asked(Store(evaluations=tuple(parsed(gen_id, 7) for gen_id in reversed(ids)))))
    assert gen_ids(plan) == ids[:4]
    assert plan.minted == ()
    assert {row.action for row in plan.evaluations} == {Action.REUSE}


def test_in_an_empty_store_replicates_are_minted_from_one_upward() -> None:
    """In a cell without evaluations, the replicates 1 to k are minted."""
    plan = plan_cohort(asked(k=3))
    assert [(item.replicate, item.gen_id) for item in plan.minted] == [(n, minted_id(n)) for n in (1, 2, 3)]
    assert gen_ids(plan) == sorted(item.gen_id for item in plan.minted)


def test_backfill_takes_what_exists_in_the_rules_order() -> None:
    """Former members come first, then scored, replied, unanswered, refused evaluations; in each group by gen_id."""
    store = Store(
        evaluations=(
            refused("v_a", 1),
            stored("v_b", replicate=2),
            replied("v_c", 3),
            parsed("v_d", 4),
            parsed("v_e", 5),
            stored("v_f", replicate=6),
        )
    )
    order = ["v_f", "v_d", "v_e", "v_c", "v_b", "v_a"]
    for k in range(1, 7):
        plan = plan_cohort(asked(store, k=k, former=(member("v_f"),)))
        assert gen_ids(plan) == sorted(order[:k])
        assert plan.minted == ()


def test_a_reply_that_another_version_of_the_parser_refused_is_parsed_again() -> None:
    """A reply that an older parser refused is taken before an evaluation that needs a call."""
    old = stored("v_z", CELL, 1, Progress.REPLIED, refused_by=OLD_PARSER, run=FORMER_RUN)
    plan = plan_cohort(asked(Store(evaluations=(old, stored("v_a", replicate=2))), k=1))
    assert [(row.member.gen_id, row.action) for row in plan.evaluations] == [("v_z", Action.PARSE)]


def test_each_template_has_its_own_parser() -> None:
    """A refusal counts only if it was made by the parser of that template, not by another template's parser."""
    inputs = asked(Store(evaluations=(refused("v_a"),)), k=1, templates=("novelty", "style"))
    inputs = replace(inputs, parsers={"novelty": ParserRef("other", "1"), "style": PARSER})
    assert plan_cohort(inputs).evaluations[0].action is Action.PARSE


def test_without_the_directive_existing_evaluations_are_not_counted() -> None:
    """Without the directive the cohort has k evaluations of its own; numbers of other evaluations are not reused."""
    store = Store(evaluations=(parsed("v_a", 1), parsed("v_b", 2), parsed("v_own", 3, origin=COHORT)))
    plan = plan_cohort(asked(store, k=3, include=False))
    assert "v_own" in gen_ids(plan)
    assert [item.replicate for item in plan.minted] == [4, 5]
    assert len(plan.evaluations) == 3


def test_without_the_directive_a_former_member_of_another_origin_leaves() -> None:
    """A cohort that is planned first with and then without the directive keeps only evaluations that it created."""
    store = Store(evaluations=(parsed("v_a", 1), parsed("v_own", 2, origin=COHORT)))
    plan = plan_cohort(asked(store, k=2, include=False, former=(member("v_a"), member("v_own"))))
    assert plan.left == ("v_a",)
    assert [item.replicate for item in plan.minted] == [3]


def test_gaps_are_filled_first() -> None:
    """With the numbers 1 and 3 in the store, 2 and then 4 are minted."""
    plan = plan_cohort(asked(Store(evaluations=(parsed("v_a", 1), parsed("v_b", 3))), k=4))
    assert [item.replicate for item in plan.minted] == [2, 4]


def test_the_number_of_a_non_member_is_never_used_again() -> None:
    """The number of every evaluation in the cell is skipped, even in a cohort that does not count the evaluation."""
    store = Store(evaluations=(parsed("legacy1", 1), parsed("legacy2", 2)))
    assert [item.replicate for item in plan_cohort(asked(store, k=1, include=False)).minted] == [3]


def test_two_evaluations_with_the_same_number_are_two_evaluations() -> None:
    """Older stores have several evaluations with replicate 1; each of them counts."""
    store = Store(evaluations=(parsed("43ftibqi56628az1"), parsed("53ftibqi56628az1"), parsed("63ftibqi56628az1")))
    plan = plan_cohort(asked(store, k=4))
    assert len(set(gen_ids(plan))) == 4
    assert [item.replicate for item in plan.minted] == [2]


def test_a_folder_without_metadata_occupies_its_gen_id() -> None:
    """A gen_id that is the name of a folder is skipped, whatever the folder contains."""
    store = Store(other_folders=frozenset({minted_id(1), minted_id(3)}))
    plan = plan_cohort(asked(store, k=2))
    assert [item.replicate for item in plan.minted] == [2, 4]


def test_an_evaluation_whose_folder_has_just_vanished_keeps_its_gen_id() -> None:
    """A gen_id that is in the plan is not minted, even if its folder is removed while the plan is made."""
    inputs = asked(Store(evaluations=(parsed(minted_id(1), 7),)), k=2)
    plan = plan_cohort(replace(inputs, occupied=frozenset()))
    assert [(item.replicate, item.gen_id) for item in plan.minted] == [(2, minted_id(2))]


def test_case_counts_in_a_cell_but_not_in_a_gen_id() -> None:
    """An evaluation by template NOVELTY is not in a cell of novelty, but its gen_id is the same and so not free."""
    other = Cell("e_1", "NOVELTY", "judge-a")
    store = Store(evaluations=(parsed(minted_id(1, other), 1, other),))
    plan = plan_cohort(asked(store, k=1))
    assert [(item.replicate, item.gen_id) for item in plan.minted] == [(2, minted_id(2))]


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(Cell("e_2", "novelty", "judge-a"), id="another essay"),
        pytest.param(Cell("e_1", "style", "judge-a"), id="another template"),
        pytest.param(Cell("e_1", "novelty", "judge-b"), id="another model"),
    ],
)
def test_evaluations_of_other_cells_do_not_count(cell: Cell) -> None:
    """An evaluation counts only in the cell that its metadata names."""
    plan = plan_cohort(asked(Store(evaluations=(parsed("v_a", 1, cell),)), k=1))
    assert gen_ids(plan) == [minted_id(1)]


def test_rows_are_ordered_by_selection_then_template_then_model_then_gen_id() -> None:
    """For each essay, a plan has the draft, the essay, then the cells in CSV order; in each cell by gen_id."""
    essays = (essay("e_9", "d_9"), essay("e_1", "d_1"))
    inputs = asked(k=2, essays=essays, templates=("style", "novelty"), models=("judge-b", "judge-a"))
    planned = [(row.member.stage.value, row.member.gen_id) for row in plan_cohort(inputs).rows]
    expected: list[tuple[str, str]] = []
    for number in ("9", "1"):
        expected += [("draft", f"d_{number}"), ("essay", f"e_{number}")]
        for name in ("style", "novelty"):
            for model in ("judge-b", "judge-a"):
                cell = Cell(f"e_{number}", name, model)
                expected += [("evaluation", gen_id) for gen_id in sorted(minted_id(n, cell) for n in (1, 2))]
    assert planned == expected


def test_a_draft_has_one_row_however_many_of_its_essays_are_selected() -> None:
    """Two essays of one draft share the draft's row, which comes before the first of the two essays."""
    plan = plan_cohort(asked(k=1, essays=(essay("e_1", "d_1"), essay("e_2", "d_1"))))
    assert [m.gen_id for m in members(plan) if m.stage is not Stage.EVALUATION] == ["d_1", "e_1", "e_2"]
    assert plan.warnings == ()


def test_a_draft_without_metadata_is_warned_about() -> None:
    """An essay whose draft cannot be read has no draft row, but a warning and all its evaluations."""
    plan = plan_cohort(asked(k=2, essays=(essay("e_1", "d_1", draft_exists=False), essay("e_2", "d_2"))))
    assert [m.gen_id for m in members(plan) if m.stage is Stage.DRAFT] == ["d_2"]
    assert plan.warnings == ("essay e_1: draft d_1 has no readable metadata, so the plan has no draft row.",)
    assert len(plan.evaluations) == 4


def test_an_essay_without_a_draft_is_fine() -> None:
    """An essay without a draft in its metadata, such as a person's own essay, is planned without a warning."""
    assert plan_cohort(asked(k=1, essays=(essay("e_1", "", draft_exists=False),))).warnings == ()


def test_source_rows_have_the_values_of_their_metadata() -> None:
    """The rows of draft and essay have their own parent, template, model and replicate, and are reused."""
    first = essay()
    third = Essay(meta=replace(first.meta, replicate=3), text=first.text, draft=replace(draft("d_1"), replicate=2))
    plan = plan_cohort(asked(k=1, essays=(third,)))
    sources = [row for row in plan.rows if row.member.stage is not Stage.EVALUATION]
    assert [(r.member.parent_gen_id, r.member.template_id, r.member.llm_model_id) for r in sources] == [
        ("", "draft-a", "w"),
        ("d_1", "essay-x", "w"),
    ]
    assert [r.member.replicate for r in sources] == [2, 3]
    assert [r.reason for r in sources] == ["draft of a selected essay", "selected"]
    assert {(r.member.cohort_id, r.member.combo_id, r.action) for r in sources} == {(COHORT, "combo", Action.REUSE)}


def test_a_stored_member_keeps_its_own_replicate() -> None:
    """A reused evaluation's row has the replicate from its metadata and the id of this cohort."""
    (row,) = plan_cohort(asked(Store(evaluations=(parsed("v_a", 17),)), k=1)).evaluations
    assert (row.member.replicate, row.member.cohort_id, row.member.combo_id) == (17, COHORT, "combo")


NOT_JUDGED = "the stored reply has not been scored by in_last_line 1 yet"
ASKED_AGAIN = "retry_unscored: the former reply was refused: several numbers"


@pytest.mark.parametrize(
    ("found", "retry", "action", "reason"),
    [
        pytest.param(parsed("v"), False, Action.REUSE, "parsed.txt exists", id="scored"),
        pytest.param(parsed("v"), True, Action.REUSE, "parsed.txt exists", id="scored, retry on"),
        pytest.param(stored("v"), False, Action.CALL, "created by cohort old, no reply yet", id="no reply"),
        pytest.param(
            stored("v", origin=""),
            False,
            Action.CALL,
            "created by cohort unknown, no reply yet",
            id="no reply, cohort unknown",
        ),
        pytest.param(replied("v"), False, Action.PARSE, NOT_JUDGED, id="reply not judged"),
        pytest.param(replied("v"), True, Action.PARSE, NOT_JUDGED, id="not judged, retry on"),
        pytest.param(refused("v"), False, Action.UNSCORED, "reply refused: several numbers", id="refused"),
        pytest.param(refused("v"), True, Action.CALL, ASKED_AGAIN, id="refused, retry on"),
        pytest.param(refused("v", run=None), True, Action.CALL, ASKED_AGAIN, id="retry, run unknown"),
        pytest.param(
            refused("v", run=THIS_RUN),
            True,
            Action.UNSCORED,
            "reply refused; this run has already asked again: several numbers",
            id="already asked again in this run",
        ),
        pytest.param(
            refused("v", run=THIS_RUN),
            False,
            Action.UNSCORED,
            "reply refused: several numbers",
            id="refused in this run",
        ),
    ],
)
def test_actions(found: StoredEvaluation, retry: bool, action: Action, reason: str) -> None:
    """The action for a member depends on what the store has of the member, and the row says the reason."""
    (row,) = plan_cohort(asked(Store(evaluations=(found,)), k=1, retry=retry)).evaluations
    assert row.action is action
    assert row.reason == reason


def test_a_run_of_another_dag_with_the_same_id_is_another_run() -> None:
    """A reply that another DAG's run with the same run_id paid for does not count as this run's retry."""
    found = refused("v", run=RunRef("another_dag", THIS_RUN.run_id))
    (row,) = plan_cohort(asked(Store(evaluations=(found,)), k=1, retry=True)).evaluations
    assert row.action is Action.CALL


def test_a_minted_row_says_what_is_missing() -> None:
    """A minted evaluation's reason says how many evaluations the cell has and should have."""
    plan = plan_cohort(asked(Store(evaluations=(parsed("v_a"),)), k=2))
    (row,) = [row for row in plan.evaluations if row.action is Action.CALL]
    assert row.reason == "missing: 1 of 2 are in the store"


def test_more_templates_join_and_nobody_leaves() -> None:
    """If a template is added to a cohort, its evaluations join, and the former members stay."""
    first = plan_cohort(asked(k=2))
    store = Store().seeded(first.minted)
    second = plan_cohort(asked(store, k=2, former=members(first), templates=("novelty", "style")))
    assert set(gen_ids(first)) < set(gen_ids(second))
    assert set(second.joined) == set(gen_ids(second)) - set(gen_ids(first))
    assert second.left == ()


def test_a_removed_essay_leaves_with_its_draft_and_evaluations() -> None:
    """If a cohort is planned without one of its essays, the essay, its draft and its evaluations have left."""
    both = (essay("e_1", "d_1"), essay("e_2", "d_2"))
    first = plan_cohort(asked(k=1, essays=both))
    second = plan_cohort(asked(Store().seeded(first.minted), k=1, essays=both[1:], former=members(first)))
    assert second.joined == ()
    assert second.left == ("d_1", "e_1", minted_id(1))


def test_fewer_replicates_keep_the_scored_members() -> None:
    """With a lower k, the former members with the most progress stay."""
    store = Store(evaluations=(stored("v_a"), parsed("v_b", 2), replied("v_c", 3), parsed("v_d", 4)))
    former = tuple(member(gen_id) for gen_id in ("v_a", "v_b", "v_c"))
    plan = plan_cohort(asked(store, k=2, former=former))
    assert gen_ids(plan) == ["v_b", "v_c"]
    assert plan.left == ("v_a",)


def test_a_first_plan_has_no_joined_members() -> None:
    """A cohort that is planned for the first time has neither joined nor left members."""
    plan = plan_cohort(asked(k=2))
    assert (plan.joined, plan.left) == ((), ())


def test_a_former_member_without_a_folder_leaves_or_is_minted_again() -> None:
    """A member that the store has lost does not count: the cell is filled up to k again."""
    plan = plan_cohort(asked(k=1, former=(member("v_lost"), member(minted_id(1)))))
    assert gen_ids(plan) == [minted_id(1)]
    assert plan.left == ("v_lost",)
    assert [item.gen_id for item in plan.minted] == [minted_id(1)]


@pytest.mark.parametrize(
    "essays",
    [
        pytest.param((essay("e_1"), essay(minted_id(1), "d_2")), id="a later essay"),
        pytest.param((essay("e_1"), essay("e_2", minted_id(1))), id="a later draft"),
    ],
)
def test_the_gen_id_of_an_essay_or_a_draft_is_not_minted(essays: tuple[Essay, ...]) -> None:
    """The gen_id of an essay or a draft in the plan is not minted, even if that row comes later."""
    sources = {"e_1", "d_1", *(item.gen_id for item in essays), *(item.meta.parent_gen_id for item in essays)}
    names = [m.gen_id for m in members(plan_cohort(asked(k=1, essays=essays)))]
    assert sources <= {name for name in names if names.count(name) == 1}
    assert len(names) == len(sources) + len(essays)


# The same rules as properties of random stores.

TEMPLATES = ("novelty", "style", "NOVELTY")
MODELS = ("judge-a", "judge-b")
ESSAYS = ("e_1", "e_2", "E_1", "e_unselected")


@dataclass(frozen=True, kw_only=True)
class World:
    """A store and the inputs of a plan."""

    store: Store
    inputs: PlanInputs

    @property
    def cells(self) -> list[Cell]:
        return [
            Cell(e.gen_id, t.template_id, m.id)
            for e in self.inputs.essays
            for t in self.inputs.templates
            for m in self.inputs.models
        ]


STATES = [
    (Progress.PARSED, None),
    (Progress.NO_REPLY, None),
    (Progress.REPLIED, None),
    (Progress.REPLIED, PARSER),
    (Progress.REPLIED, OLD_PARSER),
]
states = st.tuples(st.sampled_from(STATES), st.sampled_from([None, FORMER_RUN, THIS_RUN]))
State = tuple[tuple[Progress, ParserRef | None], RunRef | None]


def with_state(found: StoredEvaluation, state: State) -> StoredEvaluation:
    """Return the same evaluation in another state."""
    (progress, refused_by), run = state
    return replace(
        found,
        progress=progress,
        refused_by=refused_by,
        refusal="no number" if refused_by else "",
        reply_run=run if progress is Progress.REPLIED else None,
    )


@st.composite
def evaluations(draw: st.DrawFn, planned: list[Cell]) -> tuple[StoredEvaluation, ...]:
    """Draw evaluations with distinct gen_ids, in any state; their numbers have gaps and duplicates.

    Some gen_ids follow the formula, some are from older stores. Most evaluations are in two of the planned cells, so
    that some cells have more evaluations than the plan needs.
    """
    crowded = st.sampled_from(planned[:2])
    cells = st.one_of(crowded, crowded, st.builds(Cell, *map(st.sampled_from, (ESSAYS, TEMPLATES, MODELS))))
    legacy = st.sampled_from(["", "", "0", "a", "z"])
    origins = st.sampled_from([COHORT, "old", ""])
    size = draw(st.sampled_from([0, 3, 6, 12, 20]))
    kinds = st.tuples(cells, st.integers(1, 9), legacy, origins, states)
    found: dict[str, StoredEvaluation] = {}
    for number, kind in enumerate(draw(st.lists(kinds, min_size=size, max_size=size))):
        cell, replicate, first_letter, origin, state = kind
        gen_id = f"{first_letter}legacy{number}" if first_letter else minted_id(replicate, cell)
        found.setdefault(gen_id, with_state(stored(gen_id, cell, replicate, origin=origin), state))
    return tuple(found.values())


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a store and the inputs of a plan for some of its cells; the cohort may have a former membership."""
    essay_ids = draw(st.permutations(ESSAYS[:3]).map(tuple))[: draw(st.integers(1, 3))]
    essays = tuple(
        essay(gen_id, draw(st.sampled_from(["d_1", "d_2"])), draft_exists=draw(st.booleans())) for gen_id in essay_ids
    )
    templates = draw(st.sampled_from([("novelty",), ("style", "novelty")]))
    models = draw(st.sampled_from([("judge-a",), ("judge-b", "judge-a")]))
    planned = [Cell(e, t, m) for e in essay_ids for t in templates for m in models]
    found = draw(evaluations(planned))
    numbers = st.tuples(st.sampled_from(planned), st.integers(1, 6))
    other_folders = {minted_id(n, cell) for cell, n in draw(st.lists(numbers, max_size=4))}
    store = Store(evaluations=found, other_folders=frozenset(other_folders - {item.gen_id for item in found}))
    former: list[Member] = []
    was_planned_before = draw(st.booleans())
    if found and was_planned_before:
        known = draw(st.lists(st.sampled_from(found), max_size=8, unique_by=lambda item: item.gen_id))
        former = [member(item.gen_id, item.cell, item.replicate) for item in known]
        former += [member("e_1", stage=Stage.ESSAY), member("v_lost"), member("d_lost", stage=Stage.DRAFT)]
    inputs = asked(
        store,
        k=draw(st.integers(1, 6)),
        include=draw(st.booleans()),
        retry=draw(st.booleans()),
        former=tuple(former),
        essays=essays,
        templates=templates,
        models=models,
    )
    return World(store=store, inputs=inputs)


def rule_2_group(found: StoredEvaluation) -> int:
    """Return the position in rule 2: 0 scored, 1 reply not scored by this parser, 2 no reply, 3 refused."""
    if found.progress is Progress.REPLIED:
        return 3 if found.refused_by == PARSER else 1
    return 0 if found.progress is Progress.PARSED else 2


def expected_choice(world: World, cell: Cell) -> list[str]:
    """Return the expected members by rules 2 and 3, computed in another way than in the product.

    The groups follow one another, and the first k are taken.
    """
    candidates = world.store.of(cell)
    if not world.inputs.include_existing:
        candidates = {name: item for name, item in candidates.items() if item.origin_cohort_id == COHORT}
    former = {item.gen_id for item in world.inputs.former}
    queue: list[str] = []
    for is_former in (True, False):
        for group in range(4):
            queue += sorted(
                name
                for name, item in candidates.items()
                if (name in former) is is_former and rule_2_group(item) == group
            )
    return queue[: world.inputs.replicates]


@PROPERTY
@given(worlds())
def test_every_cell_ends_with_exactly_k_members(world: World) -> None:
    """For every store, each planned cell has k members, other cells have none, and no gen_id occurs twice."""
    plan = plan_cohort(world.inputs)
    k = world.inputs.replicates
    assert [row.member.cell for row in plan.evaluations] == [cell for cell in world.cells for _ in range(k)]
    names = gen_ids(plan)
    assert len(names) == len(set(names))
    for start in range(0, len(names), k):
        assert names[start : start + k] == sorted(names[start : start + k])


@PROPERTY
@given(worlds(), st.data())
def test_the_order_of_the_store_does_not_matter(world: World, data: st.DataObject) -> None:
    """The plan does not depend on the order of the folders and of the former members."""
    shuffled = replace(
        world.inputs,
        evaluations=data.draw(st.permutations(world.store.evaluations)),
        former=data.draw(st.permutations(world.inputs.former)),
    )
    first, second = plan_cohort(world.inputs), plan_cohort(shuffled)
    assert replace(first, left=()) == replace(second, left=())
    assert sorted(first.left) == sorted(second.left)


@PROPERTY
@given(worlds())
def test_existing_evaluations_are_taken_in_the_rules_order(world: World) -> None:
    """Each cell takes the first k in the order of the rules; without the directive, only the cohort's own."""
    plan = plan_cohort(world.inputs)
    minted = {item.gen_id for item in plan.minted}
    for cell in world.cells:
        taken = [
            row.member for row in plan.evaluations if row.member.cell == cell and row.member.gen_id not in minted
        ]
        assert [item.gen_id for item in taken] == sorted(expected_choice(world, cell))
        for item in taken:
            assert item.replicate == world.store.of(cell)[item.gen_id].replicate


@PROPERTY
@given(worlds())
def test_minting_takes_the_smallest_free_numbers(world: World) -> None:
    """Minted numbers are the smallest that are unused in the cell and have a free gen_id; only the rest is minted."""
    plan = plan_cohort(world.inputs)
    by_cell: dict[Cell, list[Member]] = {}
    for item in plan.minted:
        by_cell.setdefault(item.cell, []).append(item)
    used: set[str] = set()
    for cell in world.cells:
        borne = {found.replicate for found in world.store.of(cell).values()}
        free = [
            number
            for number in range(1, 200)
            if number not in borne and minted_id(number, cell) not in world.store.occupied | used
        ]
        minted = by_cell.get(cell, [])
        short = world.inputs.replicates - len(expected_choice(world, cell))
        assert [item.replicate for item in minted] == free[:short]
        assert [item.gen_id for item in minted] == [minted_id(number, cell) for number in free[:short]]
        used |= {item.gen_id for item in minted}


@PROPERTY
@given(worlds())
def test_every_action_follows_from_the_members_state(world: World) -> None:
    """A score is reused, a reply parsed, a missing reply called for; a refused one is asked again once per run."""
    minted = {item.gen_id for item in plan_cohort(world.inputs).minted}
    for row in plan_cohort(world.inputs).evaluations:
        assert row.reason
        if row.member.gen_id in minted:
            assert row.action is Action.CALL
            continue
        found = world.store.of(row.member.cell)[row.member.gen_id]
        again = world.inputs.retry_unscored and found.reply_run != THIS_RUN
        expected = [Action.REUSE, Action.PARSE, Action.CALL, Action.CALL if again else Action.UNSCORED]
        assert row.action is expected[rule_2_group(found)]


@PROPERTY
@given(worlds())
def test_nothing_is_minted_while_an_evaluation_could_be_reused(world: World) -> None:
    """In backfill mode an evaluation is left out of its cell only if the cell is full without a minted one."""
    plan = plan_cohort(replace(world.inputs, include_existing=True))
    names = set(gen_ids(plan))
    for cell in world.cells:
        left_out = [item for item in world.store.of(cell) if item not in names]
        if left_out:
            assert not [item for item in plan.minted if item.cell == cell]


@PROPERTY
@given(worlds())
def test_source_rows_occur_once_before_their_evaluations(world: World) -> None:
    """Each essay has one row, in the selection's order; each readable draft has one row, before its first essay."""
    plan = plan_cohort(world.inputs)
    sources = [item.gen_id for item in members(plan) if item.stage is not Stage.EVALUATION]
    expected = list(
        dict.fromkeys(
            name
            for item in world.inputs.essays
            for name in ([item.draft.gen_id] if item.draft else []) + [item.gen_id]
        )
    )
    assert sources == expected
    assert len(plan.warnings) == sum(item.draft is None for item in world.inputs.essays)


@PROPERTY
@given(worlds())
def test_joined_and_left_are_the_differences_from_the_former_members(world: World) -> None:
    """New members have joined, former members that are not in the plan have left; a first plan has neither."""
    plan = plan_cohort(world.inputs)
    now, before = {item.gen_id for item in members(plan)}, {item.gen_id for item in world.inputs.former}
    assert set(plan.joined) == (now - before if before else set())
    assert set(plan.left) == before - now


@PROPERTY
@given(worlds(), st.data())
def test_planning_after_a_crash_while_seeding_gives_the_same_members(world: World, data: st.DataObject) -> None:
    """Planning again after a crash gives the same members, whatever number of seeds was written before the crash."""
    first = plan_cohort(world.inputs)
    written = data.draw(st.integers(0, len(first.minted)))
    crashed = world.store.seeded(first.minted[:written])
    second = plan_cohort(in_store(world.inputs, crashed))
    assert members(second) == members(first)
    assert second.minted == first.minted[written:]


@PROPERTY
@given(worlds(), st.data())
def test_planning_again_after_any_progress_gives_the_same_members(world: World, data: st.DataObject) -> None:
    """Once the membership is written, progress of the members does not change it, and nothing is minted."""
    first = plan_cohort(world.inputs)
    seeded = world.store.seeded(first.minted)
    done = data.draw(st.lists(st.none() | states, min_size=len(seeded.evaluations), max_size=len(seeded.evaluations)))
    later = tuple(
        with_state(found, state) if state else found for found, state in zip(seeded.evaluations, done, strict=True)
    )
    worked_on = replace(seeded, evaluations=later)
    second = plan_cohort(in_store(replace(world.inputs, former=members(first)), worked_on))
    assert members(second) == members(first)
    assert (second.minted, second.joined, second.left) == ((), (), ())


@PROPERTY
@given(worlds(), worlds())
def test_evaluations_of_other_cohorts_do_not_change_a_planned_cohort(world: World, other: World) -> None:
    """Evaluations that other cohorts add later to the same cells do not change an existing membership."""
    first = plan_cohort(world.inputs)
    seeded = world.store.seeded(first.minted)
    added = tuple(
        replace(found, origin_cohort_id="other")
        for found in other.store.evaluations
        if found.gen_id not in seeded.occupied
    )
    grown = replace(seeded, evaluations=(*seeded.evaluations, *added))
    second = plan_cohort(in_store(replace(world.inputs, former=members(first)), grown))
    assert members(second) == members(first)
    assert second.minted == ()


@PROPERTY
@given(worlds(), st.integers(1, 6), st.booleans())
@example(World(store=Store(), inputs=asked(k=2)), 5, True)
def test_another_k_keeps_as_many_members_as_it_can(world: World, k: int, include: bool) -> None:
    """If k changes, members only join or only leave a cell; no member is replaced by another one."""
    first = plan_cohort(replace(world.inputs, include_existing=include))
    seeded = world.store.seeded(first.minted)
    asked_again = replace(world.inputs, include_existing=include, replicates=k, former=members(first))
    second = plan_cohort(in_store(asked_again, seeded))
    before, after = set(gen_ids(first)), set(gen_ids(second))
    assert before <= after or after <= before
    assert len(second.evaluations) == k * len(world.cells)
