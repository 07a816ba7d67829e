"""Finds out when failures in a row show that further calls to a model are useless."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from essay_cohorts.calls import Failure

_SAME_REFUSALS = 3
_TIMEOUTS = 5


class FailureStreaks:
    """Counts each model's failures since its last success, and decides when they stop the model.

    Three refusals with the same cause stop a model that never succeeded. Five timeouts stop a model that never
    succeeded, because each timeout may be billed. A model that has succeeded before is stopped by
    5 + 2 * `calls_at_once` timeouts in a row.
    """

    def __init__(self, calls_at_once: int) -> None:
        self._timeouts_after_success = _TIMEOUTS + 2 * calls_at_once
        self._succeeded: set[str] = set()
        self._refusals: dict[str, tuple[object, int]] = {}
        self._timeouts: Counter[str] = Counter()

    def record_success(self, model_id: str) -> None:
        """Record a reply, which ends a streak of timeouts."""
        self._succeeded.add(model_id)
        self._timeouts.pop(model_id, None)

    def record_refusal(self, model_id: str, failure: Failure, cause: object) -> Failure:
        """Count a refusal; return the failure, which stops the model if it is the third in a row with this cause."""
        if failure.stops or model_id in self._succeeded:
            return failure
        former, count = self._refusals.get(model_id, (None, 0))
        count = count + 1 if former == cause else 1
        self._refusals[model_id] = (cause, count)
        return replace(failure, stops="model") if count >= _SAME_REFUSALS else failure

    def record_timeout(self, model_id: str, failure: Failure) -> Failure:
        """Count a timeout; return the failure, which stops the model if there were too many in a row."""
        self._timeouts[model_id] += 1
        limit = self._timeouts_after_success if model_id in self._succeeded else _TIMEOUTS
        return replace(failure, stops="model") if self._timeouts[model_id] >= limit else failure
