"""The short notice that people get at the end of a run."""

from __future__ import annotations

from typing import Any

import pytest

from essay_cohorts.backfill.run_notice import MAX_CHARACTERS, notice_of_end, notice_of_failure

LINK = "http://127.0.0.1/log"


@pytest.mark.parametrize(
    ("outcome", "complete", "title", "kind"),
    [
        pytest.param({}, True, "Cohort c is finished", "success", id="finished"),
        pytest.param({"deferred": 0}, False, "Cohort c is not complete", "failure", id="red"),
        pytest.param(
            {"deferred": 5},
            False,
            "Cohort c: the budget is used up, 5 evaluations are deferred",
            "warning",
            id="budget",
        ),
        pytest.param(
            {"deferred": 1},
            False,
            "Cohort c: the budget is used up, 1 evaluation is deferred",
            "warning",
            id="budget, one",
        ),
    ],
)
def test_the_title_says_how_it_ended(outcome: dict[str, Any], complete: bool, title: str, kind: str) -> None:
    """Complete, not complete, or stopped by its budget; the body is the message and the link."""
    notice = notice_of_end({"cohort_id": "c", "message": "8 planned", **outcome}, complete=complete, link=LINK)
    assert (notice.title, notice.kind, notice.body) == (title, kind, f"8 planned\n{LINK}")


def test_a_long_message_is_cut_and_the_link_stays() -> None:
    """A chat service would cut the end of the text, and the link with it."""
    notice = notice_of_end({"cohort_id": "c", "message": "x" * 5_000, "deferred": 0}, complete=False, link=LINK)
    message, link = notice.body.rsplit("\n", 1)
    assert (len(message), message[-5:], link) == (MAX_CHARACTERS, "x ...", LINK)


def test_a_task_without_a_summary_names_itself() -> None:
    """The notice names the DAG, the run and the task, and says where to look."""
    notice = notice_of_failure("scheduled_backfill", "r1", "select_missing", LINK)
    assert notice.title == "scheduled_backfill failed"
    text = "The task select_missing of r1 failed. The log of the task names the cause and the next step."
    assert notice.body == f"{text}\n{LINK}"
