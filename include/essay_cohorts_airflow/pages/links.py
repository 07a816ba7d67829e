"""Addresses of the pages and of Airflow's own pages, valid wherever Airflow is mounted."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from essay_cohorts.domain import RunRef, TaskRef

STATIC_FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {
    "cohorts.css": "text/css",
    "cohorts.js": "text/javascript",
    "plan.js": "text/javascript",
    "essay_picker.js": "text/javascript",
    "progress.css": "text/css",
    "progress.js": "text/javascript",
    "theme.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "icon_dark.svg": "image/svg+xml",
}


class Links:
    """The addresses in the page of one request; `root_path` is the path of the pages in Airflow."""

    def __init__(self, root_path: str, prefix: str = "/cohorts") -> None:
        self._pages = root_path
        self._airflow = root_path.removesuffix(prefix)

    def page(self, *path: str, **query: Any) -> str:
        """Return the address of a page by the parts of its path.

        A query field that is None or empty is left out; a list repeats its field.
        """
        fields = [
            (name, each)
            for name, value in query.items()
            for each in (value if isinstance(value, list | tuple | set | frozenset) else [value])
            if each not in (None, "")
        ]
        address = "/".join([self._pages, *(quote(part, safe="") for part in path)])
        return (address if path else f"{address}/") + (f"?{urlencode(fields)}" if fields else "")

    def static(self, name: str) -> str:
        """Return the address of a file of static/; the address changes when the file does."""
        return self.page("static", name, v=_digest(name))

    def dag(self, dag_id: str) -> str:
        """Return the address of the DAG's page in Airflow."""
        return f"{self._airflow}/dags/{quote(dag_id, safe='')}"

    def run(self, run: RunRef) -> str:
        """Return the address of the DagRun's page in Airflow."""
        return f"{self.dag(run.dag_id)}/runs/{quote(run.run_id, safe='')}"

    def dag_api(self, dag_id: str) -> str:
        """Return the address of the DAG in Airflow's REST API; its runs are below, at `/dagRuns`."""
        return f"{self._airflow}/api/v2/dags/{quote(dag_id, safe='')}"

    def run_api(self, run: RunRef) -> str:
        """Return the address of the DagRun in Airflow's REST API."""
        return f"{self.dag_api(run.dag_id)}/dagRuns/{quote(run.run_id, safe='')}"

    def log(self, task: TaskRef) -> str:
        """Return the address of the log of one try of a task instance in Airflow."""
        mapped = f"/mapped/{task.map_index}" if task.map_index >= 0 else ""
        place = f"{self.run(task.run)}/tasks/{quote(task.task_id, safe='')}{mapped}"
        return f"{place}?try_number={task.try_number}"


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((STATIC_FOLDER / name).read_bytes()).hexdigest()[:12]
