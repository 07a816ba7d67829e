"""The link from a task of a cohort's run to the cohort's page.

Airflow's API server makes the link when somebody looks at the task, so it exists before the task has run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink, conf

from essay_cohorts_airflow.cohort_task import CohortTaskOperator

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


# Where the pages are, and where Airflow shows them below its navigation.
PREFIX = "/cohorts"
FRAME = "/plugin/cohorts"


def base_path() -> str:
    """Return the path of `[api] base_url`, below which Airflow is reached; "" when it has none."""
    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


class CohortLink(BaseOperatorLink):
    """Leads to the page that finds the cohort of a run, inside Airflow's frame."""

    name = "Cohort"
    operators: ClassVar[list[Any]] = [CohortTaskOperator]

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 (Airflow passes both)
        """Return the address for the run of this task instance; nothing is read."""
        return f"{base_path()}{FRAME}{PREFIX}/run/{quote(ti_key.dag_id, safe='')}/{quote(ti_key.run_id, safe='')}"
