"""Notify people of how runs end, by chat, mail or a web hook, through Airflow's Apprise notifier.

Nothing is sent until the Connection `notify_default` of type `apprise` exists; its extra names the services:

{"conn_type": "apprise", "extra": {"config": [{"path": "slack://...", "tag": ""}]}}
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from airflow.sdk import Context

    from essay_cohorts.backfill.run_notice import RunNotice

log = logging.getLogger(__name__)

CONN_ID = "notify_default"
# The XCom in which a red summary leaves its counts, because Airflow drops the return value of a failed task.
OUTCOME_XCOM = "outcome"


def notify_finished(context: Context) -> None:
    """Send the notice of a green run (`on_success_callback` of a summary), unless it was a dry run."""
    from essay_cohorts.backfill.run_notice import notice_of_end

    instance: Any = context["ti"]
    if not context["params"].get("dry_run"):
        outcome = instance.xcom_pull(task_ids=instance.task_id)
        _send(context, notice_of_end(outcome, complete=True, link=instance.log_url))


def notify_failed(context: Context) -> None:
    """Send the notice of a failed task (`on_failure_callback`); the notice of a summary says what is missing."""
    from essay_cohorts.backfill.run_notice import notice_of_end, notice_of_failure

    instance: Any = context["ti"]
    outcome = instance.xcom_pull(task_ids=instance.task_id, key=OUTCOME_XCOM)
    if outcome:
        _send(context, notice_of_end(outcome, complete=False, link=instance.log_url))
    else:
        _send(context, notice_of_failure(instance.dag_id, instance.run_id, instance.task_id, instance.log_url))


def _send(context: Context, notice: RunNotice) -> None:
    try:
        BaseHook.get_connection(CONN_ID)
    except AirflowNotFoundException:
        return
    from airflow.providers.apprise.notifications.apprise import AppriseNotifier
    from apprise import NotifyType

    log.info("Notifying: %s", notice.title)
    notifier = AppriseNotifier(
        apprise_conn_id=CONN_ID, title=notice.title, body=notice.body, notify_type=NotifyType(notice.kind)
    )
    # Calling `notifier(context)` would render the texts as templates, and the texts quote replies and servers'
    # errors.
    notify: Any = notifier.notify
    notify(context)
