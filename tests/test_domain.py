"""Tests of the values that every layer shares."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.calls import Reply, Stop, Usage
from essay_cohorts.domain import Action, Cell, Member, Plan, PlanRow, RunRef, Stage, TaskRef, is_id


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("v_1i6m1c7p4o18cct", id="by formula"),
        pytest.param("43ftibqi56628az1", id="legacy"),
        pytest.param("A", id="one letter"),
        pytest.param("7", id="one digit"),
        pytest.param("007", id="leading zeros"),
        pytest.param("a.b-c_d", id="dot, dash, underscore inside"),
        pytest.param("a..b", id="dots inside"),
        pytest.param("x" * 100, id="100 characters"),
    ],
)
def test_ids_that_may_become_paths(text: str) -> None:
    """These ids may be the name of a folder."""
    assert is_id(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 101, id="101 characters"),
        pytest.param("../x", id="parent folder"),
        pytest.param("..", id="two dots"),
        pytest.param(".hidden", id="hidden"),
        pytest.param("-rf", id="an option"),
        pytest.param("_x", id="underscore first"),
        pytest.param("a/b", id="slash"),
        pytest.param("a\\b", id="backslash"),
        pytest.param("a b", id="blank"),
        pytest.param("a\n", id="line end behind"),
        pytest.param("a\x00b", id="NUL"),
        pytest.param("é", id="not ASCII"),
        pytest.param("١", id="digit, not ASCII"),
        pytest.param(None, id="nothing"),
        pytest.param(7, id="a number"),
        pytest.param(b"abc", id="bytes"),
    ],
)
def test_ids_that_are_refused(text: object) -> None:
    """These texts and values are not ids, so they never become a path."""
    assert not is_id(text)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="aZ9._-/\\ \n\x00é", max_size=102))
def test_an_id_stays_in_its_folder(text: str) -> None:
    """Every text that is accepted as an id is one plain path segment."""
    if is_id(text):
        assert not set(text) & set("/\\ \n\x00é")
        assert text not in (".", "..")
        assert not text.startswith(("-", "."))
        assert len(text) <= 100


def test_a_member_of_stage_evaluation_knows_its_cell() -> None:
    """A member's cell is its essay, template and model."""
    member = _member(Stage.EVALUATION, "v_1")
    assert member.cell == Cell("e_1", "novelty", "judge-a")


def test_the_evaluations_of_a_plan_leave_out_its_sources() -> None:
    """A plan's evaluations are its rows of stage evaluation, in the plan's order."""
    rows = tuple(
        PlanRow(member=_member(stage, gen_id), action=Action.REUSE, reason="")
        for stage, gen_id in [
            (Stage.DRAFT, "d"),
            (Stage.ESSAY, "e"),
            (Stage.EVALUATION, "v_2"),
            (Stage.EVALUATION, "v_1"),
        ]
    )
    plan = Plan(rows=rows, minted=(), joined=(), left=(), warnings=())
    assert [row.member.gen_id for row in plan.evaluations] == ["v_2", "v_1"]


@pytest.mark.parametrize(
    ("finish_reason", "truncated"),
    [
        pytest.param("length", True, id="token limit"),
        pytest.param("stop", False, id="ended"),
        pytest.param("", False, id="not stated"),
        pytest.param("content_filter", False, id="filtered"),
    ],
)
def test_a_reply_is_truncated_when_the_server_says_so(finish_reason: str, truncated: bool) -> None:
    """Only the finish reason `length` marks a reply as cut off."""
    reply = Reply(
        text="SCORE: 7", response_model="m", finish_reason=finish_reason, usage=Usage(), attempts=1, duration_s=0.1
    )
    assert reply.truncated is truncated


@pytest.mark.parametrize(
    ("stopped", "asked", "concerns"),
    [
        pytest.param(None, "judge-a", True, id="the whole run"),
        pytest.param("judge-a", "judge-a", True, id="this model"),
        pytest.param("judge-b", "judge-a", False, id="another model"),
    ],
)
def test_a_stop_concerns_its_model_or_all(stopped: str | None, asked: str, concerns: bool) -> None:
    """A stop concerns the calls to its model, or all calls if it names no model."""
    assert Stop(model_id=stopped, kind="http", message="no").concerns(asked) is concerns


def test_a_task_knows_its_run() -> None:
    """Two tries of a task belong to the same run."""
    tries = [TaskRef(dag_id="d", run_id="r", task_id="t", map_index=0, try_number=n) for n in (1, 2)]
    assert {task.run for task in tries} == {RunRef("d", "r")}


def _member(stage: Stage, gen_id: str) -> Member:
    return Member(
        stage=stage,
        gen_id=gen_id,
        cohort_id="c",
        parent_gen_id="e_1",
        combo_id="combo",
        template_id="novelty",
        llm_model_id="judge-a",
        replicate=1,
    )
