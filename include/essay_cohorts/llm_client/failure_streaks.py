"""When failures in a row show that further calls to a model are useless."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from essay_cohorts.calls import Failure

_SAME_REFUSALS = 3
_TIMEOUTS = 5


class FailureStreaks:
    """Counts each model's failures since its last success, and says when they stop the model.

    Three refusals with one cause stop a model that never succeeded. Timeouts may be billed each: five of them stop a
    model that never succeeded, another one after five more than two rounds of all the calls that are made at once.
    """

    def __init__(self, calls_at_once: int) -> None:
        self._patience = _TIMEOUTS + 2 * calls_at_once
        self._succeeded: set[str] = set()
        self._refusals: dict[str, tuple[object, int]] = {}
        self._timeouts: Counter[str] = Counter()

    def record_success(self, model_id: str) -> None:
        """A reply came."""
        self._succeeded.add(model_id)
        self._timeouts.pop(model_id, None)

    def record_refusal(self, model_id: str, failure: Failure, cause: object) -> Failure:
        """Return the failure, as one that stops the model when it is the third in a row with this cause."""
        if failure.stops or model_id in self._succeeded:
            return failure
        former, count = self._refusals.get(model_id, (None, 0))
        count = count + 1 if former == cause else 1
        self._refusals[model_id] = (cause, count)
        return replace(failure, stops="model") if count >= _SAME_REFUSALS else failure

    def record_timeout(self, model_id: str, failure: Failure) -> Failure:
        """Return the failure, as one that stops the model when too many came in a row."""
        self._timeouts[model_id] += 1
        most = self._patience if model_id in self._succeeded else _TIMEOUTS
        return replace(failure, stops="model") if self._timeouts[model_id] >= most else failure
