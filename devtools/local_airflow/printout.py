"""The output of a backfill: the plan, then the results or the reason of the failure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from devtools.rest_api.runs import TaskInstance
from essay_cohorts.amounts import counted

COUNTS = ("planned", "reused", "called", "scored", "unscored", "failed", "not_run")
ACTIONS = ("reuse", "parse", "call", "unscored")
LOG_LINES = 40
PLANNING, SUMMARY = "plan_cohort", "summarise_cohort"
PLAN_XCOM = "plan"


def plan_lines(plan: Mapping[str, Any]) -> list[str]:
    """Return the lines of a plan: evaluations by action, and what the calls may cost."""
    lines = [f"Plan of cohort {plan.get('cohort_id')}: {counted(int(plan.get('planned', 0)), 'evaluation')}"]
    lines += [f"  {action:<9} {plan.get(action, 0):>6}" for action in ACTIONS]
    estimate = plan.get("estimate") or {}
    lines += [
        f"  estimated {name.replace('_', ' ')}: {_or_unknown(value)}" for name, value in sorted(estimate.items())
    ]
    return lines


def closing_lines(
    summary: Mapping[str, Any], *, calls: int | None, project: Path, seconds: float, next_step: str
) -> list[str]:
    """Return the closing block of a run that succeeded; `calls` is the judge's own count, None when unknown."""
    lines = ["", f"Cohort {summary.get('cohort_id')}: done in {seconds:.0f} s"]
    lines += [f"  {name.replace('_', ' '):<9} {summary.get(name, 0):>6}" for name in COUNTS]
    if calls is not None:
        lines.append(f"LLM calls: {calls}")
    lines += [
        f"{title}: {relative(summary[name], project)}"
        for name, title in (("scores_csv", "Scores"), ("report_html", "Report"))
        if summary.get(name)
    ]
    return [*lines, *filter(None, [next_step])]


def failure_lines(tasks: Sequence[TaskInstance], quoted: TaskInstance | None, log: str) -> list[str]:
    """Return which tasks failed, and the lines of `log`, the log of the task `quoted`, from its first error on."""
    failed = [task for task in tasks if task.state == "failed"]
    waiting = sum(task.state == "upstream_failed" for task in tasks)
    lines = ["", "The run failed. Tasks that failed:"]
    lines += [f"  {task.task_id}{_instance(task)} (try {task.try_number})" for task in failed[:20]]
    if len(failed) > 20:
        lines.append(f"  and {len(failed) - 20} more")
    if waiting:
        lines.append(f"  ({waiting} more could not run because of them)")
    if quoted is None:
        return lines
    errors = lines_from_first_error(log)
    more = ["  ..."] if len(errors) > LOG_LINES else []
    return [*lines, f"From the log of {quoted.task_id}:", *(f"  {line}" for line in errors[:LOG_LINES]), *more]


def task_to_quote(tasks: Sequence[TaskInstance]) -> TaskInstance | None:
    """Return the task whose log says why the run failed: planning if it failed, else the summary, else any."""
    failed = [task for task in tasks if task.state == "failed"]
    for task_id in (PLANNING, SUMMARY):
        for task in failed:
            if task.task_id == task_id:
                return task
    return failed[0] if failed else None


def lines_from_first_error(log: str) -> list[str]:
    """Return the log from its first error on, without Airflow's fold marks and without the frames of tracebacks."""
    lines = [
        line
        for line in log.splitlines()
        if line.strip() and "::group::" not in line and "::endgroup::" not in line and not line.startswith('  File "')
    ]
    errors = [number for number, line in enumerate(lines) if line.split(" ", 2)[1:2] == ["error"]]
    return lines[errors[0] :] if errors else lines[-LOG_LINES:]


def relative(path: str, project: Path) -> str:
    """Return a path relative to the project folder; a path outside of it is returned unchanged."""
    full = Path(path)
    return str(full.relative_to(project)) if full.is_relative_to(project) else path


def _instance(task: TaskInstance) -> str:
    return "" if task.map_index < 0 else f" [{task.label or task.map_index}]"


def _or_unknown(value: object) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
