"""The DAG folder's contract with Airflow: it parses lightly and without an error."""

from typing import Any

HEAVY = (
    "pandas",
    "numpy",
    "scipy",
    "openai",
    "httpx2",
    "tenacity",
    "filelock",
    "typer",
)


def test_the_folder_has_its_dags_and_no_import_error(dag_folder: dict[str, Any]) -> None:
    """The DAG folder imports cleanly, and the modules beside the DAGs are not taken for DAGs."""
    assert dag_folder["errors"] == {}
    assert sorted(dag_folder["dags"]) == [
        "aggregate_scores",
        "evaluation_backfill",
        "reparse_evaluations",
        "scheduled_backfill",
    ]


def test_parsing_imports_nothing_heavy(dag_folder: dict[str, Any]) -> None:
    """Parsing the DAG files adds none of the heavy modules to what Airflow itself imports."""
    added = dag_folder["added"]
    assert [name for name in added if name in HEAVY or name.startswith("essay_cohorts.")] == []


def test_scores_are_aggregated_once_a_completed_cohort(dag_folder: dict[str, Any]) -> None:
    """The DAG that gathers scores waits for the asset of cohorts, not for that of single evaluations."""
    dag = dag_folder["dags"]["aggregate_scores"]
    assert "completed_cohorts" in dag["schedule"]
    assert "finished_evaluations" not in dag["schedule"]
    assert (dag["max_active_runs"], dag["leaves"]) == (1, ["aggregate"])
