"""Says how far the calls of a run are, as its calling task would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.progress.counts import CallCounts
from essay_cohorts.progress.records import SliceProgress, write_progress
from essay_cohorts.store.cohort_folder import CohortFolder
from tests.conftest import PlayedDag


def report(dag: PlayedDag, planned: PlannedRun, *, is_over: bool = False, **judges: Mapping[str, Any]) -> None:
    """Write how far the calls of a slice with eight calls to each judge are."""
    folder = CohortFolder(root=dag.root, cohort_id="main").progress_folder(planned.run_key)
    by_judge = {judge.replace("_", "-"): CallCounts(calls=8, **counts) for judge, counts in judges.items()}
    write_progress(
        dag.root, folder, SliceProgress(slice_name="todo-0-16", try_number=1, is_over=is_over, by_judge=by_judge)
    )
