"""The pure rules of scoring stored replies again: the request, and the effect of a new verdict."""

from __future__ import annotations

from typing import Any

import pytest

from essay_cohorts.domain import Cell, ParserRef, Verdict
from essay_cohorts.records import VerdictRecord
from essay_cohorts.reparsing.report import ReparseReport, changes_text, totals_text
from essay_cohorts.reparsing.rules import (
    NO_NUMBER,
    NOT_SCORED,
    UNSCORED,
    Decision,
    Effect,
    Reparsed,
    ReparseRequest,
    decide,
    parse_reparse_request,
)

PARSER = ParserRef("in_last_line", "2")
NOW: dict[str, Any] = {
    "parser_name": "in_last_line",
    "parser_version": "2",
    "success": True,
    "score": 7.0,
    "reason": "",
}
OLD: dict[str, Any] = NOW | {"parser_version": "1"}
REFUSED: dict[str, Any] = NOW | {"success": False, "score": None, "reason": "no score line"}
CHANGED, RENEWED, UNCHANGED, BY_HAND = Effect.CHANGED, Effect.RENEWED, Effect.UNCHANGED, Effect.BY_HAND


def verdict(score: float | None) -> Verdict:
    """Return a verdict of today's parser."""
    return Verdict(parser=PARSER, score=score, reason="" if score is not None else "no score line")


@pytest.mark.parametrize(
    ("parsed", "record", "score", "effect", "before", "after"),
    [
        pytest.param("7.0\n", OLD, 5.0, CHANGED, "7.0", "5.0", id="another score"),
        pytest.param("7.0\n", OLD, None, CHANGED, "7.0", UNSCORED, id="a score is refused"),
        pytest.param(None, OLD | REFUSED, 7.0, CHANGED, UNSCORED, "7.0", id="a refused one is scored"),
        pytest.param(None, {}, 7.0, CHANGED, NOT_SCORED, "7.0", id="never scored, now scored"),
        pytest.param(None, {}, None, CHANGED, NOT_SCORED, UNSCORED, id="never scored, now refused"),
        pytest.param(None, NOW, 7.0, CHANGED, NOT_SCORED, "7.0", id="a verdict without its parsed.txt"),
        pytest.param("", NOW, 7.0, CHANGED, NOT_SCORED, "7.0", id="a torn parsed.txt"),
        pytest.param("", REFUSED, None, UNCHANGED, UNSCORED, UNSCORED, id="a torn parsed.txt of a refused one"),
        pytest.param("7.0\n", OLD, 7.0, RENEWED, "7.0", "7.0", id="the same score by another version"),
        pytest.param("7\n", NOW | {"parser_name": "x"}, 7.0, RENEWED, "7.0", "7.0", id="by another parser"),
        pytest.param(None, REFUSED | {"parser_version": "1"}, None, RENEWED, UNSCORED, UNSCORED, id="refused anew"),
        pytest.param(None, REFUSED | {"reason": "?"}, None, RENEWED, UNSCORED, UNSCORED, id="for another reason"),
        pytest.param("7.0\n", NOW, 7.0, UNCHANGED, "7.0", "7.0", id="nothing new"),
        pytest.param("7\n", NOW | {"score": 7, "more": 1}, 7.0, UNCHANGED, "7.0", "7.0", id="as others write it"),
        pytest.param(None, REFUSED, None, UNCHANGED, UNSCORED, UNSCORED, id="refused as before"),
        pytest.param("5.0\n", NOW, 7.0, BY_HAND, "5.0", "7.0", id="corrected by hand"),
        pytest.param("5.0\n", NOW, 5.0, BY_HAND, "5.0", "5.0", id="corrected to what is read now"),
        pytest.param("5.0\n", NOW, None, BY_HAND, "5.0", UNSCORED, id="corrected, and refused now"),
        pytest.param("5.0\n", REFUSED, 7.0, BY_HAND, "5.0", "7.0", id="scored by hand after a refusal"),
        pytest.param("5.0\n", {}, 7.0, CHANGED, "5.0", "7.0", id="no record: an older store"),
        pytest.param("7.0\n", {}, 7.0, RENEWED, "7.0", "7.0", id="no record, the same score"),
        pytest.param("5.0\n", {"score": None}, 7.0, CHANGED, "5.0", "7.0", id="a record that tells no score"),
        pytest.param("5.0\n", {"score": True}, 7.0, CHANGED, "5.0", "7.0", id="a record with nonsense"),
        pytest.param("5.0\n", {"score": 10**400}, 7.0, CHANGED, "5.0", "7.0", id="a record beyond any float"),
        pytest.param("void: plagiarised\n", NOW, 7.0, BY_HAND, NO_NUMBER, "7.0", id="a remark in place of a score"),
        pytest.param("void\n", REFUSED, 7.0, BY_HAND, NO_NUMBER, "7.0", id="a remark after a refusal"),
        pytest.param("10\n", NOW, None, BY_HAND, NO_NUMBER, UNSCORED, id="a number out of range"),
        pytest.param("void\n", {}, 7.0, CHANGED, NO_NUMBER, "7.0", id="a remark without a record"),
        pytest.param("void\n", {"score": None}, 7.0, CHANGED, NO_NUMBER, "7.0", id="a remark, no score on record"),
    ],
)
def test_what_a_new_verdict_means(
    parsed: str | None, record: dict[str, Any], score: float | None, effect: Effect, before: str, after: str
) -> None:
    """The decision has the effect, and the score before and after."""
    assert decide(parsed, VerdictRecord(record), verdict(score)) == Decision(
        effect=effect, before=before, after=after
    )


@pytest.mark.parametrize(
    ("parsed", "came_with", "effect"),
    [
        pytest.param("5.0\n", OLD | {"score": 5.0}, CHANGED, id="as it came"),
        pytest.param("5.0\n", {}, CHANGED, id="it came with no record"),
        pytest.param("4.0\n", OLD | {"score": 5.0}, BY_HAND, id="edited in place since"),
        pytest.param("5.0\n", OLD | REFUSED, BY_HAND, id="a person's, and kept nevertheless"),
        pytest.param("void\n", {}, CHANGED, id="a remark that came with no record"),
        pytest.param("void\n", OLD | {"score": 5.0}, BY_HAND, id="a remark written in place since"),
    ],
)
def test_a_replacement_that_died_is_not_a_correction(parsed: str, came_with: dict[str, Any], effect: Effect) -> None:
    """A score that differs from a newer record is a correction, unless it belongs to the record that was replaced."""
    assert decide(parsed, VerdictRecord(NOW), verdict(7.0), half_replaced=VerdictRecord(came_with)).effect is effect


@pytest.mark.parametrize(
    ("conf", "request_"),
    [
        pytest.param({}, ReparseRequest(), id="nothing: the whole store, shown"),
        pytest.param({"cohort_id": None, "templates": None, "write": None}, ReparseRequest(), id="nulls"),
        pytest.param(
            {"cohort_id": "c", "templates": ["a", "b"], "write": True},
            ReparseRequest(cohort_id="c", templates=("a", "b"), write=True),
            id="all",
        ),
    ],
)
def test_a_conf_becomes_a_request(conf: dict[str, Any], request_: ReparseRequest) -> None:
    """A key that is absent or null gets its default."""
    checked = parse_reparse_request(conf)
    assert (checked.value, checked.problems) == (request_, ())


@pytest.mark.parametrize(
    ("conf", "messages"),
    [
        pytest.param({"wirte": True}, ["conf: wirte: there is no such setting", 'Did you mean "write"?'], id="key"),
        pytest.param({"write": "yes"}, ["conf: write: 'yes' is not valid. Write true or false."], id="write"),
        pytest.param({"cohort_id": "../x"}, ["conf: cohort_id: '../x' is not valid."], id="cohort"),
        pytest.param({"templates": []}, ["conf: templates: [] is not valid."], id="no template"),
        pytest.param({"templates": ["a", "a"]}, ["entry 2: a is listed twice."], id="a template twice"),
        pytest.param({"write": 1, "templates": "a"}, ["conf: write", "conf: templates"], id="all at once"),
    ],
)
def test_a_wrong_conf_is_reported(conf: dict[str, Any], messages: list[str]) -> None:
    """Every mistake is reported with its key."""
    problems = "\n".join(map(str, parse_reparse_request(conf).problems))
    for message in messages:
        assert message in problems


def row(gen_id: str, effect: Effect = CHANGED, why: str = "in_last_line 2") -> Reparsed:
    """Return one evaluation of a report."""
    return Reparsed(gen_id=gen_id, effect=effect, cell=Cell("e_1", "t", "m"), before="7.0", after="5.0", why=why)


def report(*rows: Reparsed, written: bool = False, stale: tuple[str, ...] = ()) -> ReparseReport:
    """Return a report of these rows."""
    counts = {effect: sum(each.effect is effect for each in rows) for effect in Effect}
    return ReparseReport(written=written, counts=counts, rows=rows, stale_cohorts=stale)


def test_the_table_shows_exactly_the_changed_evaluations() -> None:
    """Each changed row has an aligned line; renewed and unchanged rows have none."""
    text = changes_text(report(row("v_1"), row("v_22"), row("v_3", RENEWED), row("v_4", UNCHANGED)))
    assert text.splitlines()[:3] == [
        "gen_id  essay  template  model  before  after  why",
        "v_1     e_1    t         m      7.0     5.0    in_last_line 2",
        "v_22    e_1    t         m      7.0     5.0    in_last_line 2",
    ]
    assert "v_3" not in text
    assert "v_4" not in text
    assert changes_text(report(row("v_3", RENEWED))) == ""


def test_a_long_table_is_cut_and_its_rest_counted() -> None:
    """With `max_rows` the table ends with the number of the other rows."""
    text = changes_text(report(*(row(f"v_{number}") for number in range(1_205))), 200)
    assert text.rstrip().endswith("\nand 1,005 more")
    assert text.count("v_") == 200


def test_evaluations_with_the_same_reason_share_a_line() -> None:
    """The line has five names and the number of the others."""
    skipped = [row(f"v_{number}", Effect.SKIPPED, "the template is gone") for number in range(9)]
    text = changes_text(report(*skipped, row("x", Effect.DAMAGED, "it cannot be read")))
    assert text.splitlines()[0] == "Skipped: v_0, v_1, v_2, v_3, v_4 and 4 more: the template is gone"
    assert text.splitlines()[1] == "Damaged: x: it cannot be read"


def test_unprintable_text_is_made_visible() -> None:
    """The files of a store may contain any characters."""
    assert "'a\\nb'" in changes_text(report(row("v_1", why="a\nb")))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(report(row("v", UNCHANGED)), "1 evaluation: 1 unchanged. LLM calls: 0.", id="counts"),
        pytest.param(report(row("v", UNCHANGED)), "Nothing was written.", id="nothing to do"),
        pytest.param(report(row("v")), "Nothing was written. Add --write to apply the changes", id="only shown"),
        pytest.param(report(row("v", RENEWED), written=True), "No score changed.", id="renewed"),
        pytest.param(report(row("v"), written=True), "Next: cohorts aggregate", id="aggregate"),
        pytest.param(
            report(row("v"), written=True, stale=("a", "b")), "report.html of a, b. Next: trigger", id="stale"
        ),
        pytest.param(report(), "0 evaluations. LLM calls: 0.", id="an empty store"),
    ],
)
def test_the_totals_say_what_to_do_next(given: ReparseReport, message: str) -> None:
    """The text names the next step, and says that nothing was called."""
    assert message in totals_text(given)


def test_the_counts_add_up() -> None:
    """Each evaluation is in exactly one count."""
    counted = report(*(row(effect.value, effect) for effect in Effect)).to_xcom()
    assert counted["evaluations"] == len(Effect) == sum(counted[effect.value] for effect in Effect)
    assert counted["llm_calls"] == 0
