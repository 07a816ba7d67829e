"""Addresses of the pages and of Airflow's own pages, wherever Airflow is mounted."""

from __future__ import annotations

import pytest

from essay_cohorts.domain import RunRef, TaskRef

RUN = RunRef("evaluation_backfill", "manual__2026-01-02T03:04:05+00:00")
ESCAPED = "/dags/evaluation_backfill/runs/manual__2026-01-02T03%3A04%3A05%2B00%3A00"


@pytest.mark.parametrize("base", ["", "/team/airflow"], ids=["at-the-root", "under-a-path"])
@pytest.mark.parametrize(
    ("map_index", "place"),
    [
        pytest.param(3, "/tasks/evaluation.evaluation_raw/mapped/3?try_number=2", id="mapped"),
        pytest.param(-1, "/tasks/evaluation.evaluation_raw?try_number=2", id="not-mapped"),
    ],
)
def test_a_log_is_found_in_airflow(base: str, map_index: int, place: str) -> None:
    """The address is that of the try's own log, with the run's id escaped."""
    from essay_cohorts_airflow.pages.links import Links

    task = TaskRef(
        dag_id=RUN.dag_id,
        run_id=RUN.run_id,
        task_id="evaluation.evaluation_raw",
        map_index=map_index,
        try_number=2,
    )
    assert Links(f"{base}/cohorts").log(task) == f"{base}{ESCAPED}{place}"


@pytest.mark.parametrize("base", ["", "/team/airflow"], ids=["at-the-root", "under-a-path"])
def test_pages_are_below_the_mount(base: str) -> None:
    """Each part of a path is escaped, empty fields are left out, and a list repeats its field."""
    from essay_cohorts_airflow.pages.links import Links

    links = Links(f"{base}/cohorts")
    assert links.page() == f"{base}/cohorts/"
    assert links.page(text="", sort="name") == f"{base}/cohorts/?sort=name"
    assert links.page("c", "a/b", model=["x/y", "z"], page=2) == f"{base}/cohorts/c/a%2Fb?model=x%2Fy&model=z&page=2"
    assert links.dag("d") == f"{base}/dags/d"
    assert links.static("cohorts.css").startswith(f"{base}/cohorts/static/cohorts.css?v=")
