"""The reasons for one slice to make no further calls: stops that any slice of the run found, and the task's own end.

A stop is a cause that makes further calls useless, for example an invalid API key. The slice that finds the cause
writes the stop to a file in the run's folder, so that the other slices of the run stop too.
"""

from __future__ import annotations

import logging

from essay_cohorts.calls import Failure, Stop
from essay_cohorts.domain import TaskRef
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.store.cohort_folder import CohortFolder

log = logging.getLogger(__name__)

_ENDING = Stop(
    model_id=None,
    kind="ended",
    message="the task was ended before this call was made: clear the run to continue",
)


class RunStops:
    """The stops that concern one try of a slice.

    `is_ending` is true once this task must end; then no further call is made, even without a stop.
    """

    def __init__(self, folder: CohortFolder, planned: PlannedRun, task: TaskRef) -> None:
        self._folder, self._task = folder, task
        self._run_key, self._former = planned.run_key, planned.former_stops
        self.is_ending = False

    def stop_for(self, model_id: str) -> Stop | None:
        """Return the stop that concerns the model, or None.

        Stops that an earlier try wrote are ignored, because a later try means that a person has fixed the cause.
        """
        return _ENDING if self.is_ending else self._written_stop(model_id)

    def _written_stop(self, model_id: str) -> Stop | None:
        stops = self._folder.stops(self._run_key, ignored=self._former)
        current = (stop for stop in stops if stop.try_number >= self._task.try_number)
        return next((stop for stop in current if stop.concerns(model_id)), None)

    def add_for(self, failure: Failure, model_id: str) -> None:
        """Write a stop, if the failure makes further calls useless and no stop for this model exists yet."""
        if not failure.stops or self._written_stop(model_id) is not None:
            return
        concerned = None if failure.stops == "run" else model_id
        stop = Stop(
            model_id=concerned,
            kind=failure.kind,
            message=failure.message,
            status=failure.status,
            try_number=self._task.try_number,
        )
        self._folder.add_stop(self._run_key, stop)
        log.error("No further calls to %s: %s", concerned or "any model", failure.message)
