"""A DAG for tests: it returns the environment of its tasks, has a mapped task, and can sleep."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

log = logging.getLogger(__name__)


@dag(schedule=None, params={"seconds": Param(0, type="integer", minimum=0)})
def stand_in() -> None:
    @task
    def look() -> dict[str, Any]:
        log.info("a word from the task")
        time.sleep(get_current_context()["params"]["seconds"])
        prefixes = ("OPENAI_", "DD_")
        return {
            "leaked": sorted(name for name in os.environ if name.startswith(prefixes)),
            "given": os.environ["GIVEN"],
        }

    @task
    def each(number: int, seen: dict[str, Any]) -> int:
        return number + len(seen)

    each.partial(seen=look()).expand(number=[1, 2, 3])


stand_in()
