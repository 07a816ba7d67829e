"""The plan as a plain-text table, for a log and for a terminal."""

import pytest

from essay_cohorts.domain import Action, Member, PlanRow, Stage
from essay_cohorts.planning.plan_table import plan_table


def row(action: Action, template_id: str = "novelty", model_id: str = "judge-a") -> PlanRow:
    member = Member(
        stage=Stage.EVALUATION,
        gen_id="v_1",
        cohort_id="c",
        parent_gen_id="e_1",
        combo_id="combo",
        template_id=template_id,
        llm_model_id=model_id,
        replicate=1,
    )
    return PlanRow(member=member, action=action, reason="")


def test_the_table_counts_members_and_actions() -> None:
    """A line for each template and model, in the plan's order, and a line of totals."""
    rows = [
        *[row(Action.REUSE)] * 3,
        row(Action.CALL),
        row(Action.PARSE, "novelty", "judge-b"),
        row(Action.UNSCORED, "coherence", "judge-a"),
        row(Action.CALL, "coherence", "judge-a"),
    ]
    assert plan_table(rows).splitlines() == [
        "template   model    members  reuse  parse  call  unscored",
        "novelty    judge-a        4      3      0     1         0",
        "novelty    judge-b        1      0      1     0         0",
        "coherence  judge-a        2      0      0     1         1",
        "all                       7      3      1     2         1",
    ]


def test_the_connections_are_shown_if_there_are_several() -> None:
    """A column says over which connection each model is asked."""
    rows = [row(Action.CALL), row(Action.CALL, "novelty", "judge-b")]
    assert plan_table(rows, {"judge-a": "llm_default", "judge-b": "vllm"}).splitlines() == [
        "template  model    connection   members  reuse  parse  call  unscored",
        "novelty   judge-a  llm_default        1      0      0     1         0",
        "novelty   judge-b  vllm               1      0      0     1         0",
        "all                                   2      0      0     2         0",
    ]


def test_the_totals_of_an_empty_plan_are_zero() -> None:
    """The table of a plan without evaluations has a header and a line of zeros."""
    lines = plan_table([]).splitlines()
    assert lines[0].split() == ["template", "model", "members", "reuse", "parse", "call", "unscored"]
    assert lines[-1].split() == ["all", "0", "0", "0", "0", "0"]


def test_numbers_of_large_plans_are_whole() -> None:
    """The count of twenty thousand evaluations is written in full, without a separator."""
    assert plan_table([row(Action.CALL)] * 20_000).splitlines()[-1].split()[1] == "20000"


@pytest.mark.parametrize(
    "model_id",
    [
        pytest.param("[bold]judge[/bold]", id="markup"),
        pytest.param("[red]", id="a colour"),
        pytest.param("judge [link=http://x]y[/link]", id="a link"),
        pytest.param("vendor/model-3:free", id="a vendor's id"),
    ],
)
def test_an_id_is_shown_as_it_is(model_id: str) -> None:
    """An id that looks like the terminal library's markup is shown as plain text."""
    text = plan_table([row(Action.CALL, "novelty", model_id)])
    assert model_id in text
    assert "\x1b" not in text


def test_an_emoji_code_in_an_id_is_shown_as_text() -> None:
    """The terminal library does not replace a word between colons with an emoji."""
    assert "x:cat:y" in plan_table([row(Action.CALL, "novelty", "x:cat:y")])


def test_long_ids_are_shown_whole() -> None:
    """Ids of the maximum length are not shortened, so that they can be found in the log."""
    template_id, model_id = "t" * 100, "provider/" + "m" * 60
    text = plan_table([row(Action.CALL, template_id, model_id)])
    assert template_id in text
    assert model_id in text
