"""Tests with a real scheduler that a run still succeeds if a task's process dies at a named point."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import DAG_ID, Stage
from tests.ledger_reading import ledger_of

MISSING, AT_ONCE = 24, 4


@pytest.mark.parametrize(
    ("point", "task_id", "first"),
    [
        pytest.param("after_manifest", "plan_cohort", 9500, id="planning, files written but no XCom pushed"),
        pytest.param("after_send", "evaluation.evaluation_raw", 9600, id="a request under way"),
        pytest.param("between_raw_renames 3", "evaluation.evaluation_raw", 9700, id="a reply half in place"),
    ],
)
def test_a_task_that_dies_is_tried_again_and_the_run_is_green(
    stage: Stage, point: str, task_id: str, first: int
) -> None:
    """After SIGKILL Airflow's next try continues the work and repeats only calls that were in flight."""
    essays = [stage.store.essay(number) for number in range(first, first + MISSING // 4)]
    stage.judge.faults({"fault": "latency", "seconds": 1.0})
    stage.crash_order.write_text(point, encoding="ascii")
    cohort = f"crash{first}"
    run_id = stage.airflow.api.trigger(
        DAG_ID, {"cohort_id": cohort, "essay_ids": essays, "replicates": 1, "max_concurrency": AT_ONCE}
    )
    run = stage.wait(run_id)
    reached = stage.crash_order.with_name("crash.reached")
    assert not stage.crash_order.exists(), f"{point} was never reached"
    assert reached.exists(), f"{point} was never reached"
    reached.unlink()

    assert run.state == "success"
    tries = {task.map_index: task.try_number for task in run.tasks() if task.task_id == task_id}
    [died] = [map_index for map_index, number in tries.items() if number == 2]
    assert "signal" in run.log(task_id, died, 1).lower()

    lost = ledger_of(stage.store.root).unsettled(cohort)
    assert len(lost) <= AT_ONCE
    assert MISSING <= stage.judge.calls() <= MISSING + len(lost)
    members = [row for row in stage.store.rows(f"cohorts/{cohort}/membership.csv") if row["stage"] == "evaluation"]
    folders = [stage.store.root / "gens" / "evaluation" / row["gen_id"] for row in members]
    assert len(folders) == MISSING
    assert all((folder / "parsed.txt").exists() and (folder / "raw.txt").exists() for folder in folders)
    assert run.xcom("summarise_cohort")["scored"] == MISSING
