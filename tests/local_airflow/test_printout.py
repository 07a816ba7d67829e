"""The output of a backfill before and after a run."""

from pathlib import Path

from devtools.local_airflow.printout import (
    closing_lines,
    failure_lines,
    lines_from_first_error,
    plan_lines,
    task_to_quote,
)
from tests.local_airflow.test_progress import task

SUMMARY = {
    "cohort_id": "c",
    "planned": 6,
    "reused": 2,
    "called": 3,
    "scored": 3,
    "unscored": 1,
    "failed": 0,
    "not_run": 0,
    "scores_csv": "/project/data/cohorts/c/scores.csv",
    "report_html": "/elsewhere/report.html",
}
LOG = """::group::Log message source details
/logs/attempt=1.log
2026-01-01T00:00:00Z info Worker startup parse complete
2026-01-01T00:00:01Z error Task failed with exception
  File "task_runner.py", line 1, in run
  AirflowFailException: 1 problem in the input.
- line 3: no such essay
2026-01-01T00:00:02Z info ::group::Post Execute
2026-01-01T00:00:02Z info ::endgroup::"""


def test_the_closing_block_has_counts_calls_and_paths() -> None:
    """The block has every count, the judge's own number of calls, and paths relative to the project."""
    lines = closing_lines(SUMMARY, calls=3, project=Path("/project"), seconds=15.6, next_step="Look.")
    text = "\n".join(lines)
    assert "Cohort c: done in 16 s" in text
    assert [line.split() for line in lines if "not run" in line or "reused" in line] == [
        ["reused", "2"],
        ["not", "run", "0"],
    ]
    assert "LLM calls: 3" in lines
    assert "Scores: data/cohorts/c/scores.csv" in lines
    assert "Report: /elsewhere/report.html" in lines
    assert lines[-1] == "Look."


def test_calls_are_left_out_without_a_count() -> None:
    """A live judge has no count of calls, so the block shows none."""
    lines = closing_lines(SUMMARY, calls=None, project=Path("/p"), seconds=1, next_step="")
    assert not any("LLM calls" in line for line in lines)
    assert lines[-1] == "Report: /elsewhere/report.html"


def test_the_plan_shows_actions_and_the_estimate() -> None:
    """Each action has its count, and an unknown estimate is shown as unknown."""
    plan = {"cohort_id": "c", "planned": 6, "reuse": 2, "parse": 0, "call": 4, "estimate": {"usd": None, "calls": 4}}
    assert [line.split() for line in plan_lines(plan)] == [
        ["Plan", "of", "cohort", "c:", "6", "evaluations"],
        ["reuse", "2"],
        ["parse", "0"],
        ["call", "4"],
        ["unscored", "0"],
        ["estimated", "calls:", "4"],
        ["estimated", "usd:", "unknown"],
    ]


def test_a_log_is_quoted_from_its_first_error_on() -> None:
    """The quoted lines start at the first error and have no fold marks and no frames of a traceback."""
    assert lines_from_first_error(LOG) == [
        "2026-01-01T00:00:01Z error Task failed with exception",
        "  AirflowFailException: 1 problem in the input.",
        "- line 3: no such essay",
    ]


def test_a_failure_names_tasks_and_quotes_the_log() -> None:
    """Failed tasks are named with their map index, and the tasks that waited for them are counted."""
    tasks = [task("raw", "failed", 2), task("plan_cohort", "success"), task("parsed", "upstream_failed")]
    lines = failure_lines(tasks, tasks[0], LOG)
    assert "  raw [2] (try 1)" in lines
    assert "  (1 more could not run because of them)" in lines
    assert lines[-1] == "  - line 3: no such essay"


def test_the_log_of_the_planning_is_quoted_first() -> None:
    """The log of a failed planning is quoted, or else that of the summary, or else that of any failed task."""
    plan, summary, other = task("plan_cohort", "failed"), task("summarise_cohort", "failed"), task("raw", "failed", 0)
    assert task_to_quote([other, summary, plan]) == plan
    assert task_to_quote([other, summary]) == summary
    assert task_to_quote([other]) == other
    assert task_to_quote([task("plan_cohort", "success")]) is None
