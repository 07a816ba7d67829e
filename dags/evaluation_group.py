"""The four steps that one mapped instance takes with its slice: check, prompt, call, score."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from airflow.sdk import TriggerRule, chain, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from score_assets import FINISHED_EVALUATIONS, tell
from task_border import readable_failure, this_task

CALLING = timedelta(hours=12)
LABEL = "{{ task.op_kwargs['part']['label'] }}"


@task_group
def evaluation(planned: dict[str, Any], part: dict[str, Any]) -> None:
    """One slice of the cohort's evaluations; all four tasks of a slice that is done are skipped."""

    @task(map_index_template=LABEL)
    def check_parsed(planned: dict[str, Any], part: dict[str, Any]) -> None:
        from include.cohorts import settings, steps

        with readable_failure():
            left = steps.check_parsed(settings.read_settings(), planned, steps.Slice(**part))
        if not left:
            raise AirflowSkipException("Every evaluation of this slice exists")

    @task(map_index_template=LABEL)
    def evaluation_prompt(planned: dict[str, Any], part: dict[str, Any]) -> None:
        from include.cohorts import settings, steps

        with readable_failure():
            steps.write_prompts(settings.read_settings(), planned, steps.Slice(**part))

    @task(map_index_template=LABEL, execution_timeout=CALLING + timedelta(minutes=70))
    async def evaluation_raw(planned: dict[str, Any], part: dict[str, Any]) -> None:
        from include.cohorts import calling, settings
        from llm_connection import connect

        # Earlier than Airflow's timeout, which breaks off replies under way, by more than a request may take.
        async with asyncio.timeout(CALLING.total_seconds()):
            with readable_failure():
                slice_ = calling.Slice(**part)
                await calling.call_missing(settings.read_settings(), planned, slice_, this_task(), connect)

    # The replies that a partly failed slice did get are scored; a skipped slice stays skipped.
    @task(map_index_template=LABEL, trigger_rule=TriggerRule.NONE_SKIPPED, outlets=[FINISHED_EVALUATIONS])
    def evaluation_parsed(planned: dict[str, Any], part: dict[str, Any], outlet_events: Any = None) -> None:
        from include.cohorts import announcements, settings, steps

        with readable_failure():
            slice_ = steps.Slice(**part)
            steps.parse_replies(settings.read_settings(), planned, slice_, this_task())
            scored = announcements.announce_scored(settings.read_settings(), planned, slice_)
        if not scored:
            # Its success would be an event of an asset that did not change.
            raise AirflowSkipException("No evaluation of this slice got a score: there is nothing to announce")
        tell(outlet_events, planned, "scored", scored)

    order = (check_parsed, evaluation_prompt, evaluation_raw, evaluation_parsed)
    chain(*(step(planned=planned, part=part) for step in order))
