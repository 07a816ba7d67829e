"""Runs with templates on other scales and with criteria: prompts, requests, scores, files and statistics."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from essay_cohorts.domain import Outcome
from essay_cohorts.exporting.tables import export_rows
from essay_cohorts.rubric import Scale
from essay_cohorts.statistics.frame import cohort_frame, rows_of_criterion
from essay_cohorts.statistics.means import score_means
from essay_cohorts.views.snapshot import read_snapshot
from tests.answer_server import Answer, AnswerServer
from tests.cli.command import run_command
from tests.conftest import PlayedDag
from tests.store_builder import StoreBuilder

HEADER = "template_id,active,parser,score_min,score_max,criteria,overall,response_format"
SCALE_TEXT = "{{ response }}\nWrite a score from {{ score_min }} to {{ score_max }}:\nSCORE: <number>"
CRITERIA_TEXT = (
    "{{ response }}\nScores are from {{ score_min }} to {{ score_max }}:\n"
    "{% for name in criteria %}{{ name | upper }}: <number>\n{% endfor %}SCORE: <number>"
)
CONF = {"cohort_id": "c", "replicates": 2}


def template(store: StoreBuilder, cells: str, text: str = SCALE_TEXT) -> None:
    """Let the store have one essay, one judge, and one template with these cells."""
    store.write("1_raw/evaluation_templates.csv", f"{HEADER}\nown,1,{cells}\n")
    store.write("1_raw/templates/evaluation/own.txt", text)
    store.models("judge-a")


@pytest.fixture
def essays(store: StoreBuilder) -> list[str]:
    """Return three selected essays."""
    essays = [store.essay(number) for number in (1, 2, 3)]
    store.backfill(*essays)
    return essays


def test_a_scale_of_one_to_five(store: StoreBuilder, dag: PlayedDag, essays: list[str]) -> None:
    """The prompt names the scale, every score is on it, and files and statistics tell it."""
    template(store, ",1,5,,,")
    done = dag.run(CONF)
    assert done.summary.totals.scored == 6
    rows = store.rows("cohorts/c/scores.csv")
    assert {(row["score_min"], row["score_max"]) for row in rows} == {("1", "5")}
    assert all(1 <= float(row["score"]) <= 5 for row in rows)
    assert "Write a score from 1 to 5:" in store.read(f"gens/evaluation/{rows[0]['gen_id']}/prompt.txt")
    verdict = json.loads(store.read(f"gens/evaluation/{rows[0]['gen_id']}/parsed_metadata.json"))
    assert verdict["parser_version"] == "2+scale=1..5"
    assert "Scores are from 1 to 5." in store.read("cohorts/c/report.html")
    snapshot = read_snapshot(dag.settings, "c")
    assert {row.scale for row in snapshot.rows} == {Scale(1, 5)}
    [mean, _] = score_means(cohort_frame(snapshot.rows))
    assert mean.mean.value is not None
    assert 1 <= mean.mean.value <= 5
    assert not (store.root / "cohorts/c/criteria.csv").exists()
    assert dag.run(CONF, run_id="again").planned.call == 0


def test_criteria_are_stored_and_summed_up(store: StoreBuilder, dag: PlayedDag, essays: list[str]) -> None:
    """Each criterion has a score in the verdict, a row in criteria.csv, and statistics of its own."""
    template(store, ",1,5,novelty;clarity,,", CRITERIA_TEXT)
    dag.run(CONF)
    rows = store.rows("cohorts/c/criteria.csv")
    assert len(rows) == 12
    assert {(row["criterion"], row["score_min"], row["score_max"]) for row in rows} == {
        ("novelty", "1", "5"),
        ("clarity", "1", "5"),
    }
    verdict = json.loads(store.read(f"gens/evaluation/{rows[0]['gen_id']}/parsed_metadata.json"))
    assert [str(verdict["criteria"][row["criterion"]]["score"]) for row in rows[:2]] == [
        row["score"] for row in rows[:2]
    ]
    snapshot = read_snapshot(dag.settings, "c")
    assert snapshot.criteria == ("novelty", "clarity")
    of_novelty = [float(row["score"]) for row in rows if row["criterion"] == "novelty"]
    found = rows_of_criterion(snapshot.rows, "novelty")
    assert [row.score for row in found] == of_novelty
    shown = run_command(
        "statistics", "--cohort", "c", "--criterion", "novelty", "--json", "--data-root", store.root
    ).stdout
    assert json.loads(shown)["means"][0]["mean"]["value"] == pytest.approx(sum(of_novelty) / len(of_novelty))
    wrong = run_command("statistics", "--cohort", "c", "--criterion", "novelt", "--data-root", store.root)
    assert (wrong.returncode, 'Did you mean "novelty"?' in wrong.stderr) == (2, True)


def test_the_export_has_scale_and_criteria(store: StoreBuilder, dag: PlayedDag, essays: list[str]) -> None:
    """A row has the scale of its score and the scores of its criteria; a row without a score has neither."""
    template(store, ",1,5,novelty;clarity,,", CRITERIA_TEXT)
    dag.run({**CONF, "essay_ids": essays[:1]})
    dag.plan({**CONF, "essay_ids": essays[:2]}, run_id="more")
    done, _, missing, _ = sorted(export_rows(store.root), key=lambda row: (row.essay_id, row.gen_id))
    assert (done.score_min, done.score_max) == (1.0, 5.0)
    assert list(json.loads(done.criteria)) == ["novelty", "clarity"]
    assert (missing.score_min, missing.score_max, missing.criteria) == (None, None, "")


def test_rows_without_a_read_file_have_the_same_criteria(
    store: StoreBuilder, dag: PlayedDag, essays: list[str]
) -> None:
    """The page reads criteria.csv for rows that scores.csv has; the result is that of reading every evaluation."""
    template(store, ",1,5,novelty;clarity,,", CRITERIA_TEXT)
    dag.run(CONF)
    read = read_snapshot(dag.settings, "c").rows
    (store.root / "cohorts/c/scores.csv").unlink()
    assert [row.criteria for row in read_snapshot(dag.settings, "c").rows] == [row.criteria for row in read]
    assert all(len(row.criteria) == 2 for row in read)


def test_structured_output(store: StoreBuilder, dag: PlayedDag, essays: list[str]) -> None:
    """The request asks for JSON of the rubric's form, the reply has it, and the prompt on disk keeps it."""
    template(store, "json,1,5,novelty;clarity,mean,json_schema", "{{ response }}\nJudge novelty and clarity.")
    done = dag.run(CONF)
    assert done.summary.totals.scored == 6
    row = store.rows("cohorts/c/scores.csv")[0]
    folder = f"gens/evaluation/{row['gen_id']}"
    sent = json.loads(store.read(f"{folder}/response_format.json"))
    schema = sent["json_schema"]["schema"]
    assert sent["type"] == "json_schema"
    assert schema["properties"]["novelty"] == {"type": "number", "minimum": 1, "maximum": 5}
    assert schema["required"] == list(schema["properties"]) == ["explanation", "novelty", "clarity"]
    verdict = json.loads(store.read(f"{folder}/parsed_metadata.json"))
    scores = [each["score"] for each in verdict["criteria"].values()]
    assert verdict["score"] == pytest.approx(sum(scores) / 2)
    # Without the column it is another request, so the existing replies are not taken for today's.
    template(store, "json,1,5,novelty;clarity,mean,", "{{ response }}\nJudge novelty and clarity.")
    again = dag.plan({**CONF, "changed_inputs": "ask_again", "dry_run": True}, run_id="again")
    assert again.call == 6


def test_a_server_without_structured_output_is_named(store: StoreBuilder, dag: PlayedDag, essays: list[str]) -> None:
    """A refusal with 400 says which column to empty."""
    template(store, "json,,,,,json_schema")
    message = "'response_format' of type 'json_schema' is not supported"
    refused = Answer(body={"error": {"message": message, "param": "response_format"}}, status=400)
    with AnswerServer(answers=[refused]).serving() as server:
        dag.base_url = server.base_url
        done = dag.run({**CONF, "replicates": 1})
    assert server.asked[0]["response_format"]["type"] == "json_schema"
    assert done.summary.totals.failed == 3
    step = "Empty the column response_format of 1_raw/evaluation_templates.csv, and let the prompt ask for JSON"
    assert step in done.summary.message


def test_a_score_on_a_former_scale_does_not_count(store: StoreBuilder, dag: PlayedDag, essays: list[str]) -> None:
    """After the scale of a template changed, its former scores are unscored with a reason; reading again helps."""
    text = "{{ response }}\nSCORE: <number from 0 to 5>"
    template(store, ",0,5,,,", text)
    dag.run(CONF)
    before = [row["score"] for row in store.rows("cohorts/c/scores.csv")]
    template(store, ",,9,,,", text)
    done = dag.run({**CONF, "max_unscored": 6}, run_id="wider")
    assert (done.planned.call, done.summary.totals.unscored) == (0, 6)
    [reason] = {row["reason"].partition(" is from ")[2] for row in store.rows("cohorts/c/scores.csv")}
    assert reason.startswith("0 to 5, and its template's scores are from 0 to 9: run cohorts reparse")
    rows = read_snapshot(dag.settings, "c").rows
    assert {row.outcome for row in rows} == {Outcome.UNSCORED}
    assert run_command("reparse", "--write", "--data-root", store.root).returncode == 0
    dag.run(CONF, run_id="read again")
    after = store.rows("cohorts/c/scores.csv")
    assert [row["score"] for row in after] == before
    assert {row["score_max"] for row in after} == {"9"}


def test_two_scales_are_never_pooled(store: StoreBuilder, dag: PlayedDag, essays: list[str]) -> None:
    """Templates on two scales have bins, ranges and differences of their own; they are not compared."""
    store.write("1_raw/evaluation_templates.csv", f"{HEADER}\nfive,1,,1,5,,,\nhundred,1,,0,100,,,\n")
    for name in ("five", "hundred"):
        store.write(f"1_raw/templates/evaluation/{name}.txt", SCALE_TEXT)
    store.models("judge-a")
    dag.run(CONF)
    report = store.read("cohorts/c/report.html")
    assert "Scores are from 1 to 5 (five), 0 to 100 (hundred)." in report
    shown = run_command("difference", "--cohort", "c", "--templates", "five", "hundred", "--data-root", store.root)
    assert "the two are on different scales" in shown.stdout


def test_a_store_with_two_scales_of_a_template_says_so(
    store: StoreBuilder, dag: PlayedDag, essays: list[str]
) -> None:
    """Over the whole store the scale of most scores counts, and a mark says what is left out."""
    template(store, ",1,5,,,")
    dag.run(CONF)
    template(store, ",1,10,,,")
    dag.run({"cohort_id": "d", "replicates": 1, "include_existing_evaluations": False}, run_id="d")
    run_command("aggregate", "--data-root", store.root)
    shown = run_command("statistics", "--data-root", store.root).stdout
    assert "≠ own by judge-a: mixes" in shown
    assert "scores from 1 to 5 and 1 to 10, of which one scale counts" in shown
    assert "6/9" in shown


def test_rows_are_read_again_when_their_scale_differs(store: StoreBuilder, dag: PlayedDag, essays: list[str]) -> None:
    """A row of scores.csv on another scale than the plan's is not taken over by the page."""
    template(store, ",0,5,,,")
    dag.run(CONF)
    dag.plan({**CONF, "dry_run": False}, run_id="planned")
    known = read_snapshot(dag.settings, "c").rows
    template(store, ",,9,,,")
    dag.plan({**CONF, "changed_inputs": "keep"}, run_id="wider")
    rows = read_snapshot(dag.settings, "c").rows
    assert [row.score for row in rows] == [None] * 6
    assert [replace(row, score=None).member for row in known] == [row.member for row in rows]
