"""The pace of starts at a model: what its limits and its server's 429s allow, over all workers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from essay_cohorts.calls import CallEnd, Room
from essay_cohorts.domain import RunRef
from essay_cohorts.ledger.budget import Budget
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.ledger.pace import ModelLimits, Pace
from essay_cohorts.ledger.records import Settlement, Told, Wanted
from tests.ledger.test_requests import RUN, request

NO_LIMITS = ModelLimits()


@pytest.mark.parametrize(
    ("limits", "tokens", "distance_s"),
    [
        pytest.param(ModelLimits(requests_per_minute=60), 0, 1.0, id="requests"),
        pytest.param(ModelLimits(tokens_per_minute=6_000), 500, 5.0, id="tokens"),
        pytest.param(ModelLimits(requests_per_minute=60, tokens_per_minute=6_000), 50, 1.0, id="the slower one"),
        pytest.param(NO_LIMITS, 500, 0.0, id="none"),
    ],
)
def test_starts_keep_the_distance_of_the_limits(limits: ModelLimits, tokens: int, distance_s: float) -> None:
    """Each start waits for the distance that the one before it needs; a pause is not made good by a burst."""
    pace, waits = Pace(), []
    for now in (100.0, 100.0, 100.0, 200.0):
        pace, wait_s = pace.take(now, limits, tokens, 0)
        waits.append(wait_s)
    assert waits == pytest.approx([0.0, distance_s, 2 * distance_s, 0.0])


def test_a_burst_of_refusals_counts_once_and_stops_the_starts_for_a_second() -> None:
    """Requests that began before the first 429 say nothing new; the rate is set below what was answered."""
    pace = Pace().refused(10.0, 9.9, 10)
    assert (pace.rate, pace.next_start, pace.shrunk_at) == (9.5, 11.0, 10.0)
    assert pace.refused(10.1, 9.95, 10) == pace
    assert pace.refused(10.1, 10.0, 10).next_start == 11.1


def test_a_server_that_answered_nothing_yet_stops_the_starts_only() -> None:
    """Without answers there is no rate to derive: starts stop for a second, and then go on."""
    pace = Pace().refused(10.0, 9.9, 0)
    assert (pace.rate, pace.next_start) == (None, 11.0)
    assert pace.take(10.5, NO_LIMITS, 0, 0)[1] == pytest.approx(0.5)


def test_answers_that_still_come_in_raise_the_rate_for_a_second() -> None:
    """After that, only time raises it, and another 429 lowers it by a twentieth."""
    pace = Pace().refused(10.0, 9.9, 2)
    assert pace.rate == pytest.approx(1.9)
    for now, answers, rate in ((10.5, 8, 7.6), (11.5, 10, 9.5), (11.6, 20, 9.5)):
        pace, _ = pace.take(now, NO_LIMITS, 0, answers)
        assert pace.rate == pytest.approx(rate, rel=0.001), now
    assert pace.refused(12.0, 11.9, 50).rate == pytest.approx(9.5 * 0.95, rel=0.001)


def test_an_unlucky_start_is_made_good() -> None:
    """A rate that was measured much too low reaches ten starts a second within 40 s."""
    pace, now = Pace(rate=0.5, shrunk_at=0.0, grown_at=0.0, is_measured=True), 0.0
    while (pace.rate or 0.0) < 10:
        pace, wait_s = pace.take(now, NO_LIMITS, 0, 0)
        now += max(wait_s, 0.01)
    assert now < 40


@examples(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=40), st.floats(1.0, 600.0))
def test_no_two_starts_are_nearer_than_the_distance(pauses: list[float], per_minute: float) -> None:
    """However the requests come, starts of a model keep its distance, and no start comes before its request."""
    limits, pace, now, starts = ModelLimits(requests_per_minute=per_minute), Pace(), 0.0, []
    for pause in pauses:
        now += pause
        pace, wait_s = pace.take(now, limits, 0, 0)
        assert wait_s >= 0
        starts.append(now + wait_s)
    assert all(later - earlier >= 60 / per_minute - 1e-6 for earlier, later in pairwise(starts))


# ---------------------------------------------------------------- in the ledger


def test_callers_share_a_models_turns(ledger: Ledger) -> None:
    """Requests of two callers get turns a second apart; a request that has waited for its turn is recorded."""
    limits = {"judge-a": ModelLimits(requests_per_minute=60)}
    with ledger.caller("first") as first, ledger.caller("second") as second:
        mine, others = (ledger.requests(each, "c", RUN, Budget(), limits) for each in (first, second))
        [now] = mine.exchange([], [Wanted(request=request())])
        waiting = request()
        [later] = others.exchange([], [Wanted(request=waiting)])
        [last] = mine.exchange([], [Wanted(request=request())])
        assert (now.room, later.room, last.room) == (Room.YES, Room.LATER, Room.LATER)
        assert [later.wait_s, last.wait_s] == pytest.approx([1.0, 2.0], abs=0.3)
        assert others.exchange([], [Wanted(request=replace(waiting, has_turn=True))])[0].room is Room.YES
        [other] = mine.exchange([], [Wanted(request=replace(request(), model_id="judge-b"))])
        assert other.room is Room.YES
        assert ledger.spending("c").calls == 3


def test_callers_share_the_places_of_a_model(ledger: Ledger) -> None:
    """At most `max_in_flight` requests to a model are under way, over all living callers and runs."""
    limits = {"judge-a": ModelLimits(max_in_flight=2)}

    def rooms(caller: object, count: int, run: RunRef = RUN) -> list[Room | None]:
        requests = ledger.requests(caller, "c", run, Budget(), limits)  # type: ignore[arg-type]
        return [each.room for each in requests.exchange([], [Wanted(request=request()) for _ in range(count)])]

    with ledger.caller("first") as first:
        with ledger.caller("second") as second:
            assert rooms(first, 1) == [Room.YES]
            assert rooms(second, 2, RunRef("d", "other")) == [Room.YES, Room.LATER]
            assert rooms(first, 1) == [Room.LATER]
        assert rooms(first, 2) == [Room.YES, Room.LATER]


def test_what_one_caller_learns_from_a_429_holds_for_all(ledger: Ledger) -> None:
    """After a 429 the next request of any caller waits for about a second, and only at this model."""
    with ledger.caller("first") as first, ledger.caller("second") as second:
        mine, others = (ledger.requests(each, "c", RUN, Budget()) for each in (first, second))
        sent = request()
        assert mine.exchange([], [Wanted(request=sent)])[0].wait_s == 0
        refused = Settlement(name=sent.name, end=CallEnd.NOT_CHARGED, cost_usd=0.0, is_refused=True)
        mine.exchange([Told(settlement=refused)])
        [answer] = others.exchange([], [Wanted(request=request())])
        assert answer.room is Room.LATER
        assert answer.wait_s == pytest.approx(1.0, abs=0.3)
        [other] = others.exchange([], [Wanted(request=replace(request(), model_id="judge-b"))])
        assert (other.room, other.wait_s) == (Room.YES, 0.0)
