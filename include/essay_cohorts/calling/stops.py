"""The reasons for one slice to make no further calls: stops that any slice of the run found, and the task's own end.

A stop is a cause that makes further calls useless, for example an invalid API key. The slice that finds the cause
writes the stop to a file in the run's folder, so that the other slices of the run stop too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from essay_cohorts.calls import Failure, JudgeModel, Stop
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

    `models` has the judges of the catalog by id; from them the judges that share a connection are found. `is_ending`
    is true once this task must end; then no further call is made, even without a stop.
    """

    def __init__(
        self, folder: CohortFolder, planned: PlannedRun, task: TaskRef, models: Mapping[str, JudgeModel]
    ) -> None:
        self._folder, self._task = folder, task
        judges = models if planned.models is None else models.keys() & set(planned.models)
        self._connections = {name: models[name].connection for name in sorted(judges)}
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
        """Write a stop for each judge that the failure concerns, unless a stop for this model exists."""
        if not failure.stops or self._written_stop(model_id) is not None:
            return
        concerned = self._at_the_same_connection(model_id) if failure.stops == "connection" else (model_id,)
        for name in concerned:
            stop = Stop(
                model_id=name,
                kind=failure.kind,
                message=failure.message,
                status=failure.status,
                try_number=self._task.try_number,
            )
            self._folder.add_stop(self._run_key, stop)
        names = ", ".join(name or "any model" for name in concerned)
        log.error("No further calls to %s: %s", names, failure.message)

    def _at_the_same_connection(self, model_id: str) -> tuple[str | None, ...]:
        """Return the judges whose calls use this model's connection; only None if all judges of the run do."""
        connection = self._connections.get(model_id)
        same = tuple(name for name, other in self._connections.items() if other == connection)
        return same if 0 < len(same) < len(self._connections) else (None,)
