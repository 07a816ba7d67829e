"""The planning rules of the design, by example and for stores of every kind.

`Store` stands for `gens/evaluation`: which evaluations it holds and which other folders. It can be seeded as a run
seeds it, and worked on as judges do, so that a cohort can be planned again after any of it.
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
    """Evaluations with usable metadata, and the names of folders without."""

    evaluations: tuple[StoredEvaluation, ...] = ()
    strangers: frozenset[str] = frozenset()

    @property
    def occupied(self) -> frozenset[str]:
        return self.strangers | {found.gen_id for found in self.evaluations}

    def of(self, cell: Cell) -> dict[str, StoredEvaluation]:
        return {found.gen_id: found for found in self.evaluations if found.cell == cell}

    def seeded(self, members: Iterable[Member]) -> Store:
        """The store after seeding: metadata and nothing else."""
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


def essay(gen_id: str = "e_1", draft_id: str = "d_1", *, draft_is_there: bool = True) -> Essay:
    meta = Generation(
        gen_id=gen_id, parent_gen_id=draft_id, combo_id="combo", template_id="essay-x", llm_model_id="w", replicate=1
    )
    return Essay(meta=meta, text="Tides.", draft=draft(draft_id) if draft_is_there else None)


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
    """The same question, asked of another store."""
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


# The design's sentences, one example each.


def test_fifty_existing_and_four_wanted_are_exactly_the_first_four() -> None:
    """A new cohort with 50 existing evaluations and k = 4 takes the first four by gen_id and mints none."""
    ids = [f"v_{number:03}" for number in range(50)]
    plan = plan_cohort(asked(Store(evaluations=tuple(parsed(gen_id, 7) for gen_id in reversed(ids)))))
    assert gen_ids(plan) == ids[:4]
    assert plan.minted == ()
    assert {row.action for row in plan.evaluations} == {Action.REUSE}


def test_an_empty_store_is_minted_from_one_upward() -> None:
    """In a cell without any evaluation the replicates 1 to k are minted."""
    plan = plan_cohort(asked(k=3))
    assert [(one.replicate, one.gen_id) for one in plan.minted] == [(n, minted_id(n)) for n in (1, 2, 3)]
    assert gen_ids(plan) == sorted(one.gen_id for one in plan.minted)


def test_backfill_takes_what_exists_in_the_rules_order() -> None:
    """Former members come first, then scored, replied, begun and refused ones; each by gen_id."""
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


def test_a_reply_that_another_version_of_the_parser_refused_is_not_yet_judged() -> None:
    """A reply refused by an older parser is parsed again before anything is begun or bought."""
    old = stored("v_z", CELL, 1, Progress.REPLIED, refused_by=OLD_PARSER, run=FORMER_RUN)
    plan = plan_cohort(asked(Store(evaluations=(old, stored("v_a", replicate=2))), k=1))
    assert [(row.member.gen_id, row.action) for row in plan.evaluations] == [("v_z", Action.PARSE)]


def test_each_template_has_its_own_parser() -> None:
    """A refusal counts when the parser of that template made it, whatever other templates use."""
    inputs = asked(Store(evaluations=(refused("v_a"),)), k=1, templates=("novelty", "style"))
    inputs = replace(inputs, parsers={"novelty": ParserRef("other", "1"), "style": PARSER})
    assert plan_cohort(inputs).evaluations[0].action is Action.PARSE


def test_without_the_directive_existing_ones_are_not_counted() -> None:
    """Without the directive k evaluations are the cohort's own, though others exist, and numbers are not reused."""
    store = Store(evaluations=(parsed("v_a", 1), parsed("v_b", 2), parsed("v_own", 3, origin=COHORT)))
    plan = plan_cohort(asked(store, k=3, include=False))
    assert "v_own" in gen_ids(plan)
    assert [one.replicate for one in plan.minted] == [4, 5]
    assert len(plan.evaluations) == 3


def test_without_the_directive_a_former_member_of_another_origin_leaves() -> None:
    """A cohort planned with the directive and then without keeps only what it produced itself."""
    store = Store(evaluations=(parsed("v_a", 1), parsed("v_own", 2, origin=COHORT)))
    plan = plan_cohort(asked(store, k=2, include=False, former=(member("v_a"), member("v_own"))))
    assert plan.left == ("v_a",)
    assert [one.replicate for one in plan.minted] == [3]


def test_gaps_are_filled_first() -> None:
    """With the numbers 1 and 3 in the store, 2 and then 4 are minted."""
    plan = plan_cohort(asked(Store(evaluations=(parsed("v_a", 1), parsed("v_b", 3))), k=4))
    assert [one.replicate for one in plan.minted] == [2, 4]


def test_a_number_that_a_non_member_bears_is_never_used_again() -> None:
    """A number that any evaluation of the cell bears is passed over, also in a cohort that does not count it."""
    store = Store(evaluations=(parsed("legacy1", 1), parsed("legacy2", 2)))
    assert [one.replicate for one in plan_cohort(asked(store, k=1, include=False)).minted] == [3]


def test_two_evaluations_with_the_same_number_are_two_evaluations() -> None:
    """Older stores hold several evaluations of replicate 1; each of them counts."""
    store = Store(evaluations=(parsed("43ftibqi56628az1"), parsed("53ftibqi56628az1"), parsed("63ftibqi56628az1")))
    plan = plan_cohort(asked(store, k=4))
    assert len(set(gen_ids(plan))) == 4
    assert [one.replicate for one in plan.minted] == [2]


def test_a_folder_without_metadata_occupies_its_gen_id() -> None:
    """A gen_id that names a folder of whatever content is passed over."""
    store = Store(strangers=frozenset({minted_id(1), minted_id(3)}))
    plan = plan_cohort(asked(store, k=2))
    assert [one.replicate for one in plan.minted] == [2, 4]


def test_an_evaluation_whose_folder_has_just_vanished_keeps_its_gen_id() -> None:
    """A gen_id that a row of the plan bears is not minted, though its folder is removed while the plan is made."""
    inputs = asked(Store(evaluations=(parsed(minted_id(1), 7),)), k=2)
    plan = plan_cohort(replace(inputs, occupied=frozenset()))
    assert [(one.replicate, one.gen_id) for one in plan.minted] == [(2, minted_id(2))]


def test_case_counts_in_a_cell_but_not_in_a_gen_id() -> None:
    """An evaluation by template NOVELTY is in no cell of novelty, and still occupies the gen_id that both give."""
    other = Cell("e_1", "NOVELTY", "judge-a")
    store = Store(evaluations=(parsed(minted_id(1, other), 1, other),))
    plan = plan_cohort(asked(store, k=1))
    assert [(one.replicate, one.gen_id) for one in plan.minted] == [(2, minted_id(2))]


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(Cell("e_2", "novelty", "judge-a"), id="another essay"),
        pytest.param(Cell("e_1", "style", "judge-a"), id="another template"),
        pytest.param(Cell("e_1", "novelty", "judge-b"), id="another model"),
    ],
)
def test_evaluations_of_other_cells_are_left_alone(cell: Cell) -> None:
    """An evaluation counts only in the cell that its metadata names."""
    plan = plan_cohort(asked(Store(evaluations=(parsed("v_a", 1, cell),)), k=1))
    assert gen_ids(plan) == [minted_id(1)]


def test_rows_come_by_selection_then_template_then_model_then_gen_id() -> None:
    """A plan lists each essay's draft, itself, then its cells in CSV order, in each of them by gen_id."""
    essays = (essay("e_9", "d_9"), essay("e_1", "d_1"))
    inputs = asked(k=2, essays=essays, templates=("style", "novelty"), models=("judge-b", "judge-a"))
    told = [(row.member.stage.value, row.member.gen_id) for row in plan_cohort(inputs).rows]
    expected: list[tuple[str, str]] = []
    for number in ("9", "1"):
        expected += [("draft", f"d_{number}"), ("essay", f"e_{number}")]
        for name in ("style", "novelty"):
            for model in ("judge-b", "judge-a"):
                cell = Cell(f"e_{number}", name, model)
                expected += [("evaluation", gen_id) for gen_id in sorted(minted_id(n, cell) for n in (1, 2))]
    assert told == expected


def test_a_draft_has_one_row_however_many_of_its_essays_are_selected() -> None:
    """Two essays of one draft share its row, which comes before the first of them."""
    plan = plan_cohort(asked(k=1, essays=(essay("e_1", "d_1"), essay("e_2", "d_1"))))
    assert [m.gen_id for m in members(plan) if m.stage is not Stage.EVALUATION] == ["d_1", "e_1", "e_2"]
    assert plan.warnings == ()


def test_a_draft_without_metadata_is_warned_about() -> None:
    """An essay whose draft cannot be read has no draft row, a warning, and all of its evaluations."""
    plan = plan_cohort(asked(k=2, essays=(essay("e_1", "d_1", draft_is_there=False), essay("e_2", "d_2"))))
    assert [m.gen_id for m in members(plan) if m.stage is Stage.DRAFT] == ["d_2"]
    assert plan.warnings == ("essay e_1: draft d_1 has no readable metadata, so the plan has no draft row.",)
    assert len(plan.evaluations) == 4


def test_an_essay_without_a_draft_is_fine() -> None:
    """An essay whose metadata names no draft, as people's own essays do, is planned without a warning."""
    assert plan_cohort(asked(k=1, essays=(essay("e_1", "", draft_is_there=False),))).warnings == ()


def test_source_rows_say_what_their_metadata_says() -> None:
    """The rows of draft and essay carry their own parent, template, model and replicate, and are reused."""
    one = essay()
    second_try = Essay(meta=replace(one.meta, replicate=3), text=one.text, draft=replace(draft("d_1"), replicate=2))
    plan = plan_cohort(asked(k=1, essays=(second_try,)))
    told = [row for row in plan.rows if row.member.stage is not Stage.EVALUATION]
    assert [(r.member.parent_gen_id, r.member.template_id, r.member.llm_model_id) for r in told] == [
        ("", "draft-a", "w"),
        ("d_1", "essay-x", "w"),
    ]
    assert [r.member.replicate for r in told] == [2, 3]
    assert [r.reason for r in told] == ["draft of a selected essay", "selected"]
    assert {(r.member.cohort_id, r.member.combo_id, r.action) for r in told} == {(COHORT, "combo", Action.REUSE)}


def test_a_stored_member_keeps_its_own_replicate() -> None:
    """A reused evaluation's row carries the number of its metadata and this cohort's id."""
    (row,) = plan_cohort(asked(Store(evaluations=(parsed("v_a", 17),)), k=1)).evaluations
    assert (row.member.replicate, row.member.cohort_id, row.member.combo_id) == (17, COHORT, "combo")


NOT_JUDGED = "the stored reply has not been scored by in_last_line 1 yet"
ASKED_AGAIN = "retry_unscored: the former reply was refused: several numbers"


@pytest.mark.parametrize(
    ("found", "retry", "action", "told"),
    [
        pytest.param(parsed("v"), False, Action.REUSE, "parsed.txt exists", id="scored"),
        pytest.param(parsed("v"), True, Action.REUSE, "parsed.txt exists", id="scored, retry on"),
        pytest.param(stored("v"), False, Action.CALL, "created by cohort old, no reply yet", id="begun"),
        pytest.param(
            stored("v", origin=""),
            False,
            Action.CALL,
            "created by cohort unknown, no reply yet",
            id="begun by nobody knows",
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
            id="retried already",
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
def test_actions(found: StoredEvaluation, retry: bool, action: Action, told: str) -> None:
    """What a run does for a member follows from what the store holds of it, and is said in words."""
    (row,) = plan_cohort(asked(Store(evaluations=(found,)), k=1, retry=retry)).evaluations
    assert row.action is action
    assert row.reason == told


def test_a_run_of_another_dag_with_the_same_id_is_another_run() -> None:
    """A reply bought by another DAG's run of the same run_id does not count as this run's retry."""
    found = refused("v", run=RunRef("another_dag", THIS_RUN.run_id))
    (row,) = plan_cohort(asked(Store(evaluations=(found,)), k=1, retry=True)).evaluations
    assert row.action is Action.CALL


def test_a_minted_row_says_what_is_missing() -> None:
    """A minted evaluation's reason counts what the cell has and should have."""
    plan = plan_cohort(asked(Store(evaluations=(parsed("v_a"),)), k=2))
    (row,) = [row for row in plan.evaluations if row.action is Action.CALL]
    assert row.reason == "missing: 1 of 2 are in the store"


def test_more_templates_join_and_nobody_leaves() -> None:
    """A template added to a cohort brings its evaluations as joined; members of before stay."""
    first = plan_cohort(asked(k=2))
    store = Store().seeded(first.minted)
    second = plan_cohort(asked(store, k=2, former=members(first), templates=("novelty", "style")))
    assert set(gen_ids(first)) < set(gen_ids(second))
    assert set(second.joined) == set(gen_ids(second)) - set(gen_ids(first))
    assert second.left == ()


def test_an_essay_taken_out_leaves_with_its_draft_and_evaluations() -> None:
    """A cohort planned without one of its essays reports as left the essay, its draft and its evaluations."""
    both = (essay("e_1", "d_1"), essay("e_2", "d_2"))
    first = plan_cohort(asked(k=1, essays=both))
    second = plan_cohort(asked(Store().seeded(first.minted), k=1, essays=both[1:], former=members(first)))
    assert second.joined == ()
    assert second.left == ("d_1", "e_1", minted_id(1))


def test_fewer_replicates_keep_the_scored_members() -> None:
    """With k lowered, those of the former members stay that have come furthest."""
    store = Store(evaluations=(stored("v_a"), parsed("v_b", 2), replied("v_c", 3), parsed("v_d", 4)))
    former = tuple(member(gen_id) for gen_id in ("v_a", "v_b", "v_c"))
    plan = plan_cohort(asked(store, k=2, former=former))
    assert gen_ids(plan) == ["v_b", "v_c"]
    assert plan.left == ("v_a",)


def test_a_first_planning_has_nobody_joining() -> None:
    """A cohort that is planned for the first time reports neither joined nor left."""
    plan = plan_cohort(asked(k=2))
    assert (plan.joined, plan.left) == ((), ())


def test_a_former_member_whose_folder_is_gone_leaves_or_is_minted_anew() -> None:
    """A member that the store has lost does not count as there: the cell is filled up to k again."""
    plan = plan_cohort(asked(k=1, former=(member("v_lost"), member(minted_id(1)))))
    assert gen_ids(plan) == [minted_id(1)]
    assert plan.left == ("v_lost",)
    assert [one.gen_id for one in plan.minted] == [minted_id(1)]


@pytest.mark.parametrize(
    "essays",
    [
        pytest.param((essay("e_1"), essay(minted_id(1), "d_2")), id="a later essay"),
        pytest.param((essay("e_1"), essay("e_2", minted_id(1))), id="a later draft"),
    ],
)
def test_a_minted_gen_id_is_no_row_of_the_plan(essays: tuple[Essay, ...]) -> None:
    """A gen_id that an essay or a draft of the plan bears is not minted, also when that one comes later."""
    sources = {"e_1", "d_1", *(one.gen_id for one in essays), *(one.meta.parent_gen_id for one in essays)}
    names = [m.gen_id for m in members(plan_cohort(asked(k=1, essays=essays)))]
    assert sources <= {name for name in names if names.count(name) == 1}
    assert len(names) == len(sources) + len(essays)


# The same for stores of every kind.

TEMPLATES = ("novelty", "style", "NOVELTY")
MODELS = ("judge-a", "judge-b")
ESSAYS = ("e_1", "e_2", "E_1", "e_unselected")


@dataclass(frozen=True, kw_only=True)
class World:
    """A store and what is asked of it."""

    store: Store
    inputs: PlanInputs

    @property
    def cells(self) -> list[Cell]:
        asked_for = self.inputs
        return [
            Cell(one.gen_id, t.template_id, m.id)
            for one in asked_for.essays
            for t in asked_for.templates
            for m in asked_for.models
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


def come_to(found: StoredEvaluation, state: State) -> StoredEvaluation:
    """The same evaluation, come this far."""
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
    """Evaluations with distinct gen_ids: by formula or legacy, in any state, their numbers with gaps and twice.

    Most of them are crowded in a few of the planned cells, so that some cells hold more than are asked for.
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
        found.setdefault(gen_id, come_to(stored(gen_id, cell, replicate, origin=origin), state))
    return tuple(found.values())


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A store of some essays, and a question about a few of their cells; perhaps one that was asked before."""
    essay_ids = draw(st.permutations(ESSAYS[:3]).map(tuple))[: draw(st.integers(1, 3))]
    essays = tuple(
        essay(gen_id, draw(st.sampled_from(["d_1", "d_2"])), draft_is_there=draw(st.booleans()))
        for gen_id in essay_ids
    )
    templates = draw(st.sampled_from([("novelty",), ("style", "novelty")]))
    models = draw(st.sampled_from([("judge-a",), ("judge-b", "judge-a")]))
    planned = [Cell(e, t, m) for e in essay_ids for t in templates for m in models]
    found = draw(evaluations(planned))
    numbers = st.tuples(st.sampled_from(planned), st.integers(1, 6))
    strangers = {minted_id(n, cell) for cell, n in draw(st.lists(numbers, max_size=4))}
    store = Store(evaluations=found, strangers=frozenset(strangers - {one.gen_id for one in found}))
    former: list[Member] = []
    was_planned_before = draw(st.booleans())
    if found and was_planned_before:
        known = draw(st.lists(st.sampled_from(found), max_size=8, unique_by=lambda one: one.gen_id))
        former = [member(one.gen_id, one.cell, one.replicate) for one in known]
        former += [member("e_1", stage=Stage.ESSAY), member("v_lost"), member("d_gone", stage=Stage.DRAFT)]
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
    """0 scored, 1 a reply not yet judged by this parser, 2 no reply, 3 refused: the order of rule 2."""
    if found.progress is Progress.REPLIED:
        return 3 if found.refused_by == PARSER else 1
    return 0 if found.progress is Progress.PARSED else 2


def expected_choice(world: World, cell: Cell) -> list[str]:
    """Rules 2 and 3 in other words than the product's: the groups one behind the other, cut at k."""
    candidates = world.store.of(cell)
    if not world.inputs.include_existing:
        candidates = {name: one for name, one in candidates.items() if one.origin_cohort_id == COHORT}
    former = {one.gen_id for one in world.inputs.former}
    queue: list[str] = []
    for is_former in (True, False):
        for group in range(4):
            queue += sorted(
                name
                for name, one in candidates.items()
                if (name in former) is is_former and rule_2_group(one) == group
            )
    return queue[: world.inputs.replicates]


@PROPERTY
@given(worlds())
def test_every_cell_ends_with_exactly_k_members(world: World) -> None:
    """Whatever the store holds, each planned cell has k members, no other cell has any, and no gen_id comes twice."""
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
    """A plan is the same in whatever order folders are listed and former members stand."""
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
def test_what_is_taken_from_the_store_follows_the_rules_order(world: World) -> None:
    """Of each cell the first k are taken: former, scored, replied, begun, refused; without directive own ones."""
    plan = plan_cohort(world.inputs)
    minted = {one.gen_id for one in plan.minted}
    for cell in world.cells:
        taken = [
            row.member for row in plan.evaluations if row.member.cell == cell and row.member.gen_id not in minted
        ]
        assert [one.gen_id for one in taken] == sorted(expected_choice(world, cell))
        for one in taken:
            assert one.replicate == world.store.of(cell)[one.gen_id].replicate


@PROPERTY
@given(worlds())
def test_minting_takes_the_smallest_free_numbers(world: World) -> None:
    """Minted numbers are the smallest that nothing in the cell bears and whose gen_id is free; only the rest is."""
    plan = plan_cohort(world.inputs)
    by_cell: dict[Cell, list[Member]] = {}
    for one in plan.minted:
        by_cell.setdefault(one.cell, []).append(one)
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
        assert [one.replicate for one in minted] == free[:short]
        assert [one.gen_id for one in minted] == [minted_id(number, cell) for number in free[:short]]
        used |= {one.gen_id for one in minted}


@PROPERTY
@given(worlds())
def test_every_action_follows_from_the_members_state(world: World) -> None:
    """Scored is reused, a reply is parsed, nothing is called for, a refused one asked again at most once a run."""
    minted = {one.gen_id for one in plan_cohort(world.inputs).minted}
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
def test_nothing_scored_is_bought_while_it_could_be_reused(world: World) -> None:
    """In backfill mode a scored evaluation is left out of its cell only when the cell is full without a mint."""
    plan = plan_cohort(replace(world.inputs, include_existing=True))
    names = set(gen_ids(plan))
    for cell in world.cells:
        left_out = [one for one in world.store.of(cell) if one not in names]
        if left_out:
            assert not [one for one in plan.minted if one.cell == cell]


@PROPERTY
@given(worlds())
def test_source_rows_stand_once_before_their_evaluations(world: World) -> None:
    """Each selected essay has one row, in the selection's order; each readable draft one, before its first essay."""
    plan = plan_cohort(world.inputs)
    sources = [one.gen_id for one in members(plan) if one.stage is not Stage.EVALUATION]
    expected = list(
        dict.fromkeys(
            name for one in world.inputs.essays for name in ([one.draft.gen_id] if one.draft else []) + [one.gen_id]
        )
    )
    assert sources == expected
    assert len(plan.warnings) == sum(one.draft is None for one in world.inputs.essays)


@PROPERTY
@given(worlds())
def test_joined_and_left_are_the_difference_to_the_former_members(world: World) -> None:
    """Joined are the members that were none before, left those that are none any more; a first plan has neither."""
    plan = plan_cohort(world.inputs)
    now, before = {one.gen_id for one in members(plan)}, {one.gen_id for one in world.inputs.former}
    assert set(plan.joined) == (now - before if before else set())
    assert set(plan.left) == before - now


@PROPERTY
@given(worlds(), st.data())
def test_planning_after_a_crash_while_seeding_gives_the_same_members(world: World, data: st.DataObject) -> None:
    """However many of the seeds were written before a crash, planning again gives the same members."""
    first = plan_cohort(world.inputs)
    written = data.draw(st.integers(0, len(first.minted)))
    crashed = world.store.seeded(first.minted[:written])
    second = plan_cohort(in_store(world.inputs, crashed))
    assert members(second) == members(first)
    assert second.minted == first.minted[written:]


@PROPERTY
@given(worlds(), st.data())
def test_planning_again_after_any_progress_gives_the_same_members(world: World, data: st.DataObject) -> None:
    """Once membership is written, no progress of any member changes who is in the cohort, and nothing is minted."""
    first = plan_cohort(world.inputs)
    seeded = world.store.seeded(first.minted)
    done = data.draw(st.lists(st.none() | states, min_size=len(seeded.evaluations), max_size=len(seeded.evaluations)))
    later = tuple(
        come_to(found, state) if state else found for found, state in zip(seeded.evaluations, done, strict=True)
    )
    worked_on = replace(seeded, evaluations=later)
    second = plan_cohort(in_store(replace(world.inputs, former=members(first)), worked_on))
    assert members(second) == members(first)
    assert (second.minted, second.joined, second.left) == ((), (), ())


@PROPERTY
@given(worlds(), worlds())
def test_what_other_cohorts_add_does_not_change_a_planned_one(world: World, other: World) -> None:
    """Evaluations that others add to the same cells later leave a cohort with a membership as it is."""
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
    """With k changed on a planned cohort, cells grow by joining and shrink by leaving, never by exchanging."""
    first = plan_cohort(replace(world.inputs, include_existing=include))
    seeded = world.store.seeded(first.minted)
    asked_again = replace(world.inputs, include_existing=include, replicates=k, former=members(first))
    second = plan_cohort(in_store(asked_again, seeded))
    before, after = set(gen_ids(first)), set(gen_ids(second))
    assert before <= after or after <= before
    assert len(second.evaluations) == k * len(world.cells)
