"""Writes the short notice that people get at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from essay_cohorts.amounts import counted

# Each chat service shortens long texts at a different length. The log of the task has the whole text.
MAX_CHARACTERS = 1_500


@dataclass(frozen=True, kw_only=True, slots=True)
class RunNotice:
    """A notice. `body` is a text of at most MAX_CHARACTERS and then a link; `kind` is the severity."""

    title: str
    body: str
    kind: Literal["success", "warning", "failure"]


def notice_of_end(outcome: Mapping[str, Any], *, complete: bool, link: str) -> RunNotice:
    """Return the notice of a run that wrote a summary: it is complete, not complete, or stopped by its budget."""
    cohort, message = outcome["cohort_id"], str(outcome["message"])
    if complete:
        return RunNotice(title=f"Cohort {cohort} is finished", body=_body(message, link), kind="success")
    if outcome["deferred"]:
        evaluations = counted(outcome["deferred"], "evaluation is", "evaluations are")
        title = f"Cohort {cohort}: the budget is used up, {evaluations} deferred"
        return RunNotice(title=title, body=_body(message, link), kind="warning")
    return RunNotice(title=f"Cohort {cohort} is not complete", body=_body(message, link), kind="failure")


def notice_of_failure(dag_id: str, run_id: str, task_id: str, link: str) -> RunNotice:
    """Return the notice of a task that failed before the run wrote a summary."""
    message = f"The task {task_id} of {run_id} failed. The log of the task names the cause and the next step."
    return RunNotice(title=f"{dag_id} failed", body=_body(message, link), kind="failure")


def _body(message: str, link: str) -> str:
    shown = message if len(message) <= MAX_CHARACTERS else f"{message[: MAX_CHARACTERS - 4]} ..."
    return f"{shown}\n{link}"
