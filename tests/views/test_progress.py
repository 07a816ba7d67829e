"""The progress of a run that is under way, as the cohort page shows it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from essay_cohorts.domain import RunRef
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.progress.counts import CallCounts
from essay_cohorts.progress.records import SliceProgress, write_progress
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.views.progress import Phase, RunProgress, progress_of
from tests.conftest import DAG_ID, PlayedDag
from tests.store_builder import StoreBuilder

CONF: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "replicates": 2}
SECOND = 1_000_000_000


@pytest.fixture
def planned(store: StoreBuilder, dag: PlayedDag) -> PlannedRun:
    """Plan four calls at judge-a and four at judge-b."""
    return dag.plan({**CONF, "essay_ids": [store.essay(1), store.essay(2)]})


@pytest.fixture
def seen(dag: PlayedDag, planned: PlannedRun) -> Callable[..., RunProgress | None]:
    """Return a function that reads the progress `after` so many seconds after the last change of the run's files."""

    def read(after: float = 0.0, watched: str = "") -> RunProgress | None:
        folder = CohortFolder(root=dag.root, cohort_id="c").path / "runs" / planned.run_key
        changed_at = max(path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file())
        return progress_of(dag.settings, "c", watched, lambda: changed_at + int(after * SECOND))

    return read


def report(
    root: Path,
    planned: PlannedRun,
    name: str = "todo-0-8",
    try_number: int = 1,
    *,
    is_over: bool = False,
    **judges: Any,
) -> Path:
    """Write the progress of one try, and return its path."""
    folder = CohortFolder(root=root, cohort_id="c").progress_folder(planned.run_key)
    by_judge = {judge.replace("_", "-"): CallCounts(**counts) for judge, counts in judges.items()}
    write_progress(
        root, folder, SliceProgress(slice_name=name, try_number=try_number, is_over=is_over, by_judge=by_judge)
    )
    return folder / f"{name}.{try_number}.json"


def test_a_planned_run_waits_for_its_first_call(seen: Callable[..., RunProgress | None]) -> None:
    """From its planning on, a run shows the calls to each judge, so that no row of the page has to be added later."""
    found = seen()
    assert found is not None
    assert (found.run, found.phase) == (RunRef(DAG_ID, "run-1"), Phase.PLANNED)
    assert found.by_judge == {"judge-a": CallCounts(calls=4), "judge-b": CallCounts(calls=4)}
    assert found.seconds_left is None


def test_slices_are_added_up(
    store: StoreBuilder, planned: PlannedRun, seen: Callable[..., RunProgress | None]
) -> None:
    """The counts of a run are the sums over its slices, and the slices that have not begun are left to do."""
    first = {"calls": 2, "done": 1, "requests": 3, "refused": 1, "retried": 1, "spent_usd": 0.5, "per_second": 2.0}
    report(store.root, planned, "todo-0-2", judge_a=first)
    report(store.root, planned, "todo-2-4", judge_a={**first, "done": 2}, judge_b={"calls": 1})
    found = seen()
    assert found is not None
    assert found.phase is Phase.CALLING
    assert found.by_judge == {
        "judge-a": CallCounts(calls=4, done=3, requests=6, refused=2, retried=2, spent_usd=1.0, per_second=4.0),
        "judge-b": CallCounts(calls=4),
    }
    assert (found.total.calls, found.total.left, found.seconds_left) == (8, 5, 1.25)


def test_the_tries_of_a_slice_are_one(
    store: StoreBuilder, planned: PlannedRun, seen: Callable[..., RunProgress | None]
) -> None:
    """The latest try says what is done; requests and costs are those of all tries."""
    report(
        store.root,
        planned,
        judge_a={"calls": 4, "done": 3, "failed": 2, "requests": 5, "spent_usd": 1.0, "per_second": 9.0},
    )
    report(
        store.root,
        planned,
        try_number=10,
        judge_a={"calls": 4, "done": 2, "requests": 1, "unpriced": 1, "per_second": 0.5},
    )
    report(store.root, planned, try_number=2, judge_a={"calls": 4, "done": 4, "refused": 3, "retried": 1})
    found = seen()
    assert found is not None
    assert found.by_judge["judge-a"] == CallCounts(
        calls=4, done=2, requests=6, refused=3, retried=1, spent_usd=1.0, unpriced=1, per_second=0.5
    )


@pytest.mark.parametrize(
    ("is_over", "done", "after", "phase", "rate"),
    [
        pytest.param(False, 3, 14.0, Phase.CALLING, 2.0, id="calling"),
        pytest.param(False, 3, 16.0, Phase.WAITING, 0.0, id="silent for long"),
        pytest.param(True, 3, 1.0, Phase.WAITING, 0.0, id="ended early"),
        pytest.param(True, 4, 1.0, Phase.SCORING, 0.0, id="all done"),
        pytest.param(False, 4, 1.0, Phase.CALLING, 2.0, id="all done, and not ended"),
    ],
)
def test_the_phase(
    is_over: bool,
    done: int,
    after: float,
    phase: Phase,
    rate: float,
    store: StoreBuilder,
    planned: PlannedRun,
    seen: Callable[..., RunProgress | None],
) -> None:
    """A task that has ended, or that is silent for 15 s, is not calling and has no rate."""
    report(
        store.root,
        planned,
        is_over=is_over,
        judge_a={"calls": 4, "done": done, "per_second": 2.0},
        judge_b={"calls": 4, "done": 4},
    )
    found = seen(after)
    assert found is not None
    assert (found.phase, found.total.per_second, found.quiet_s) == (phase, rate, after)


@pytest.mark.parametrize(
    ("after", "is_shown"), [pytest.param(329.0, True, id="quiet"), pytest.param(331.0, False, id="dead")]
)
def test_a_run_of_which_nothing_is_heard_is_over(
    after: float, is_shown: bool, seen: Callable[..., RunProgress | None]
) -> None:
    """After the time that Airflow needs to notice a dead task, a silent run is no longer shown as under way."""
    assert (seen(after) is not None) == is_shown


def test_a_summarised_run_is_over_until_it_is_cleared(
    store: StoreBuilder, dag: PlayedDag, planned: PlannedRun, seen: Callable[..., RunProgress | None]
) -> None:
    """scores.csv ends a run; a task that calls after it, because the run was cleared, begins it again."""
    dag.run_planned(planned)
    assert seen() is seen(watched="run-0") is None
    ended = seen(watched="run-1")
    assert ended is not None
    assert (ended.phase, ended.total.done, ended.total.per_second) == (Phase.ENDED, 8, 0.0)
    report(store.root, planned, try_number=2, judge_a={"calls": 4, "done": 1})
    found = seen()
    assert found is not None
    assert found.phase is Phase.CALLING


def test_a_run_without_calls_has_no_progress(store: StoreBuilder, dag: PlayedDag) -> None:
    """A run that only reuses scores shows no progress of calls, and neither does a cohort without a run."""
    essay = store.essay(1)
    store.evaluation("v_1", essay)
    dag.plan(
        {**CONF, "essay_ids": [essay], "models": ["judge-a"], "replicates": 1, "include_existing_evaluations": True}
    )
    assert progress_of(dag.settings, "c") is None
    assert progress_of(dag.settings, "nope") is None


def test_files_of_a_deleted_run_do_not_count(
    store: StoreBuilder, planned: PlannedRun, seen: Callable[..., RunProgress | None]
) -> None:
    """A file that is older than the plan is of a run that was deleted and triggered again under the same name."""
    path = report(store.root, planned, judge_a={"calls": 4, "done": 4})
    before_planning = (path.parents[1] / "run.json").stat().st_mtime_ns - 1
    os.utime(path, ns=(before_planning, before_planning))
    found = seen()
    assert found is not None
    assert (found.phase, found.total.done) == (Phase.PLANNED, 0)


@pytest.mark.parametrize("calls", [pytest.param(None, id="none"), pytest.param("many", id="not counts")])
def test_a_run_without_calls_by_judge_shows_what_its_tasks_say(
    calls: object, store: StoreBuilder, planned: PlannedRun, seen: Callable[..., RunProgress | None]
) -> None:
    """A run that an earlier version planned has no calls by judge in its run.json."""
    path = f"cohorts/c/runs/{planned.run_key}/run.json"
    store.json(path, {**json.loads(store.read(path)), "calls_by_judge": calls})
    assert seen() is None
    report(store.root, planned, judge_a={"calls": 3, "done": 1})
    found = seen()
    assert found is not None
    assert found.by_judge == {"judge-a": CallCounts(calls=3, done=1)}
