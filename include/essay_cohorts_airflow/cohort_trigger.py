"""Trigger a cohort's run of `evaluation_backfill` and wait for its end, without ever interrupting a run at work."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.sdk.exceptions import AirflowException

if TYPE_CHECKING:
    from airflow.sdk import Context

BACKFILL = "evaluation_backfill"
RUN_ID_XCOM = "trigger_run_id"


class TriggerCohortOperator(TriggerDagRunOperator):
    """Triggers a run, waits for it without holding a worker, and leaves the run's id as the XCom RUN_ID_XCOM.

    `trigger_run_id` is the id of the first run. Once that run has ended, green or red, a further try of this task
    triggers a run with `__2` behind the id, then `__3` and so on, because Airflow never changes the conf of a run
    that exists. A run that is still at work is waited for instead.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            trigger_dag_id=BACKFILL,
            fail_when_dag_is_paused=True,
            wait_for_completion=True,
            deferrable=True,
            poke_interval=5,
            # Airflow counts the time that the task is deferred, too.
            execution_timeout=timedelta(days=7),
            **options,
        )

    def execute(self, context: Context) -> None:
        """Trigger a run unless one is at work, and wait for its end."""
        instance: Any = context["ti"]
        first = str(self.trigger_run_id)
        run_ids = (first if number == 1 else f"{first}__{number}" for number in count(1))
        ended = ["success", "failed"]
        run_id = next(
            each for each in run_ids if not instance.get_dr_count(dag_id=BACKFILL, run_ids=[each], states=ended)
        )
        self.trigger_run_id = run_id
        if not instance.get_dr_count(dag_id=BACKFILL, run_ids=[run_id]):
            super().execute(context)
        self.log.info("Waiting for run %s, which is at work already", run_id)
        instance.xcom_push(key=RUN_ID_XCOM, value=run_id)
        trigger = DagStateTrigger(
            dag_id=BACKFILL,
            states=[*self.allowed_states, *self.failed_states],
            run_ids=[run_id],
            poll_interval=self.poke_interval,
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: tuple[str, dict[str, Any]]) -> None:
        """Fail without another try when the run was red, because a retry would trigger one more run."""
        try:
            super().execute_complete(context, event)
        except AirflowException:
            run_ids = ", ".join(event[1]["run_ids"])
            self.log.error("%s is red: its summarise_cohort says why. Next: fix it, then clear this run.", run_ids)
            raise SystemExit(1) from None
