"""
### Judge what is missing, reuse what exists

Scores essays with LLM judges: evaluation templates x judge models x replicates. An evaluation that exists is taken
into the cohort and **never paid for again**; only missing ones call the LLM.

1. `plan_cohort` reads the selection, looks up what the store holds, and writes the cohort's membership. Its log shows
   the plan as a table: reuse, parse, call, unscored, and what calls may cost. Bad input fails here, before any write.
2. `batches` cuts the members into slices: reused ones apart from those to do.
3. `evaluation` runs once a slice. `check_parsed` logs `Skipping <gen_id>: parsed.txt already exists` for each that is
   done, and skips the whole slice when nothing is left; then prompts are written, judges asked, replies scored.
4. `summarise_cohort` writes `scores.csv` and `report.html` and accounts for every member. The run is green only when
   none is missing.

Start with **Dry run** to see the plan. After a failure clear the run, or trigger the same conf again: replies that
were received stay, and only what has none is called. It does not write essays or drafts, and it never asks again for
a reply that a parser refused unless told to (`retry_unscored`).
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from airflow.sdk import TriggerRule, chain, dag, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from backfill_params import PARAMS
from task_border import RETRY_POLICY, readable_failure, tasks_at_once, this_conf, this_task

CALLING = timedelta(hours=12)
LABEL = "{{ task.op_kwargs['part']['label'] }}"


@dag(
    dag_id="evaluation_backfill",
    dag_display_name="Evaluation backfill",
    description="Judges essays with LLMs; includes what exists, calls only for what is missing",
    schedule=None,
    params=PARAMS,
    tags=["evaluation", "backfill", "llm"],
    doc_md=__doc__,
    # Retries are for a worker that dies: every step finds what the former try left. The timeout is the last net.
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_policy": RETRY_POLICY,
        "execution_timeout": timedelta(hours=1),
    },
)
def evaluation_backfill() -> None:
    # A dict's keys as XComs of their own (the default for one) would cost 0.4 s of requests.
    @task(multiple_outputs=False)
    def plan_cohort() -> dict[str, Any]:
        from include.cohorts import planning_step, settings
        from llm_connection import check_connection

        with readable_failure():
            return planning_step.plan_cohort(settings.read_settings(), this_conf(), this_task(), check_connection)

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def not_a_dry_run(planned: dict[str, Any]) -> bool:
        return not planned["dry_run"]

    @task
    def batches(planned: dict[str, Any]) -> list[dict[str, Any]]:
        from include.cohorts import settings, steps

        with readable_failure():
            return steps.batches(settings.read_settings(), planned, tasks_at_once())

    @task_group
    def evaluation(planned: dict[str, Any], part: dict[str, Any]) -> None:
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
        @task(map_index_template=LABEL, trigger_rule=TriggerRule.NONE_SKIPPED)
        def evaluation_parsed(planned: dict[str, Any], part: dict[str, Any]) -> None:
            from include.cohorts import settings, steps

            with readable_failure():
                steps.parse_replies(settings.read_settings(), planned, steps.Slice(**part), this_task())

        order = (check_parsed, evaluation_prompt, evaluation_raw, evaluation_parsed)
        chain(*(step(planned=planned, part=part) for step in order))

    # The only leaf: its state is the run's, so it looks at the outcome itself.
    @task(trigger_rule=TriggerRule.ALL_DONE, multiple_outputs=False)
    def summarise_cohort(planned: dict[str, Any] | None) -> dict[str, Any]:
        from include.cohorts import settings, summary

        with readable_failure():
            done = summary.summarise_cohort(settings.read_settings(), planned, this_task().run)
            done.raise_unless_complete()
            return done.to_xcom()

    planned = plan_cohort()
    parts = batches(planned)
    not_a_dry_run(planned) >> parts
    evaluation.partial(planned=planned).expand(part=parts) >> summarise_cohort(planned)


evaluation_backfill()
