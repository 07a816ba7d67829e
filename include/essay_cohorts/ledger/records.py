"""What callers and the ledger tell each other about evaluations and requests, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from essay_cohorts.calls import CallEnd, Room, Spending
from essay_cohorts.domain import RunRef
from essay_cohorts.ledger.budget import Spent
from essay_cohorts.ledger.pace import AT_ONCE, Turn

_NOTHING = Spent()


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request that is about to be sent, under a name of its own; `worst_usd` is None when no price is known.

    `tokens` is about how many tokens it will use. `has_turn`: it has waited for the turn that an answer gave it.
    """

    name: str
    gen_id: str
    template_id: str
    model_id: str
    worst_usd: float | None
    tokens: int = 0
    has_turn: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Settlement:
    """How a request ended and what it cost in USD, None if that is not known; `is_refused`: by a 429."""

    name: str
    end: CallEnd
    cost_usd: float | None
    is_refused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a worker has to tell: a request that ended, one that was never sent, and an evaluation it is done with."""

    settlement: Settlement | None = None
    unsent: str = ""
    released: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a worker wants: the claim on an evaluation, unless `gen_id` is "", and with it a request, if any."""

    gen_id: str = ""
    request: Request | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a worker gets: the claim or not; whether its request may be sent, and the spending that decided."""

    is_claimed: bool = True
    room: Room | None = None
    spent: Spent = _NOTHING
    turn: Turn = AT_ONCE


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedRequest:
    """A request as the ledger has it."""

    name: str
    cohort_id: str
    run: RunRef
    gen_id: str
    template_id: str
    model_id: str
    sent_at: str
    worst_usd: float | None = None
    end: CallEnd | None = None
    cost_usd: float | None = None


class BillBy(StrEnum):
    """What a bill is broken down by."""

    DAY = "day"
    COHORT = "cohort"
    MODEL = "model"
    TEMPLATE = "template"
    RUN = "run"


@dataclass(frozen=True, kw_only=True, slots=True)
class BillRow:
    """A line of a bill: its key, what was spent, and the number of requests whose cost nobody knows."""

    key: tuple[str, ...]
    spending: Spending
    unpriced: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """What a data root has spent since a day, line by line; `unpriced_models` have requests of unknown cost."""

    by: BillBy
    since: str
    rows: tuple[BillRow, ...]
    unpriced_models: tuple[str, ...]

    @property
    def total(self) -> Spending:
        """The sum of all lines."""
        return sum((row.spending for row in self.rows), Spending())

    @property
    def unpriced(self) -> int:
        """The number of requests whose cost nobody knows."""
        return sum(row.unpriced for row in self.rows)
