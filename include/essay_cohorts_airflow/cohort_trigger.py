"""Triggers a cohort's run of `evaluation_backfill` and waits for it; a run that is at work is never broken off."""

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
TRIGGERED = "trigger_run_id"


class TriggerCohortOperator(TriggerDagRunOperator):
    """Waits without a worker; leaves the triggered run's id as the XCom TRIGGERED.

    `trigger_run_id` names the first run; once that has ended, however it did, the next try's run has `__2` behind it
    and so on: with its own conf, for Airflow never changes that of a run. One that is at work is waited for.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            trigger_dag_id=BACKFILL,
            fail_when_dag_is_paused=True,
            wait_for_completion=True,
            deferrable=True,
            poke_interval=5,
            # It counts the time of waiting, too.
            execution_timeout=timedelta(days=7),
            **options,
        )

    def execute(self, context: Context) -> None:
        """Triggers a run unless one is at work, and waits for its end."""
        instance: Any = context["ti"]
        first = str(self.trigger_run_id)
        names = (first if number == 1 else f"{first}__{number}" for number in count(1))
        ended = ["success", "failed"]
        run_id = next(
            name for name in names if not instance.get_dr_count(dag_id=BACKFILL, run_ids=[name], states=ended)
        )
        self.trigger_run_id = run_id
        if not instance.get_dr_count(dag_id=BACKFILL, run_ids=[run_id]):
            super().execute(context)
        self.log.info("%s is at work: waiting for it", run_id)
        instance.xcom_push(key=TRIGGERED, value=run_id)
        trigger = DagStateTrigger(
            dag_id=BACKFILL,
            states=[*self.allowed_states, *self.failed_states],
            run_ids=[run_id],
            poll_interval=self.poke_interval,
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: tuple[str, dict[str, Any]]) -> None:
        """Fails, without another try, when the run was red: a retry would trigger one more."""
        try:
            super().execute_complete(context, event)
        except AirflowException:
            run_ids = ", ".join(event[1]["run_ids"])
            self.log.error("%s is red: its summarise_cohort says why. Next: fix it, then clear this run.", run_ids)
            raise SystemExit(1) from None
