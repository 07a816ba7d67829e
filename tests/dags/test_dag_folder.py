"""The DAG folder's contract with Airflow: parsing it imports little and raises no error."""

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
    """The DAG folder imports without an error and holds the four DAGs, and nothing else."""
    assert dag_folder["errors"] == {}
    assert sorted(dag_folder["dags"]) == [
        "aggregate_scores",
        "evaluation_backfill",
        "reparse_evaluations",
        "scheduled_backfill",
    ]


def test_parsing_imports_nothing_heavy(dag_folder: dict[str, Any]) -> None:
    """Parsing the DAG files imports no heavy module that Airflow itself does not import."""
    added = dag_folder["added"]
    assert [name for name in added if name in HEAVY or name.startswith("essay_cohorts.")] == []


def test_scores_are_aggregated_once_a_completed_cohort(dag_folder: dict[str, Any]) -> None:
    """The DAG that gathers scores waits for the asset of cohorts, not for the asset of single evaluations."""
    dag = dag_folder["dags"]["aggregate_scores"]
    assert "completed_cohorts" in dag["schedule"]
    assert "finished_evaluations" not in dag["schedule"]
    assert (dag["max_active_runs"], dag["leaves"]) == (1, ["aggregate"])
