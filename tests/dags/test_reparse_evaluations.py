"""The DAG's contract with Airflow: it parses lightly, its form offers what a request knows, its leaf is honest."""

from __future__ import annotations

from typing import Any

import pytest

from include.cohorts.model import ID_PATTERN
from include.cohorts.reparsing import KEYS, ReparseRequest


@pytest.fixture
def dag(dag_folder: dict[str, Any]) -> dict[str, Any]:
    """The DAG as a fresh process parses it."""
    return dag_folder["dags"]["reparse_evaluations"]


def test_the_two_tasks_stand_in_a_row(dag: dict[str, Any]) -> None:
    """A failed `reparse` fails the leaf and with it the run: the leaf runs only after a success."""
    assert dag["edges"] == {"reparse": ["aggregate"], "aggregate": []}
    assert set(dag["rules"].values()) == {"all_success"}


def test_retries_are_those_of_the_backfill(dag: dict[str, Any]) -> None:
    """Two, for a worker that dies; a mistake in the conf is not tried again."""
    assert set(dag["retries"].values()) == {2}
    assert all(dag["policies"])


def test_it_is_started_by_people_one_run_at_a_time(dag: dict[str, Any]) -> None:
    """No schedule, and documentation that says what it costs."""
    assert (dag["schedule"], dag["max_active_runs"]) == ("None", 1)
    assert "**No LLM is called.**" in dag["doc"]


def test_params_are_the_request_s_settings(dag: dict[str, Any]) -> None:
    """The form offers exactly the keys that a request knows, with its defaults, titles, help and id rule."""
    defaults = ReparseRequest()
    assert {key: param["default"] for key, param in dag["params"].items()} == {
        key: getattr(defaults, key) for key in KEYS
    }
    schemas = {key: param["schema"] for key, param in dag["params"].items()}
    assert all(schema["title"] and len(schema["description_md"]) > 20 for schema in schemas.values())
    assert not any("`" in schema["description_md"] for schema in schemas.values())
    assert schemas["cohort_id"]["pattern"] == schemas["templates"]["items"]["pattern"] == f"^{ID_PATTERN}$"
