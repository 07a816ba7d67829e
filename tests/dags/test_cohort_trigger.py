"""Tests of the run that a scheduled backfill triggers: only one run works at a time, always with the current conf."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from airflow.providers.standard.triggers.external_task import DagStateTrigger

FIRST = "by_schedule__scheduled_20260131T030000"


@dataclass
class TaskInstance:
    """A fake of Airflow's side: the states of runs by their ids, and the XComs that were pushed."""

    runs: dict[str, str]
    xcoms: dict[str, Any] = field(default_factory=dict)

    def get_dr_count(self, *, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> int:
        assert dag_id == "evaluation_backfill"
        found = (self.runs[run_id] for run_id in run_ids if run_id in self.runs)
        return sum(states is None or state in states for state in found)

    def get_dag(self, dag_id: str) -> Any:
        return type("Dag", (), {"is_paused": False})

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


@pytest.mark.parametrize(
    ("runs", "action", "run_id"),
    [
        pytest.param({}, "trigger", FIRST, id="none-yet"),
        pytest.param({FIRST: "running"}, "wait", FIRST, id="at-work"),
        pytest.param({FIRST: "queued"}, "wait", FIRST, id="queued"),
        pytest.param({FIRST: "failed"}, "trigger", f"{FIRST}__2", id="was-red"),
        pytest.param({FIRST: "success"}, "trigger", f"{FIRST}__2", id="was-green"),
        pytest.param({FIRST: "failed", f"{FIRST}__2": "running"}, "wait", f"{FIRST}__2", id="second-at-work"),
        pytest.param({FIRST: "failed", f"{FIRST}__2": "failed"}, "trigger", f"{FIRST}__3", id="third"),
    ],
)
def test_a_run_at_work_is_waited_for_and_an_ended_one_followed_by_a_new_one(
    runs: dict[str, str], action: str, run_id: str
) -> None:
    """A cleared task triggers a new run with today's conf, and interrupts none."""
    from airflow.sdk.exceptions import DagRunTriggerException, TaskDeferred

    from essay_cohorts_airflow.cohort_trigger import RUN_ID_XCOM, TriggerCohortOperator

    conf = {"cohort_id": "c", "essay_ids": ["e_1"]}
    operator = TriggerCohortOperator(task_id="trigger_backfill", trigger_run_id=FIRST, conf=conf)
    instance = TaskInstance(runs)
    context: Any = {"ti": instance}
    with pytest.raises(DagRunTriggerException if action == "trigger" else TaskDeferred) as caught:
        operator.execute(context)
    raised = caught.value
    if action == "trigger":
        assert isinstance(raised, DagRunTriggerException)
        assert (raised.dag_run_id, raised.conf, raised.reset_dag_run) == (run_id, conf, False)
        assert raised.deferrable
    else:
        assert isinstance(raised, TaskDeferred)
        assert isinstance(raised.trigger, DagStateTrigger)
        assert raised.trigger.run_ids == [run_id]
        assert instance.xcoms == {RUN_ID_XCOM: run_id}


def test_a_red_run_fails_the_task_without_another_try(caplog: pytest.LogCaptureFixture) -> None:
    """A red run ends the task, because a retry would trigger one more run; a green run lets the task succeed."""
    from essay_cohorts_airflow.cohort_trigger import TriggerCohortOperator

    operator = TriggerCohortOperator(task_id="trigger_backfill", trigger_run_id=FIRST, conf={})
    event = ("path", {"run_ids": [FIRST], FIRST: "failed"})
    with pytest.raises(SystemExit):
        operator.execute_complete({}, event)
    operator.execute_complete({}, ("path", {"run_ids": [FIRST], FIRST: "success"}))
