"""Notices are sent only with the Connection, and quote the texts of judges and servers unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.notice_receiver import NoticeReceiver


class Summary:
    """A fake of a red summary's task instance, as a callback sees it."""

    dag_id, run_id, task_id, log_url = "evaluation_backfill", "r", "summarise_cohort", "http://127.0.0.1/log"

    def __init__(self, message: str) -> None:
        self.outcome = {"cohort_id": "c", "message": message, "deferred": 0}

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        return self.outcome if key == "outcome" else None


def context(message: str) -> Any:
    """Return the parts of a callback's context that are read."""
    return {"ti": Summary(message), "params": {}}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{{ conn.llm_default.password }}", id="a-secret"),
        pytest.param("{% x", id="no-template"),
        pytest.param("SCORE: {{ 7 * 7 }}", id="a-sum"),
    ],
)
def test_a_judge_s_text_is_not_rendered_as_a_template(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A reply or a server's error that looks like Jinja arrives unchanged and reveals no secret."""
    from essay_cohorts_airflow.monitoring.notifications import notify_failed

    monkeypatch.setenv("AIRFLOW_CONN_LLM_DEFAULT", '{"conn_type": "openai", "password": "sk-secret"}')
    with NoticeReceiver.started() as receiver:
        monkeypatch.setenv("AIRFLOW_CONN_NOTIFY_DEFAULT", receiver.connection())
        notify_failed(context(f"400: {text}"))
    [notice] = receiver.notices
    assert f"400: {text}" in notice["message"]
    assert "sk-secret" not in notice["message"]
    assert notice["title"] == "Cohort c is not complete"


def test_without_the_connection_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the Connection there is no notice and no error."""
    from essay_cohorts_airflow.monitoring.notifications import notify_failed

    monkeypatch.delenv("AIRFLOW_CONN_NOTIFY_DEFAULT", raising=False)
    notify_failed(context("400"))
