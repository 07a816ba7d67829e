"""The pace of starts at a model: what its limits and its server's 429s allow, over all workers."""

from __future__ import annotations

import time
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
from essay_cohorts.ledger.pace import ModelLimits, Pace, Turn, most_in_a_window
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
        pace, turn = pace.take(now, limits, tokens, 0)
        waits.append(turn.wait_s)
    assert waits == pytest.approx([0.0, distance_s, 2 * distance_s, 0.0])


def test_a_burst_of_refusals_counts_once_and_stops_the_starts_for_a_second() -> None:
    """Requests that began before the end of that second say nothing new, and nobody gets a turn before it."""
    pace = Pace().refused(10.0, 9.9)
    assert (pace.next_start, pace.shrunk_at) == (11.0, 11.0)
    assert pace.refused(10.5, 10.4) == pace
    assert pace.take(10.5, NO_LIMITS, 0, 8) == (pace, Turn(wait_s=0.5, is_given=False))


@pytest.mark.parametrize(
    ("answers", "rate", "ceiling"),
    [
        pytest.param(10, 9.5, 10.0, id="many"),
        pytest.param(2, 1.9, None, id="too few to trust"),
        pytest.param(0, 0.95, None, id="none yet"),
    ],
)
def test_the_answers_to_the_burst_set_the_rate(answers: int, rate: float, ceiling: float | None) -> None:
    """After the second the first start sets the rate a twentieth below the answers, and starts keep its distance."""
    pace, first = Pace().refused(10.0, 9.9).take(11.0, NO_LIMITS, 0, answers)
    assert pace.rate == pytest.approx(rate)
    assert pace.ceiling == ceiling
    _, second = pace.take(11.0, NO_LIMITS, 0, 0)
    assert [first.wait_s, second.wait_s] == pytest.approx([0.0, 1 / rate])


def test_what_a_server_accepted_shows_its_rate_before_it_answers() -> None:
    """A judge that thinks for long has not answered after the second, but it refused all beyond what it accepts."""
    pace, _ = Pace().refused(10.0, 9.9).take(11.0, NO_LIMITS, 0, 1, accepted=10)
    assert pace.rate == pytest.approx(9.5)


def test_a_server_that_soon_refuses_again_is_measured_by_its_answers() -> None:
    """It may allow ten requests under way: then its answers, and not what it accepted at first, show its rate."""
    pace, _ = Pace().refused(10.0, 9.9).take(11.0, NO_LIMITS, 0, 0, accepted=10)
    again = pace.refused(13.0, 12.9)
    assert (again.is_measured, again.shrunk_at) == (False, 14.0)
    pace, _ = again.take(14.0, NO_LIMITS, 0, 2, accepted=10)
    assert pace.rate == pytest.approx(1.9)
    assert pace.refused(16.0, 15.9).rate == pytest.approx(1.9 * 0.95)


def test_a_later_refusal_counts_once_for_all_turns_that_were_given_out() -> None:
    """The rate falls by a twentieth; refusals of turns that were given out at the former rate change nothing."""
    pace = Pace(rate=10.0, next_start=25.0, shrunk_at=5.0, grown_at=20.0, is_measured=True, ceiling=10.0)
    slower = pace.refused(20.0, 19.9)
    assert (slower.rate, slower.ceiling, slower.shrunk_at) == (9.5, 10.0, 25.0)
    assert slower.refused(24.0, 23.9) == slower
    assert slower.refused(26.0, 25.5).rate == pytest.approx(9.5 * 0.95)


@pytest.mark.parametrize(
    ("rate", "ceiling", "seconds", "reached"),
    [
        pytest.param(0.95, None, 70, 10.0, id="an unlucky start is made good"),
        pytest.param(9.5, 10.0, 60, 9.8, id="it returns to near the ceiling"),
        pytest.param(9.5, 10.0, 200, 20.0, id="a server that others have left is noticed"),
    ],
)
def test_without_refusals_the_rate_grows(rate: float, ceiling: float | None, seconds: float, reached: float) -> None:
    """Quickly while nobody knows what the server accepts, slowly near what it refused, and later quicker again."""
    pace, now = Pace(rate=rate, is_measured=True, ceiling=ceiling), 0.0
    while now < seconds:
        pace, turn = pace.take(now, NO_LIMITS, 0, 0)
        now += max(turn.wait_s, 0.01)
    assert pace.rate is not None
    assert pace.rate >= reached


def test_near_the_ceiling_the_rate_goes_up_slowly() -> None:
    """Within a minute after a refusal the rate passes the ceiling by less than a twentieth."""
    pace, now = Pace(rate=9.5, is_measured=True, ceiling=10.0), 0.0
    while now < 55:
        pace, turn = pace.take(now, NO_LIMITS, 0, 0)
        now += max(turn.wait_s, 0.01)
    assert pace.rate is not None
    assert pace.rate < 10.5


@pytest.mark.parametrize(
    ("times", "most"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([0.0, 0.5, 0.99], 3, id="within one second"),
        pytest.param([0.0, 0.5, 1.0, 1.4, 1.5, 2.4], 3, id="the densest second"),
    ],
)
def test_the_densest_second_counts(times: list[float], most: int) -> None:
    """A second that begins after a time does not count it."""
    assert most_in_a_window(times) == most


@examples(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=40), st.floats(1.0, 600.0))
def test_no_two_starts_are_nearer_than_the_distance(pauses: list[float], per_minute: float) -> None:
    """However the requests come, starts of a model keep its distance, and no start comes before its request."""
    limits, pace, now, starts = ModelLimits(requests_per_minute=per_minute), Pace(), 0.0, []
    for pause in pauses:
        now += pause
        pace, turn = pace.take(now, limits, 0, 0)
        while not turn.is_given:
            now += turn.wait_s
            pace, turn = pace.take(now, limits, 0, 0)
        assert turn.wait_s >= 0
        starts.append(now + turn.wait_s)
    assert all(later - earlier >= 60 / per_minute - 1e-6 for earlier, later in pairwise(starts))


def test_turns_are_given_out_ten_seconds_ahead_at_most() -> None:
    """Later requests ask again, so that workers that die leave no long queue behind."""
    pace, limits = Pace(next_start=25.0), ModelLimits(requests_per_minute=60)
    assert pace.take(10.0, limits, 0, 0) == (pace, Turn(wait_s=5.0, is_given=False))
    assert pace.take(15.0, limits, 0, 0)[1] == Turn(wait_s=10.0)


def test_a_rate_that_holds_nothing_back_does_not_grow() -> None:
    """Half an hour of few requests teaches nothing about what the server accepts."""
    pace = Pace(rate=20.0, is_measured=True, ceiling=20.0)
    for half_second in range(3600):
        pace, _ = pace.take(half_second / 2, NO_LIMITS, 0, 0)
    assert pace.rate == 20.0


@pytest.mark.parametrize(("next_start", "is_other"), [(65.0, False), (3_600.0, True)])
def test_times_of_an_earlier_start_of_the_machine_are_recognised(next_start: float, *, is_other: bool) -> None:
    """No turn can be an hour ahead: on SQLite the clock begins anew when the machine does."""
    pace = Pace(next_start=next_start, rate=10.0)
    assert pace.is_of_another_clock(60.0, ModelLimits(requests_per_minute=60), 0) is is_other


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
        assert [later.turn.wait_s, last.turn.wait_s] == pytest.approx([1.0, 2.0], abs=0.3)
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
        assert mine.exchange([], [Wanted(request=sent)])[0].turn.wait_s == 0
        refused = Settlement(name=sent.name, end=CallEnd.NOT_CHARGED, cost_usd=0.0, is_refused=True)
        mine.exchange([Told(settlement=refused)])
        [answer] = others.exchange([], [Wanted(request=request())])
        assert answer.room is Room.LATER
        assert answer.turn.wait_s == pytest.approx(1.0, abs=0.3)
        [other] = others.exchange([], [Wanted(request=replace(request(), model_id="judge-b"))])
        assert (other.room, other.turn.wait_s) == (Room.YES, 0.0)


def test_requests_that_the_server_accepted_set_the_rate(ledger: Ledger) -> None:
    """Of eight requests six are under way when two are refused: the next start comes a sixth of a second later."""
    with ledger.caller("first") as caller:
        calls = ledger.requests(caller, "c", RUN, Budget())
        sent = [request() for _ in range(8)]
        calls.exchange([], [Wanted(request=each) for each in sent])
        ended = [
            Settlement(name=each.name, end=CallEnd.NOT_CHARGED, cost_usd=0.0, is_refused=True) for each in sent[:2]
        ]
        calls.exchange([Told(settlement=each) for each in ended])
        [held] = calls.exchange([], [Wanted(request=request())])
        time.sleep(held.turn.wait_s)
        first, second = calls.exchange([], [Wanted(request=request()), Wanted(request=request())])
        assert first.turn.wait_s == 0
        assert second.turn.wait_s == pytest.approx(1 / (6 * 0.95))
