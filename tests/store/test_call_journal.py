"""Tests of the call journal: no spent money is forgotten, whichever processes write to the journal or die."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.calling.budget import Budget
from essay_cohorts.calls import CallEnd, Room, Spending
from essay_cohorts.domain import RunRef
from essay_cohorts.errors import StoreError
from essay_cohorts.store.call_journal import JOURNAL, CallJournal, Intent
from tests.conftest import DAG_ID, full_disk, task_ref

RUN = RunRef(DAG_ID, "run-1")


def intent(gen_id: str = "v_1", *, worst: float | None = 0.5, run_id: str = "run-1") -> Intent:
    """Return a request of this run that may take up to a minute."""
    task = task_ref(run_id, "evaluation.evaluation_raw", 1, 0)
    return Intent(gen_id=gen_id, llm_model_id="judge-a", worst_usd=worst, longest_s=60.0, task=task)


def lines(folder: Path) -> list[str]:
    """Return the journal's lines."""
    return (folder / JOURNAL).read_text(encoding="utf-8").splitlines()


def edit(folder: Path, **changes: object) -> None:
    """Change fields of the journal's only line."""
    [line] = lines(folder)
    (folder / JOURNAL).write_text(json.dumps(json.loads(line) | changes) + "\n", encoding="utf-8")


def test_a_request_counts_at_its_worst_until_it_is_settled(tmp_path: Path) -> None:
    """A request counts with its worst case in flight and with its cost afterwards; other runs are not included."""
    journal = CallJournal(folder=tmp_path)
    _, call = journal.reserve(intent())
    journal.reserve(intent(run_id="run-2"))
    assert journal.spending(RUN) == Spending(calls=1, in_flight=1, in_flight_usd=0.5)
    journal.settle(call, CallEnd.REPLY, 0.125)
    assert journal.spending(RUN) == Spending(calls=1, settled_usd=0.125)
    assert CallJournal(folder=tmp_path).spending(RUN) == Spending(calls=1, settled_usd=0.125)


@pytest.mark.parametrize(
    ("end", "cost", "spending"),
    [
        pytest.param(CallEnd.REPLY, 0.2, Spending(calls=1, settled_usd=0.2), id="a reply"),
        pytest.param(CallEnd.REPLY, None, Spending(calls=1, settled_usd=0.5), id="a reply without a cost"),
        pytest.param(CallEnd.CHARGED, 0.1, Spending(calls=1, settled_usd=0.1), id="paid for and no reply"),
        pytest.param(CallEnd.NOT_CHARGED, 0.0, Spending(calls=1), id="refused"),
        pytest.param(CallEnd.UNKNOWN, None, Spending(calls=1, unknown=1, unknown_usd=0.5), id="no answer"),
    ],
)
def test_what_each_end_costs(end: CallEnd, cost: float | None, spending: Spending, tmp_path: Path) -> None:
    """A known cost is counted as it is; without a known cost, or with an unknown end, the worst case is counted."""
    journal = CallJournal(folder=tmp_path)
    journal.settle(journal.reserve(intent())[1], end, cost)
    assert journal.spending(RUN) == spending


def test_what_is_settled_later_comes_with_the_next_line(tmp_path: Path) -> None:
    """A delayed settlement is written once: with the next request, or when the journal is flushed."""
    journal = CallJournal(folder=tmp_path)
    _, first = journal.reserve(intent())
    journal.settle_later(first, CallEnd.REPLY, 0.125)
    assert CallJournal(folder=tmp_path).spending(RUN).in_flight == 1
    _, second = journal.reserve(intent())
    assert CallJournal(folder=tmp_path).spending(RUN).settled_usd == 0.125
    journal.settle_later(second, CallEnd.REPLY, 0.25)
    journal.flush()
    journal.flush()
    assert CallJournal(folder=tmp_path).spending(RUN) == Spending(calls=2, settled_usd=0.375)
    assert len(lines(tmp_path)) == 4


def test_no_room_writes_nothing(tmp_path: Path) -> None:
    """A request for which the budget has no room is not written."""
    journal = CallJournal(folder=tmp_path)
    room, _ = journal.reserve(intent(), lambda _: Room.NO)
    assert room is Room.NO
    assert not (tmp_path / JOURNAL).exists()


def test_processes_share_one_budget(tmp_path: Path) -> None:
    """Six processes that reserve and settle at full speed never exceed the cap, and no line is torn or lost."""
    budget = Budget(max_cost_usd=20.0)
    children = [_spender(tmp_path, budget) for _ in range(6)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 6
    records = [json.loads(line) for line in lines(tmp_path)]
    assert len(records) == 2 * len({record["call"] for record in records})
    spent = CallJournal(folder=tmp_path).spending(RUN)
    assert 20.0 - 0.5 < spent.settled_usd <= 20.0
    assert (spent.in_flight, spent.unknown) == (0, 0)


def _spender(folder: Path, budget: Budget) -> int:
    child = os.fork()
    if child:
        return child
    try:
        journal = CallJournal(folder=folder)
        while True:
            room, call = journal.reserve(intent(), lambda spending: budget.room_for(spending, 0.5))
            if room is Room.NO:
                os._exit(0)
            if room is Room.YES:
                journal.settle(call, CallEnd.REPLY, 0.25)
    finally:
        os._exit(1)


def test_a_process_that_died_leaves_its_worst_case(tmp_path: Path) -> None:
    """The request of a killed process is no longer in flight, but it is listed and its worst case stays reserved."""
    child = os.fork()
    if not child:
        CallJournal(folder=tmp_path).reserve(intent())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    journal = CallJournal(folder=tmp_path)
    assert journal.spending(RUN) == Spending(calls=1, unknown=1, unknown_usd=0.5)
    assert [call.gen_id for call in journal.unsettled()] == ["v_1"]


@pytest.mark.parametrize(
    ("changes", "under_way"),
    [
        pytest.param({}, True, id="this process"),
        pytest.param({"host": "elsewhere", "pid": 1}, True, id="another machine, within its time"),
        pytest.param({"host": "elsewhere", "until": time.time() - 1}, False, id="another machine, past its time"),
        pytest.param({"until": time.time() - 1}, False, id="this process, past its time"),
        pytest.param({"since": 1.0}, False, id="a process id that another process has now"),
        pytest.param({"pid": "x"}, False, id="an invalid process id"),
        pytest.param({"until": None}, False, id="no time"),
    ],
)
def test_when_a_request_is_under_way(changes: dict[str, object], under_way: bool, tmp_path: Path) -> None:
    """A request is in flight while its process lives and its time has not run out."""
    CallJournal(folder=tmp_path).reserve(intent())
    edit(tmp_path, **changes)
    [call] = CallJournal(folder=tmp_path).unsettled()
    assert call.is_under_way() is under_way


@pytest.mark.parametrize("torn", ['{"call": "x", "gen', "\x00\x00", "not JSON", "[1]", "7"])
def test_a_torn_or_odd_line_is_passed_over(torn: str, tmp_path: Path) -> None:
    """A line torn by a crash is skipped, because its request was never sent; the next record starts a new line."""
    journal = CallJournal(folder=tmp_path)
    journal.reserve(intent())
    with (tmp_path / JOURNAL).open("a", encoding="utf-8") as file:
        file.write(torn)
    journal.reserve(intent("v_2"))
    assert [call.gen_id for call in CallJournal(folder=tmp_path).unsettled()] == ["v_1", "v_2"]
    assert CallJournal(folder=tmp_path).spending(RUN).calls == 2


def test_a_journal_that_was_taken_away_begins_anew(tmp_path: Path) -> None:
    """A journal that is deleted while in use is read from its beginning again."""
    journal = CallJournal(folder=tmp_path)
    for _ in range(3):
        journal.reserve(intent())
    assert journal.spending(RUN).calls == 3
    (tmp_path / JOURNAL).unlink()
    assert journal.spending(RUN).calls == 0
    journal.reserve(intent())
    assert journal.spending(RUN).calls == 1


def test_on_a_full_disk_nothing_is_reserved(tmp_path: Path) -> None:
    """A request that cannot be written to the journal is not made, and StoreError is raised."""
    journal = CallJournal(folder=tmp_path)
    with full_disk(10), pytest.raises(StoreError, match=r"calls\.jsonl.*cannot be written"):
        journal.reserve(intent())
    assert journal.spending(RUN).calls == 0


def test_without_its_folder_there_is_no_journal(tmp_path: Path) -> None:
    """The journal does not create a cohort's folder again after the folder was deleted."""
    with pytest.raises(StoreError, match="gone is gone"):
        CallJournal(folder=tmp_path / "gone").reserve(intent())
    assert not (tmp_path / "gone").exists()


ends = st.sampled_from([*CallEnd, None])
costs = st.none() | st.integers(0, 100).map(lambda cents: cents / 100)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(["run-1", "run-2"]), ends, costs, st.booleans()), max_size=12))
def test_spending_is_what_plain_adding_up_gives(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, CallEnd | None, float | None, bool]]
) -> None:
    """Whatever the requests, their ends and the readers, spending is the sum of known costs and worst cases."""
    folder = tmp_path_factory.mktemp("journal")
    journal, total = CallJournal(folder=folder), Spending()
    for run_id, end, cost, fresh in calls:
        _, name = journal.reserve(intent(run_id=run_id))
        if end is not None:
            journal.settle(name, end, cost)
        if fresh:
            journal = CallJournal(folder=folder)
        if run_id == "run-1":
            total = _add(total, end, cost)
    assert journal.spending(RUN) == CallJournal(folder=folder).spending(RUN)
    found = journal.spending(RUN)
    assert (found.calls, found.in_flight, found.unknown) == (total.calls, total.in_flight, total.unknown)
    for name in ("settled_usd", "in_flight_usd", "unknown_usd"):
        assert getattr(found, name) == pytest.approx(getattr(total, name))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(["run-1", "run-2", "run-3"]), ends, costs), max_size=12))
def test_without_a_run_the_spending_is_that_of_all_runs(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, CallEnd | None, float | None]]
) -> None:
    """Each field is the sum of what the runs have spent one by one."""
    folder = tmp_path_factory.mktemp("journal")
    journal = CallJournal(folder=folder)
    for run_id, end, cost in calls:
        _, name = journal.reserve(intent(run_id=run_id))
        if end is not None:
            journal.settle(name, end, cost)
    each = [journal.spending(RunRef(DAG_ID, run_id)) for run_id in ("run-1", "run-2", "run-3")]
    for found in (journal.spending(), CallJournal(folder=folder).spending()):
        assert asdict(found) == pytest.approx(
            {name: sum(getattr(one, name) for one in each) for name in asdict(found)}
        )
    assert journal.spending().calls == len(calls)


def test_without_a_journal_nothing_was_spent(tmp_path: Path) -> None:
    """Reading the spending of a cohort without requests creates no file."""
    assert CallJournal(folder=tmp_path).spending() == Spending()
    assert list(tmp_path.iterdir()) == []


def _add(total: Spending, end: CallEnd | None, cost: float | None) -> Spending:
    usd = 0.5 if cost is None else cost
    return Spending(
        calls=total.calls + 1,
        settled_usd=total.settled_usd + (usd if end not in (None, CallEnd.UNKNOWN) else 0),
        in_flight=total.in_flight + (end is None),
        in_flight_usd=total.in_flight_usd + (0.5 if end is None else 0),
        unknown=total.unknown + (end is CallEnd.UNKNOWN),
        unknown_usd=total.unknown_usd + (usd if end is CallEnd.UNKNOWN else 0),
    )
