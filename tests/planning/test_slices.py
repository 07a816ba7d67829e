"""Slices: they contain every evaluation of a cohort exactly once, in few task instances."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.domain import Action, Member, PlanRow, Stage
from essay_cohorts.planning.slices import (
    MAX_SLICES,
    Capacity,
    Kind,
    Slice,
    check_batch_size,
    make_slices,
    rows_of_kind,
)

PROPERTY = settings(deadline=None, max_examples=150)
# The number of tasks in the mapped task group, and of tasks outside the group.
MAPPED, OTHERS = 4, 4


def ids(count: int, prefix: str = "v") -> list[str]:
    return [f"{prefix}_{number}" for number in range(count)]


def slices_for(
    reuse: int = 0, todo: int = 0, *, batch: int | None = None, at_once: int = 16, processes: int = 4
) -> list[Slice]:
    return list(
        make_slices(
            reuse_ids=ids(reuse, "r"),
            todo_ids=ids(todo, "t"),
            batch_size=batch,
            max_concurrency=at_once,
            capacity=Capacity(processes=processes),
        )
    )


def evaluation(gen_id: str) -> Member:
    return Member(
        stage=Stage.EVALUATION,
        gen_id=gen_id,
        cohort_id="c",
        parent_gen_id="e_1",
        combo_id="combo",
        template_id="novelty",
        llm_model_id="judge-a",
        replicate=1,
    )


def of_kind(slices: list[Slice], kind: str) -> list[Slice]:
    return [part for part in slices if part.kind == kind]


@pytest.mark.parametrize("count", range(1, 9))
def test_up_to_eight_evaluations_to_do_have_a_slice_each(count: int) -> None:
    """If there are only a few evaluations, each has its own slice, labelled with the gen_id."""
    assert [(part.start, part.stop, part.label) for part in slices_for(todo=count)] == [
        (number, number + 1, f"t_{number}") for number in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        pytest.param(8, [1] * 8, id="a few"),
        pytest.param(9, [9], id="one more"),
        pytest.param(2_001, [2_000, 1], id="too many for one log"),
    ],
)
def test_up_to_eight_reused_evaluations_have_a_slice_each_and_more_share_slices_of_2000(
    count: int, sizes: list[int]
) -> None:
    """More than eight reused evaluations share a slice of up to 2,000, so that its log can still be opened."""
    assert [part.stop - part.start for part in slices_for(reuse=count)] == sizes


def test_nine_evaluations_to_do_share_one_slice() -> None:
    """More than eight calls share one slice, as long as a second process would not save time."""
    (part,) = slices_for(todo=9)
    assert part == Slice(kind="todo", start=0, stop=9, label="t_0 .. t_8 (9)", calls_at_once=16)


def test_many_evaluations_to_do_make_one_slice_per_process() -> None:
    """A large cohort has one slice per process of the machine, and the slices share the calls in flight equally."""
    parts = slices_for(todo=1000, processes=4, at_once=70)
    assert [part.stop - part.start for part in parts] == [250] * 4
    assert {part.calls_at_once for part in parts} == {17}


@pytest.mark.parametrize(
    ("todo", "processes", "at_once", "sizes"),
    [
        pytest.param(25, 4, 64, [25], id="too few calls for a second process"),
        pytest.param(26, 4, 64, [13, 13], id="enough calls for a second process"),
        pytest.param(1000, 8, 31, [1000], id="too few concurrent calls for a second process"),
        pytest.param(1000, 8, 32, [500, 500], id="enough concurrent calls for a second process"),
        pytest.param(1000, 8, 1, [1000], id="one call at once"),
    ],
)
def test_no_slice_has_too_few_calls(todo: int, processes: int, at_once: int, sizes: list[int]) -> None:
    """Each slice has enough calls, and enough concurrent calls, to be worth the start of its process."""
    assert [part.stop - part.start for part in slices_for(todo=todo, processes=processes, at_once=at_once)] == sizes


@pytest.mark.parametrize(
    ("kind", "positions"),
    [
        pytest.param("reuse", [1, 4], id="reuse"),
        pytest.param("todo", [0, 2, 5], id="parse and call"),
    ],
)
def test_the_rows_of_a_kind_are_those_that_its_slices_count(kind: Kind, positions: list[int]) -> None:
    """A slice's positions count the plan's rows of its kind, in the plan's order; refused replies are in no slice."""
    actions = [Action.CALL, Action.REUSE, Action.PARSE, Action.UNSCORED, Action.REUSE, Action.CALL]
    rows = [PlanRow(member=evaluation(f"v_{at}"), action=action, reason="") for at, action in enumerate(actions)]
    assert rows_of_kind(rows, kind) == [rows[at] for at in positions]


def test_batch_size_one_maps_each_gen_id() -> None:
    """With batch_size 1 each gen_id has its own slice, reused or not."""
    parts = slices_for(20, 30, batch=1)
    assert len(parts) == 50
    assert {part.stop - part.start for part in parts} == {1}


def test_reused_evaluations_have_slices_of_their_own_after_the_others() -> None:
    """No slice mixes reused evaluations with others, so whole task instances are skipped; slices to do come first."""
    parts = slices_for(3, 2)
    assert [part.label for part in parts] == ["t_0", "t_1", "r_0", "r_1", "r_2"]
    assert [part.kind for part in parts] == ["todo"] * 2 + ["reuse"] * 3


def test_an_empty_plan_has_no_slices() -> None:
    """An empty plan has no slices."""
    assert slices_for() == []


def test_more_slices_than_calls_allowed() -> None:
    """If there are more slices than allowed calls in flight, each slice makes one call at a time."""
    assert {part.calls_at_once for part in slices_for(todo=5, at_once=3)} == {1}


def test_a_slice_is_passed_on_as_json() -> None:
    """XCom has a slice as plain values, from which the slice can be made again."""
    part = slices_for(todo=9)[0]
    assert part.to_xcom() == {
        "kind": "todo",
        "start": 0,
        "stop": 9,
        "label": "t_0 .. t_8 (9)",
        "calls_at_once": 16,
    }
    assert Slice(**part.to_xcom()) == part


counts = st.one_of(st.integers(0, 40), st.integers(0, 3000))
batch_sizes = st.none() | st.integers(1, 500)
concurrencies = st.integers(1, 500)
processes = st.integers(1, 8)


@PROPERTY
@given(counts, counts, batch_sizes, concurrencies, processes)
def test_slices_cover_every_position_once(reuse: int, todo: int, batch: int | None, at_once: int, cpus: int) -> None:
    """The slices of each kind contain all positions in order, without a gap or an overlap."""
    parts = slices_for(reuse, todo, batch=batch, at_once=at_once, processes=cpus)
    for kind, total in (("reuse", reuse), ("todo", todo)):
        covered = [position for part in of_kind(parts, kind) for position in range(part.start, part.stop)]
        assert covered == list(range(total))
    assert all(part.start < part.stop for part in parts)


@PROPERTY
@given(counts, counts, st.integers(1, 500), concurrencies)
def test_batch_size_is_respected(reuse: int, todo: int, batch: int, at_once: int) -> None:
    """With a batch_size, each slice has that many evaluations; only the last slice of a kind may have fewer."""
    parts = slices_for(reuse, todo, batch=batch, at_once=at_once)
    for kind in ("reuse", "todo"):
        sizes = [part.stop - part.start for part in of_kind(parts, kind)]
        assert all(size == batch for size in sizes[:-1])
        assert all(size <= batch for size in sizes)


@PROPERTY
@given(counts, counts, batch_sizes, concurrencies, processes)
def test_calls_in_flight_are_bounded(reuse: int, todo: int, batch: int | None, at_once: int, cpus: int) -> None:
    """All slices together have at most max_concurrency calls in flight, or one call each if there are more slices."""
    parts = slices_for(reuse, todo, batch=batch, at_once=at_once, processes=cpus)
    to_do = of_kind(parts, "todo")
    assert all(part.calls_at_once >= 1 for part in to_do)
    for part in to_do:
        assert part.calls_at_once * len(to_do) <= at_once or part.calls_at_once == 1
    assert {part.calls_at_once for part in of_kind(parts, "reuse")} <= {0}


@PROPERTY
@given(counts, counts, batch_sizes, processes)
def test_labels_have_first_and_last_gen_id_and_count(reuse: int, todo: int, batch: int | None, cpus: int) -> None:
    """The label of one evaluation is its gen_id; the label of several has the first, the last and their number."""
    all_ids = {"reuse": ids(reuse, "r"), "todo": ids(todo, "t")}
    for part in slices_for(reuse, todo, batch=batch, processes=cpus):
        gen_ids = all_ids[part.kind][part.start : part.stop]
        several = f"{gen_ids[0]} .. {gen_ids[-1]} ({len(gen_ids)})"
        assert part.label == (gen_ids[0] if len(gen_ids) == 1 else several)


@pytest.mark.parametrize(
    ("reuse", "todo"),
    [
        pytest.param(20_000, 0, id="all reused"),
        pytest.param(0, 20_000, id="all to do"),
        pytest.param(10_000, 10_000, id="half and half"),
        pytest.param(19_992, 8, id="few to do"),
        pytest.param(8, 19_992, id="few reused"),
    ],
)
@pytest.mark.parametrize("cpus", [1, 2, 8])
@pytest.mark.parametrize("at_once", [1, 16, 500])
def test_20_000_evaluations_need_fewer_than_100_task_instances(
    reuse: int, todo: int, cpus: int, at_once: int
) -> None:
    """A large cohort has few task instances on every machine, however many evaluations it reuses."""
    parts = slices_for(reuse, todo, at_once=at_once, processes=cpus)
    assert MAPPED * len(parts) + OTHERS < 100


@pytest.mark.parametrize("cpus", [1, 8])
def test_an_automatic_size_never_exceeds_airflows_limit(cpus: int) -> None:
    """Without a batch_size, even a million evaluations of each kind make no more slices than Airflow maps."""
    assert len(slices_for(1_000_000, 1_000_000, at_once=500, processes=cpus)) <= MAX_SLICES


@pytest.mark.parametrize(
    ("batch", "reuse", "todo"),
    [
        pytest.param(1, 0, 1025, id="one too many"),
        pytest.param(1, 512, 513, id="over both kinds"),
        pytest.param(10, 10_000, 10_000, id="ten"),
        pytest.param(2, 1, 2047, id="a remainder in both kinds"),
    ],
)
def test_more_slices_than_airflow_maps_are_refused(batch: int, reuse: int, todo: int) -> None:
    """Planning refuses a batch_size that would exceed max_map_length, and suggests a size that works."""
    (problem,) = check_batch_size(batch, reuse=reuse, todo=todo)
    assert problem.place == "conf: batch_size"
    assert "Airflow maps 1,024 at most" in problem.finding
    suggested = int(problem.next_step.split()[1].replace(",", ""))
    assert check_batch_size(suggested, reuse=reuse, todo=todo) == ()


@pytest.mark.parametrize(
    ("reuse", "todo", "enough"),
    [
        pytest.param(0, 10_230, 10, id="all to do"),
        pytest.param(10_230, 0, 10, id="all reused"),
        pytest.param(1, 10_230, 11, id="one more"),
    ],
)
def test_the_suggested_size_is_not_much_larger_than_needed(reuse: int, todo: int, enough: int) -> None:
    """The suggestion is close to Airflow's limit, because the person chose small slices on purpose."""
    (problem,) = check_batch_size(1, reuse=reuse, todo=todo)
    assert problem.finding == f"1 makes {reuse + todo:,} slices; Airflow maps 1,024 at most."
    assert problem.next_step == f"Write {enough} or more, or leave batch_size out."


@pytest.mark.parametrize(
    ("batch", "reuse", "todo"),
    [
        pytest.param(1, 0, 1024, id="just as many as Airflow maps"),
        pytest.param(1, 1024, 0, id="all reused"),
        pytest.param(2, 1, 2046, id="a remainder in one kind"),
        pytest.param(1, 0, 0, id="nothing"),
        pytest.param(None, 0, 10_000_000, id="automatic"),
    ],
)
def test_as_many_slices_as_airflow_maps_are_fine(batch: int | None, reuse: int, todo: int) -> None:
    """A batch_size that keeps to Airflow's limit is accepted."""
    assert check_batch_size(batch, reuse=reuse, todo=todo) == ()


@PROPERTY
@given(st.integers(1, 2000), st.integers(0, 300_000), st.integers(0, 300_000))
def test_the_check_and_the_slices_agree(batch: int, reuse: int, todo: int) -> None:
    """A size is refused exactly when it makes too many slices, and the suggested size is large enough."""
    slices = -(-reuse // batch) + -(-todo // batch)
    problems = check_batch_size(batch, reuse=reuse, todo=todo)
    assert bool(problems) == (slices > MAX_SLICES)
    for problem in problems:
        assert f"{slices:,}" in problem.finding
        enough = int(problem.next_step.split()[1].replace(",", ""))
        assert -(-reuse // enough) + -(-todo // enough) <= MAX_SLICES


def test_max_concurrency_changes_only_the_calls_at_once_of_a_slice() -> None:
    """If max_concurrency is large enough, a higher value changes only the limit on the calls of each slice."""
    low, high = slices_for(100, 100, at_once=64), slices_for(100, 100, at_once=128)
    assert [replace(part, calls_at_once=0) for part in low] == [replace(part, calls_at_once=0) for part in high]


@pytest.mark.parametrize(
    ("capacity", "at_once", "slices"),
    [
        pytest.param(Capacity(processes=2), 200, 2, id="one machine: its cores"),
        pytest.param(Capacity(processes=8), 50, 3, id="one machine: 16 calls at once each"),
        pytest.param(Capacity(processes=8, tasks=2), 200, 2, id="one machine: tasks at once"),
        pytest.param(Capacity(processes=2, tasks=16, several_machines=True), 200, 16, id="4 workers of 4 slots"),
        pytest.param(Capacity(processes=2, tasks=16, several_machines=True), 50, 6, id="8 calls at once each"),
        pytest.param(Capacity(processes=2, tasks=16, several_machines=True), 5, 1, id="few calls at once"),
        pytest.param(Capacity(processes=2, several_machines=True), 500, 32, id="no limit of tasks"),
        pytest.param(Capacity(processes=2, wanted=5), 50, 5, id="as set, on one machine"),
        pytest.param(Capacity(processes=2, tasks=16, several_machines=True, wanted=24), 50, 24, id="as set"),
        pytest.param(Capacity(processes=2, wanted=24), 10, 10, id="as set, but a call at once each"),
    ],
)
def test_the_number_of_slices_follows_the_capacity(capacity: Capacity, at_once: int, slices: int) -> None:
    """On one machine its cores count, on several what Airflow lets run at once; DD_SLICES overrides both."""
    assert capacity.slices(at_once) == slices
