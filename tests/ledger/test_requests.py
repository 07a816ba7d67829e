"""Claims and requests on SQLite and on PostgreSQL: who may ask a judge, and what a run has spent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.engine import make_url

from essay_cohorts.calls import CallEnd, Room, Spending
from essay_cohorts.domain import RunRef
from essay_cohorts.errors import BadInput
from essay_cohorts.files.atomic import new_token
from essay_cohorts.ledger import schema
from essay_cohorts.ledger.budget import Budget
from essay_cohorts.ledger.callers import Caller
from essay_cohorts.ledger.database import place_of
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.ledger.pace import ModelLimits
from essay_cohorts.ledger.records import BillBy, Request, Settlement, Told, Wanted
from essay_cohorts.ledger.requests import RunRequests
from essay_cohorts.settings import Settings
from tests.ledger.test_ledger import seen

RUN, UNLIMITED = RunRef("evaluation_backfill", "run-1"), Budget()


def request(gen_id: str = "v_1", worst_usd: float | None = 0.5) -> Request:
    """Return a request with a name of its own."""
    return Request(name=new_token(), gen_id=gen_id, template_id="novelty", model_id="judge-a", worst_usd=worst_usd)


def reserved(requests: RunRequests, *wanted: Request) -> list[Room | None]:
    """Reserve requests without claims; return whether there was room for each."""
    return [answer.room for answer in requests.exchange([], [Wanted(request=each) for each in wanted])]


def settle(requests: RunRequests, settled: Request, end: CallEnd, cost_usd: float | None) -> None:
    requests.exchange([Told(settlement=Settlement(name=settled.name, end=end, cost_usd=cost_usd))])


def of_run(ledger: Ledger, caller: Caller, budget: Budget = UNLIMITED, run: RunRef = RUN) -> RunRequests:
    return ledger.requests(caller, "c", run, budget)


# ---------------------------------------------------------------- claims


def test_one_caller_has_a_claim_and_others_learn_who(ledger: Ledger) -> None:
    """Of two callers the first one gets the claim, again as often as it asks, and the other one gets the rest."""
    with ledger.caller("first") as first, ledger.caller("second") as second:
        assert ledger.claim(first, ["v_1", "v_2"]) == {"v_1", "v_2"}
        assert ledger.claim(first, ["v_1"]) == {"v_1"}
        assert ledger.claim(second, ["v_2", "v_3"]) == {"v_3"}
        assert ledger.holders() == {"v_1": "first", "v_2": "first", "v_3": "second"}
        ledger.release(second, ["v_1", "v_2", "v_3"])
        assert ledger.claim(second, ["v_1", "v_3"]) == {"v_3"}, "only the holder can give a claim back"
        ledger.release(first, ["v_1"])
        assert ledger.claim(second, ["v_1"]) == {"v_1"}


def test_a_caller_that_has_ended_holds_nothing(ledger: Ledger) -> None:
    """Claims that were not given back are free once their caller has ended."""
    with ledger.caller("first") as first:
        ledger.claim(first, ["v_1"])
    assert ledger.holders() == {}
    with ledger.caller("second") as second:
        assert ledger.claim(second, ["v_1"]) == {"v_1"}


@pytest.mark.parametrize(("silent_s", "is_free"), [(29.0, False), (31.0, True)])
def test_a_silent_caller_loses_its_claims(
    ledger: Ledger, settings: Settings, silent_s: float, *, is_free: bool
) -> None:
    """A caller that was silent for 30 s can be taken over, and not before."""
    first = Caller(ledger._database, "first")
    ledger._database.run(first._register)
    ledger.claim(first, ["v_1"])
    # On SQLite a living caller of another machine is an error.
    seen(settings, silent_s, "elsewhere" if settings.ledger else socket.gethostname())
    with ledger.caller("second") as second:
        assert ledger.claim(second, ["v_1"]) == ({"v_1"} if is_free else set())


def claim_and_wait(settings: Settings, told: Callable[[str], None]) -> None:
    with Ledger.of(settings).caller("killed") as caller:
        Ledger.of(settings).claim(caller, ["v_1"])
        told("claimed")
        signal.pause()


def test_the_claims_of_a_killed_process_are_free_at_once(ledger: Ledger, settings: Settings) -> None:
    """A killed process of the same machine is found by its process id."""
    context = multiprocessing.get_context("fork")
    says, said = context.Pipe(duplex=False)
    process = context.Process(target=claim_and_wait, args=(settings, said.send))
    process.start()
    assert says.recv() == "claimed"
    with ledger.caller("second") as second:
        assert ledger.claim(second, ["v_1"]) == set()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        assert ledger.claim(second, ["v_1"]) == {"v_1"}


def test_racing_callers_get_each_claim_once(ledger: Ledger) -> None:
    """Ten callers want the same fifty evaluations in another order each; every evaluation goes to one of them."""
    gen_ids = [f"v_{number}" for number in range(50)]

    def take(number: int) -> set[str]:
        with ledger.caller(f"caller {number}") as caller:
            got: set[str] = set()
            for start in range(0, 50, 5):
                wanted = [gen_ids[(start + place + 7 * number) % 50] for place in range(5)]
                got |= ledger.claim(caller, wanted)
            barrier.wait(30)
            return got

    barrier = threading.Barrier(10)
    with ThreadPoolExecutor(10) as threads:
        found = list(threads.map(take, range(10)))
    assert sorted(gen_id for got in found for gen_id in got) == sorted(gen_ids)


# ---------------------------------------------------------------- requests and the budget


def test_without_the_claim_no_request_is_recorded(ledger: Ledger) -> None:
    """What a worker tells is recorded even if it gets nothing, and a claim brings its request with it."""
    with ledger.caller("first") as first, ledger.caller("second") as second:
        mine, others = of_run(ledger, first), of_run(ledger, second)
        [answer] = mine.exchange([], [Wanted(gen_id="v_1", request=request())])
        assert (answer.is_claimed, answer.room) == (True, Room.YES)
        refused, granted = others.exchange(
            [], [Wanted(gen_id="v_1", request=request()), Wanted(gen_id="v_2", request=request("v_2"))]
        )
        assert (refused.is_claimed, refused.room, granted.room) == (False, None, Room.YES)
        assert ledger.spending("c").calls == 2
        mine.exchange([Told(released="v_1")])
        assert others.exchange([], [Wanted(gen_id="v_1")])[0].is_claimed


@pytest.mark.parametrize(
    ("end", "cost_usd", "spending"),
    [
        pytest.param(CallEnd.REPLY, 0.2, Spending(calls=1, settled_usd=0.2), id="a reply"),
        pytest.param(CallEnd.REPLY, None, Spending(calls=1, settled_usd=0.5), id="a reply of unknown cost"),
        pytest.param(CallEnd.CHARGED, 0.3, Spending(calls=1, settled_usd=0.3), id="paid in vain"),
        pytest.param(CallEnd.NOT_CHARGED, 0.0, Spending(calls=1), id="not charged"),
        pytest.param(CallEnd.UNKNOWN, None, Spending(calls=1, unknown=1, unknown_usd=0.5), id="unknown"),
    ],
)
def test_what_each_end_costs(ledger: Ledger, end: CallEnd, cost_usd: float | None, spending: Spending) -> None:
    """A known cost counts; without one the worst case does. Before the end a request is in flight."""
    with ledger.caller("first") as first:
        requests, sent = of_run(ledger, first), request()
        reserved(requests, sent)
        assert ledger.spending("c", RUN) == Spending(calls=1, in_flight=1, in_flight_usd=0.5)
        settle(requests, sent, end, cost_usd)
        assert ledger.spending("c", RUN) == spending
    assert ledger.spending("c", RUN) == spending


def test_a_caller_that_ended_leaves_its_worst_case(ledger: Ledger) -> None:
    """A request without an end counts as unknown once nobody can settle it; then the store may still prove it."""
    with ledger.caller("first") as first:
        sent = request()
        reserved(of_run(ledger, first), sent, request(worst_usd=None))
        assert ledger.unsettled("c") == []
    assert ledger.spending("c") == Spending(calls=2, unknown=2, unknown_usd=0.5)
    assert [call.gen_id for call in ledger.unsettled()] == ["v_1", "v_1"]
    assert ledger.unsettled("another cohort") == []
    ledger.settle([Settlement(name=sent.name, end=CallEnd.CHARGED, cost_usd=0.1)])
    assert ledger.spending("c") == Spending(calls=2, settled_usd=0.1, unknown=1)
    assert [call.name for call in ledger.paid_in_vain("c")] == [sent.name]


def test_a_request_that_was_never_sent_leaves_no_trace(ledger: Ledger) -> None:
    """It was reserved and taken back, so it counts neither as a call nor as a cost."""
    with ledger.caller("first") as first:
        requests, unsent = of_run(ledger, first), request()
        reserved(requests, unsent)
        requests.exchange([Told(unsent=unsent.name)])
        assert ledger.spending("c") == Spending()


def test_one_transaction_keeps_to_the_budget(ledger: Ledger) -> None:
    """Of requests that come together only as many are recorded as there is room for, after what was just settled."""
    budget = Budget(max_cost_usd=1.2)
    with ledger.caller("first") as first:
        requests, sent = of_run(ledger, first, budget), request()
        assert reserved(requests, sent, request(), request()) == [Room.YES, Room.YES, Room.LATER]
        settled = Told(settlement=Settlement(name=sent.name, end=CallEnd.REPLY, cost_usd=0.1))
        rooms = [each.room for each in requests.exchange([settled], [Wanted(request=request()) for _ in range(2)])]
        assert rooms == [Room.YES, Room.LATER]
        assert reserved(of_run(ledger, first, budget, RunRef("evaluation_backfill", "run-2")), request()) == [
            Room.YES
        ]


def test_the_same_transaction_twice_records_once(ledger: Ledger) -> None:
    """A transaction whose answer was lost is repeated: it finds its own request there and gets the same answer."""
    with ledger.caller("first") as first:
        requests, sent = of_run(ledger, first, Budget(max_llm_calls=1)), request()
        for _ in range(2):
            [answer] = requests.exchange([], [Wanted(gen_id="v_1", request=sent)])
            assert answer.room is Room.YES
        assert ledger.spending("c").calls == 1


def spend(settings: Settings, number: int) -> int:
    with Ledger.of(settings).caller(f"process {number}") as caller:
        requests = of_run(Ledger.of(settings), caller, Budget(max_cost_usd=10.0))
        return sum(reserved(requests, request())[0] is Room.YES for _ in range(10))


def test_processes_share_one_budget(ledger: Ledger, settings: Settings) -> None:
    """Four processes that want twenty dollars in requests of fifty cents get ten dollars together."""
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert sum(pool.starmap(spend, [(settings, number) for number in range(4)])) == 20
    assert ledger.spending("c").unknown_usd == pytest.approx(10.0)


ends = st.sampled_from([*CallEnd, None])
costs = st.none() | st.integers(0, 100).map(lambda cents: cents / 100)


@examples(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(["run-1", "run-2"]), ends, costs, costs), max_size=12))
def test_spending_is_what_plain_adding_up_gives(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, CallEnd | None, float | None, float | None]]
) -> None:
    """Whatever the requests and their ends, spending is the sum of known costs and worst cases, by run and in all."""
    root = tmp_path_factory.mktemp("root")
    ledger, usd = Ledger.of(Settings(data_root=root)), {"run-1": [0.0] * 3, "run-2": [0.0] * 3}
    with ledger.caller("first") as first:
        for run_id, end, worst, cost in calls:
            sent = request(worst_usd=worst)
            requests = of_run(ledger, first, run=RunRef("d", run_id))
            reserved(requests, sent)
            place = 1 if end is None else 2 if end is CallEnd.UNKNOWN else 0
            usd[run_id][place] += (worst if end is None or cost is None else cost) or 0.0
            if end is not None:
                settle(requests, sent, end, cost)
        for run_id, sums in usd.items():
            found = ledger.spending("c", RunRef("d", run_id))
            assert [found.settled_usd, found.in_flight_usd, found.unknown_usd] == pytest.approx(sums)
        everything = ledger.spending("c")
    assert everything.calls == len(calls)
    assert everything.settled_usd == pytest.approx(sum(sums[0] for sums in usd.values()))


# ---------------------------------------------------------------- files of version 0.1.0


INTENT = '{"call": "%s", "at": "2026-01-01T00:00:00Z", "gen_id": "v_1", "llm_model_id": "judge-a", "worst_usd": 0.5, '
INTENT += '"dag_id": "evaluation_backfill", "run_id": "run-1"}\n'


@pytest.mark.parametrize("torn", ['{"call": "x", "gen', "\x00\x00", "not JSON", "[1]", "7"])
def test_the_requests_of_an_earlier_version_are_taken_in_once(settings: Settings, torn: str) -> None:
    """Each whole line of calls.jsonl counts, with its end; a torn line belongs to a request that was never sent."""
    path = settings.data_root / "cohorts" / "c" / "calls.jsonl"
    path.parent.mkdir(parents=True)
    lines = [INTENT % name for name in ("a" * 12, "b" * 12, "c" * 12)]
    ends = [
        '{"call": "aaaaaaaaaaaa", "end": "reply", "cost_usd": 0.1}\n',
        '{"call": "bbbbbbbbbbbb", "end": "charged"}\n',
    ]
    path.write_text("".join([*lines, *ends, torn]), encoding="utf-8")
    before = path.read_bytes()
    ledger = Ledger.of(settings)
    assert ledger.spending("c", RUN) == Spending(calls=3, settled_usd=0.6, unknown=1, unknown_usd=0.5)
    assert [call.sent_at for call in ledger.unsettled()] == ["2026-01-01T00:00:00Z"]
    assert path.read_bytes() == before


def test_reading_makes_no_ledger(tmp_path: Path) -> None:
    """Without a ledger nothing was spent and nobody calls; reading this writes nothing into the data root."""
    ledger = Ledger.for_reading(Settings(data_root=tmp_path))
    assert (ledger.spending("c"), ledger.holders(), ledger.unsettled()) == (Spending(), {}, [])
    assert list(tmp_path.iterdir()) == []


def test_a_task_of_an_earlier_version_that_calls_is_waited_for(tmp_path: Path) -> None:
    """Its lease is a file that it refreshes; while that is fresh, nothing is planned or called."""
    lease = tmp_path / ".callers" / "0123456789ab.lease"
    lease.parent.mkdir()
    lease.write_text(f"pid={os.getpid()}\nhost=elsewhere\n", encoding="utf-8")
    settings = Settings(data_root=tmp_path)
    with pytest.raises(BadInput, match=r"0123456789ab\.lease: a task of version 0\.1\.0 .* Wait for its end"):
        Ledger.of(settings)
    assert Ledger.for_reading(settings).holders() == {}
    os.utime(lease, (1, 1))
    assert Ledger.of(settings).holders() == {}


# ---------------------------------------------------------------- the bill, and caps of all runs


def test_a_bill_by_each_key_adds_up_to_the_same_total(ledger: Ledger) -> None:
    """Settled, in flight and in doubt are told apart by day, cohort, model, template and run."""
    with ledger.caller("first") as first:
        one = of_run(ledger, first)
        other = ledger.requests(first, "d", RunRef("evaluation_backfill", "run-2"), Budget())
        paid, unpriced = request(), replace(request("v_2", None), model_id="judge-b", template_id="coherence")
        reserved(one, paid, request())
        reserved(other, unpriced)
        settle(one, paid, CallEnd.REPLY, 0.2)
        settle(other, unpriced, CallEnd.REPLY, None)
        bills = {by: ledger.bill(by) for by in BillBy}
        total = Spending(calls=3, settled_usd=0.2, in_flight=1, in_flight_usd=0.5)
        assert {bill.total for bill in bills.values()} == {total}
        assert [row.key for row in bills[BillBy.COHORT].rows] == [("c",), ("d",)]
        assert [row.key for row in bills[BillBy.MODEL].rows] == [("judge-a",), ("judge-b",)]
        assert [row.key for row in bills[BillBy.TEMPLATE].rows] == [("coherence",), ("novelty",)]
        assert [row.key[-1] for row in bills[BillBy.RUN].rows] == ["run-1", "run-2"]
        [day] = bills[BillBy.DAY].rows
        assert day.unpriced == 1
        assert bills[BillBy.DAY].unpriced_models == ("judge-b",)
        assert ledger.bill(BillBy.DAY, since=day.key[0]).total == total
        assert ledger.bill(BillBy.DAY, since="2999-01-01").rows == ()
    assert ledger.bill(BillBy.DAY).total == Spending(calls=3, settled_usd=0.2, unknown=1, unknown_usd=0.5)


@pytest.mark.parametrize(
    "budget",
    [pytest.param(Budget(max_usd_per_day=1.2), id="day"), pytest.param(Budget(max_usd_per_month=1.2), id="month")],
)
def test_a_cap_counts_the_requests_of_all_runs(ledger: Ledger, budget: Budget) -> None:
    """What another run and another cohort have spent today counts; what was spent last year does not."""
    with ledger.caller("first") as first:
        old = ledger.requests(first, "d", RunRef("d", "old"), Budget())
        reserved(old, request(), request(), request())
        ledger._database.run(
            lambda connection: connection.execute(update(schema.requests).values(sent_at="2025-12-31T10:00:00Z"))
        )
        requests = of_run(ledger, first, budget)
        assert reserved(requests, request()) == [Room.YES]
        reserved(ledger.requests(first, "d", RunRef("d", "today"), Budget()), request())
        assert reserved(requests, request()) == [Room.LATER]


def test_a_caller_that_was_removed_comes_back(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """A process whose row was removed although it lives registers again with its next beat, and says so."""
    with Caller(ledger._database, "first", beat_s=0.05) as first:
        ledger.claim(first, ["v_1"])
        ledger._database.run(lambda connection: connection.execute(schema.callers.delete()))
        until = time.monotonic() + 10
        while ledger.holders() != {"v_1": "first"}:
            assert time.monotonic() < until
            time.sleep(0.05)
    assert "Others took this process for dead" in caplog.text


def test_a_repeated_transaction_with_limits_gets_the_same_answer(ledger: Ledger) -> None:
    """If the answer to a transaction is lost, its repetition does not count its own request against the limits."""
    limits = {"judge-a": ModelLimits(max_in_flight=1, requests_per_minute=60)}
    with ledger.caller("first") as first:
        requests, sent = ledger.requests(first, "c", RUN, UNLIMITED, limits), request()
        for _ in range(2):
            [answer] = requests.exchange([], [Wanted(request=sent)])
            assert (answer.room, answer.turn.wait_s) == (Room.YES, 0.0)
        assert ledger.spending("c").calls == 1


def test_a_retry_needs_the_claim(ledger: Ledger) -> None:
    """A task whose claim was taken over gets no further request for this evaluation."""
    with ledger.caller("first") as first, ledger.caller("second") as second:
        ledger.claim(second, ["v_1"])
        [answer] = of_run(ledger, first).exchange([], [Wanted(gen_id="v_1", request=request())])
        assert not answer.is_claimed
        assert ledger.spending("c").calls == 0


def test_a_password_in_the_query_is_not_shown() -> None:
    """Messages name the database without anything that may be secret."""
    address = make_url("postgresql+psycopg://host/db?user=u&password=secret")
    assert place_of(address) == "postgresql+psycopg://host/db"
