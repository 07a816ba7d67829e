"""People's scores in the store are never called, never missing, and never taken for a judge's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from essay_cohorts.backfill.plan_cohort import plan_cohort
from essay_cohorts.domain import Action, Cell, RunRef, is_human
from essay_cohorts.errors import BadInput
from essay_cohorts.exporting.tables import export_rows
from essay_cohorts.maintenance.set_aside import find_made_up
from essay_cohorts.maintenance.verify import find_damage, other_settings
from essay_cohorts.planning.prepare import prepare
from essay_cohorts.provenance import OFFLINE_OK
from essay_cohorts.reparsing.reparse import reparse
from essay_cohorts.reparsing.rules import ReparseRequest
from essay_cohorts.selecting.aggregated_scores import AGGREGATED, STORE_PIVOT, aggregate_scores
from essay_cohorts.selecting.selection_writer import Ranking, missing_essays, top_essays
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_history import read_evaluation
from essay_cohorts.views.snapshot import read_snapshot
from essay_cohorts.views.status import cohort_status
from tests.cli.command import run_command
from tests.conftest import task_ref
from tests.store_builder import StoreBuilder

RUN = RunRef("evaluation_backfill", "run-1")


@pytest.fixture
def settings(store: StoreBuilder) -> Settings:
    """Return settings without a cohort_id."""
    return Settings(data_root=store.root)


@pytest.fixture
def rated(store: StoreBuilder) -> StoreBuilder:
    """Return a store with two essays: both judged once by novelty, both rated by anna, by novelty and coherence."""
    store.backfill(store.essay(1), store.essay(2))
    for number, score in ((1, 6.0), (2, 3.0)):
        essay = f"e_essay{number}"
        store.evaluation(f"v_{number}", essay, score=score)
        store.rating(f"v_n{number}", essay, "anna", 9.0 - score)
        store.rating(f"v_c{number}", essay, "anna", 8.0, template="coherence")
    return store


@pytest.mark.parametrize(
    ("model", "person"),
    [("human-anna", True), ("Human-anna", True), ("human", False), ("humane-judge", False), ("judge-human-a", False)],
)
def test_the_prefix_makes_a_person(model: str, person: bool) -> None:
    """The case does not matter, because gen_ids ignore it."""
    assert is_human(model) is person


@pytest.mark.parametrize("model", ["human-anna", "HUMAN-x"])
def test_no_judge_may_have_a_person_s_id(rated: StoreBuilder, settings: Settings, model: str) -> None:
    """A plan refuses the row of llm_models.csv with its place, and so does the command that would add it."""
    rated.models("judge-a", model)
    with pytest.raises(BadInput) as error:
        prepare(settings, {}, RUN)
    [problem] = error.value.problems
    assert problem.place == "1_raw/llm_models.csv:3, column id"
    assert "begins with human-, which is reserved for the scores of people." in problem.finding
    assert problem.next_step.startswith("Give the judge another id")
    rated.models("judge-a")
    done = run_command("add-model", model, "api/x", "--data-root", rated.root)
    assert (done.returncode, "is reserved for the scores of people" in done.stderr) == (2, True)


def test_a_conf_cannot_name_a_person(rated: StoreBuilder, settings: Settings) -> None:
    """With or without the column for_evaluation, a run of a person is refused."""
    with pytest.raises(BadInput, match=r'"human-anna" is not active in 1_raw/llm_models\.csv'):
        prepare(settings, {"models": ["human-anna"]}, RUN)
    rated.write("1_raw/llm_models.csv", "id,model\njudge-a,x\nhuman-anna,y\n")
    with pytest.raises(BadInput, match="reserved for the scores of people"):
        prepare(settings, {"models": ["human-anna"]}, RUN)


@pytest.mark.parametrize("conf", [{}, {"changed_inputs": "ask_again"}, {"include_existing_evaluations": False}])
def test_a_plan_is_the_same_with_and_without_people(
    rated: StoreBuilder, settings: Settings, conf: dict[str, Any]
) -> None:
    """No cell counts a person's score as existing, in no mode, and no person is a member."""
    plan = prepare(settings, conf, RUN).plan
    assert not any(is_human(row.member.llm_model_id) for row in plan.rows)
    calls = [row for row in plan.evaluations if row.action is Action.CALL]
    kept = 0 if "include_existing_evaluations" in conf else 2
    assert len(calls) == 2 * 2 * 2 * 4 - kept
    for name in ("n1", "n2", "c1", "c2"):
        for path in (rated.root / f"gens/evaluation/v_{name}").iterdir():
            path.unlink()
        (rated.root / f"gens/evaluation/v_{name}").rmdir()
    assert prepare(settings, conf, RUN).plan == plan


def test_a_cohort_s_counts_do_not_know_people(rated: StoreBuilder, settings: Settings) -> None:
    """Status, the snapshot and the coverage of a planned cohort have the cells of judges only."""
    plan_cohort(settings, {"cohort_id": "c"}, task_ref("run-1", "plan_cohort", 1))
    status, snapshot = cohort_status(settings, "c"), read_snapshot(settings, "c")
    assert (status.total, status.unfinished) == (32, 30)
    assert {each.model_id for each in ([c.cell for c in status.cells] + [c.cell for c in snapshot.cells])} == {
        "judge-a",
        "judge-b",
    }
    assert (snapshot.with_score, snapshot.missing) == (2, 30)


@pytest.mark.parametrize("any_model", [False, True])
@pytest.mark.parametrize("retry_unscored", [False, True])
def test_a_person_s_score_covers_no_essay(rated: StoreBuilder, any_model: bool, retry_unscored: bool) -> None:
    """Both essays are missing by coherence, which only a person has scored, and the judge ranks them alone."""
    aggregate_scores(rated.root)
    ranking = Ranking(template_id="novelty", models=("judge-a",))
    choice = missing_essays(
        rated.root, ranking, target="coherence", top_n=9, any_model=any_model, retry_unscored=retry_unscored
    )
    assert [(essay.essay_id, essay.value, essay.models) for essay, _ in choice.missing] == [
        ("e_essay1", 6.0, 1),
        ("e_essay2", 3.0, 1),
    ]
    assert choice.covered == ()
    assert {short.cell.model_id for _, shorts in choice.missing for short in shorts} == {"judge-a", "judge-b"}
    assert [essay.essay_id for essay in top_essays(rated.root, Ranking(template_id="novelty"), first=1, last=9)] == [
        "e_essay1",
        "e_essay2",
    ]


def test_nobody_ranks_by_people(rated: StoreBuilder) -> None:
    """A ranking is by judges; a rater is not a model for evaluation."""
    aggregate_scores(rated.root)
    done = run_command("select-top", "--average-models", "human-anna", "--data-root", rated.root)
    assert (done.returncode, '"human-anna" is not a model for evaluation' in done.stderr) == (2, True)


def test_people_are_in_the_table_of_the_store(rated: StoreBuilder) -> None:
    """aggregated_scores.csv has them with their scale and without the path of a reply; the pivot has them, too."""
    rated.rating("v_five", "e_essay1", "bo", 4.0, version="1+scale=1..5", template="coherence")
    assert aggregate_scores(rated.root).scored == 7
    rows = {row["gen_id"]: row for row in rated.rows(AGGREGATED)}
    assert (rows["v_n1"]["evaluation_llm_model"], rows["v_n1"]["score"]) == ("human-anna", "3.0")
    assert (rows["v_n1"]["evaluation_response_path"], rows["v_n1"]["origin_cohort_id"]) == ("", "human")
    assert (rows["v_five"]["score_min"], rows["v_five"]["score_max"]) == ("1", "5")
    assert rows["v_1"]["evaluation_response_path"] == "gens/evaluation/v_1/raw.txt"
    assert "novelty__human-anna:mean" in rated.read(STORE_PIVOT).splitlines()[0]


def test_statistics_of_judges_leave_people_out(rated: StoreBuilder) -> None:
    """Means, agreement and rankings are of judges; only a difference of named models and the pivot have people."""
    aggregate_scores(rated.root)
    root = ("--data-root", rated.root)
    found = json.loads(run_command("statistics", "--json", *root).stdout)
    assert {each["model_id"] for each in found["means"]} == {None, "judge-a"}
    assert [each["template_id"] for each in found["means"]] == ["novelty", "novelty"]
    assert [each["mean"]["value"] for each in found["ranking"]] == [6.0, 3.0]
    difference = json.loads(run_command("difference", "--models", "judge-a", "human-anna", "--json", *root).stdout)
    by_template = {each["template_id"]: each["difference"] for each in difference["differences"]}
    assert (by_template["novelty"]["value"], by_template["novelty"]["essays"]) == (0.0, 2)
    templates = run_command("difference", "--templates", "novelty", "coherence", *root)
    assert 'there is no evaluation of the template "coherence"' in templates.stderr
    assert "novelty__human-anna:mean" in run_command("pivot", *root).stdout


def test_a_person_s_score_is_no_damage_and_is_not_made_up(rated: StoreBuilder, settings: Settings) -> None:
    """Verify misses no reply, set-aside moves nothing of a person, and reparse does not touch or count people."""
    (rated.root / OFFLINE_OK).unlink()
    rated.json("gens/evaluation/v_1/raw_metadata.json", {"response_model": "offline-judge-not-a-model/a"})
    store = GensDataLayer.from_root(rated.root)
    places = [problem.place for problem in find_damage(store)]
    assert places == []
    assert other_settings(rated.root) == {}
    assert find_made_up(store) == ["v_1"]
    tree = rated.tree_hash()
    report = reparse(settings, ReparseRequest(), task_ref("run-r", "reparse", 1))
    assert {row.gen_id for row in report.rows} == {"v_1", "v_2"}
    assert rated.tree_hash() == tree


@pytest.mark.parametrize(
    ("parsed", "finding", "next_step"),
    [
        pytest.param(None, "the score that a person gave, is missing", "import the person's scores again", id="none"),
        pytest.param("12.0", "holds no number from 0 to 9", "import the person's scores again with", id="off scale"),
    ],
)
def test_damage_of_a_person_s_score_leads_to_the_import(
    rated: StoreBuilder, parsed: str | None, finding: str, next_step: str
) -> None:
    """There is no raw.txt to correct the score by, and no run that would bring the score back."""
    path = rated.root / "gens/evaluation/v_n1/parsed.txt"
    path.unlink() if parsed is None else path.write_text(parsed, "utf-8")
    [problem] = find_damage(GensDataLayer.from_root(rated.root))
    assert finding in problem.finding
    assert next_step in problem.next_step
    if parsed is not None:
        shown = read_evaluation(GensDataLayer.from_root(rated.root), "v_n1").shown
        assert shown.reason.endswith("import the person's scores again with --replace")


def test_people_are_exported(rated: StoreBuilder) -> None:
    """A row of a person has a score and a state, no cost and no texts but the essay."""
    rows = {row.gen_id: row for row in export_rows(rated.root, texts=True)}
    row = rows["v_n1"]
    assert (row.llm_model_id, row.state, row.score, row.cost_usd) == ("human-anna", "scored", 3.0, None)
    assert row.texts is not None
    assert (row.texts.prompt, row.texts.reply, row.texts.reasoning) == (None, None, None)


def test_the_record_of_a_person_has_rater_criteria_and_notes(rated: StoreBuilder) -> None:
    """The history reads what the rater gave, and nothing of a reply."""
    more = {"note": "Fine.", "criteria": {"flow": {"score": 2.0, "note": "Choppy."}, "order": {"score": None}}}
    version = "1+scale=1..5+criteria=flow;order"
    rated.rating("v_more", "e_essay1", "bo", 4.0, template="coherence", version=version, more=more)
    record = read_evaluation(GensDataLayer.from_root(rated.root), "v_more")
    assert record.cell == Cell("e_essay1", "coherence", "human-bo")
    assert (record.rater, record.note, record.shown.score) == ("bo", "Fine.", 4.0)
    assert [(each.criterion, each.score, note) for each, note in record.criteria] == [
        ("flow", 2.0, "Choppy."),
        ("order", None, ""),
    ]
    assert (record.deciding_line, record.read_score, record.maker) == (None, None, None)
    assert read_evaluation(GensDataLayer.from_root(rated.root), "v_1").rater == ""
