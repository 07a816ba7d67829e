"""The paces of the models that one transaction is about, read from the ledger and written back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from essay_cohorts.calls import CallEnd
from essay_cohorts.files.clock import minutes_ago
from essay_cohorts.ledger import schema
from essay_cohorts.ledger.pace import AT_ONCE, WINDOW_S, ModelLimits, Pace, Turn, most_in_a_window
from essay_cohorts.ledger.records import Request
from essay_cohorts.ledger.schema import callers, clock, paces, requests

_NO_LIMITS = ModelLimits()
# Answers to requests that were sent longer ago are not counted, so that the count reads few rows.
_COUNTED_MIN = 30


class ModelPaces:
    """Decides when the next request to a model may start, and when there are enough of them under way."""

    def __init__(self, connection: Connection, models: Iterable[str], limits: Mapping[str, ModelLimits]) -> None:
        self._connection, self._limits = connection, limits
        found = connection.execute(select(paces).where(paces.c.model_id.in_(set(models))))
        self._paces = {row.model_id: Pace(**{name: row._mapping[name] for name in _FIELDS}) for row in found}
        self._in_flight: dict[str, int] = {}
        self._changed: set[str] = set()
        self._clock: float | None = None

    def has_place(self, model_id: str) -> bool:
        """Return True if one more request to the model may be under way, and count it."""
        most = self._limits.get(model_id, _NO_LIMITS).max_in_flight
        if most is None:
            return True
        if model_id not in self._in_flight:
            living = requests.join(callers, (callers.c.name == requests.c.caller) & schema.was_seen())
            under_way = (requests.c.model_id == model_id) & requests.c.ending.is_(None)
            found = select(func.count()).select_from(living).where(under_way)
            self._in_flight[model_id] = int(self._connection.execute(found).scalar_one())
        self._in_flight[model_id] += 1
        return self._in_flight[model_id] <= most

    def turn(self, request: Request) -> Turn:
        """Return the model's next turn, which is taken if it is given."""
        limits = self._limits.get(request.model_id, _NO_LIMITS)
        pace = self._paces.get(request.model_id)
        if pace is None and not limits.spaces_starts:
            return AT_ONCE
        if pace is None or pace.is_of_another_clock(self._now(), limits, request.tokens):
            pace = Pace()
        is_known = pace.rate is None or pace.is_measured
        seen = (0, 0) if is_known else self._seen(request.model_id, pace.shrunk_at)
        self._paces[request.model_id], turn = pace.take(self._now(), limits, request.tokens, *seen)
        self._changed.add(request.model_id)
        return turn

    def refuse(self, model_id: str, began: float) -> None:
        """Slow the model down, because a request that began at this time was answered with 429."""
        self._paces[model_id] = self._paces.get(model_id, Pace()).refused(self._now(), began)
        self._changed.add(model_id)

    def write(self) -> None:
        """Write the paces that have changed."""
        for model_id in sorted(self._changed):
            new = asdict(self._paces[model_id])
            statement = schema.insert(self._connection, paces).values(model_id=model_id, **new)
            self._connection.execute(statement.on_conflict_do_update(index_elements=["model_id"], set_=new))

    def _seen(self, model_id: str, hold_ends: float) -> tuple[int, int]:
        """Return what shows the rate of a server that refused (see Pace.take): its answers, and what it accepted."""
        hold_began = hold_ends - WINDOW_S
        of_model = (requests.c.sent_at >= minutes_ago(_COUNTED_MIN)) & (requests.c.model_id == model_id)
        is_reply = requests.c.ending == CallEnd.REPLY
        ends = select(requests.c.ended).where(of_model, is_reply, requests.c.ended > hold_began - WINDOW_S)
        accepted = select(func.count()).where(
            of_model,
            requests.c.began.between(hold_began - WINDOW_S, hold_began),
            requests.c.ending.is_(None) | is_reply,
        )
        answers = most_in_a_window(sorted(self._connection.execute(ends).scalars()))
        return answers, int(self._connection.execute(accepted).scalar_one())

    def _now(self) -> float:
        if self._clock is None:
            self._clock = float(self._connection.execute(select(clock())).scalar_one())
        return self._clock


_FIELDS = [column.name for column in paces.columns if column.name != "model_id"]
