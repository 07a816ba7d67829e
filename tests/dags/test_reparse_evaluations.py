"""The DAG's contract with Airflow: its tasks and form, and when its leaf is green, red or skipped."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk.exceptions import AirflowSkipException

from essay_cohorts.reparsing.rules import KEYS, ReparseRequest
from tests.conftest import task_ref
from tests.store_builder import StoreBuilder

SCORES = "7_cross_experiment/aggregated_scores.csv"
Task = Callable[..., dict[str, Any]]


@pytest.fixture
def dag(dag_folder: dict[str, Any]) -> dict[str, Any]:
    """Return the DAG as a fresh process parses it."""
    parsed: dict[str, Any] = dag_folder["dags"]["reparse_evaluations"]
    return parsed


def test_aggregate_follows_reparse(dag: dict[str, Any]) -> None:
    """The leaf runs only after a success, so a failed `reparse` fails the leaf and the run."""
    assert dag["edges"] == {"reparse": ["aggregate"], "aggregate": []}
    assert set(dag["rules"].values()) == {"all_success"}


def test_retries_are_those_of_the_backfill(dag: dict[str, Any]) -> None:
    """A task is retried twice when a worker dies; a mistake in the conf is not tried again."""
    assert set(dag["retries"].values()) == {2}
    assert all(dag["policies"])


def test_it_is_started_by_people_one_run_at_a_time(dag: dict[str, Any]) -> None:
    """The DAG has no schedule, and its documentation says that no LLM is called."""
    assert (dag["schedule"], dag["max_active_runs"]) == ("None", 1)
    assert "**No LLM is called.**" in dag["doc"]


def test_params_are_the_request_s_settings(dag: dict[str, Any]) -> None:
    """The form offers exactly the keys of a request, with the same defaults, a title and a help text."""
    defaults = ReparseRequest()
    assert {key: param["default"] for key, param in dag["params"].items()} == {
        key: getattr(defaults, key) for key in KEYS
    }
    schemas = {key: param["schema"] for key, param in dag["params"].items()}
    assert all(schema["title"] and len(schema["description_md"]) > 20 for schema in schemas.values())
    assert not any("`" in schema["description_md"] for schema in schemas.values())


@pytest.fixture
def tasks(store: StoreBuilder, monkeypatch: pytest.MonkeyPatch) -> dict[str, Task]:
    """Return the functions of the DAG's tasks, over `store`, in the first try of a run with `write`."""
    import essay_cohorts_airflow.dags.reparse_evaluations as module

    monkeypatch.setenv("DD_DATA_ROOT", str(store.root))
    monkeypatch.setattr(module, "this_conf", lambda: {"write": True})
    monkeypatch.setattr(module, "this_task", lambda: task_ref("run-r", "reparse", 1))
    dag = module.reparse_evaluations()
    return {task.task_id: task.python_callable for task in dag.tasks if isinstance(task, PythonOperator)}


def reparsed(tasks: dict[str, Task]) -> dict[str, Any]:
    """Run `reparse` and return what it hands to `aggregate`, as XCom carries it."""
    xcom: dict[str, Any] = json.loads(json.dumps(tasks["reparse"]()))
    return xcom


def scores(store: StoreBuilder) -> dict[str, str]:
    """Return the scores of aggregated_scores.csv by gen_id."""
    return {row["gen_id"]: row["score"] for row in store.rows(SCORES)}


@pytest.fixture
def refusing(store: StoreBuilder, tmp_path: Path) -> StoreBuilder:
    """Return a store with two changed results; v_0 cannot be written because a link leads out of the data root."""
    essay = store.essay(1)
    for number in (0, 1):
        store.evaluation(f"v_{number}", essay, replicate=number + 1, reply="SCORE: 6", score=3.0)
    folder = store.root / "gens/evaluation/v_0"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    return store


def test_when_the_disk_refused_one_the_other_scores_are_gathered_and_the_leaf_is_red(
    refusing: StoreBuilder, tasks: dict[str, Task], caplog: pytest.LogCaptureFixture
) -> None:
    """The table holds the changes, the message counts what was not written, and the next run is red again."""
    report = reparsed(tasks)
    assert (report["changed"], report["not_written"]) == (1, 1)
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as exit_:
        tasks["aggregate"](report)
    assert exit_.value.code == 1
    assert "1 evaluation could not be written; run this again to write the rest. The first: v_0" in caplog.text
    assert scores(refusing)["v_1"] == "6.0"
    report = reparsed(tasks)
    assert (report["changed"], report["not_written"]) == (0, 1)
    with pytest.raises(SystemExit):
        tasks["aggregate"](report)


def test_when_all_was_written_the_leaf_is_green_and_then_skipped(store: StoreBuilder, tasks: dict[str, Task]) -> None:
    """Without a problem the scores are gathered once; a run that changes no score has nothing to gather."""
    store.evaluation("v_1", store.essay(1), reply="SCORE: 6", score=3.0)
    report = reparsed(tasks)
    assert report["problem"] == ""
    assert tasks["aggregate"](report)["rows"] == 1
    assert scores(store) == {"v_1": "6.0"}
    with pytest.raises(AirflowSkipException):
        tasks["aggregate"](reparsed(tasks))
