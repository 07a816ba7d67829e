"""The command `drift`: what it pays for, what it compares, and what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from essay_cohorts.ids import drift_cohort_id
from essay_cohorts.selecting.aggregated_scores import aggregate_scores
from tests.answer_server import Answer, AnswerServer
from tests.cli.command import FinishedCommand, run_command, run_process
from tests.conftest import PlayedDag
from tests.store_builder import StoreBuilder

ESSAYS = 6
CONF: dict[str, Any] = {"cohort_id": "first", "models": ["judge-a"], "replicates": 1}


def answer(score: float, model: str = "vendor/a-1") -> Answer:
    """Return a reply with this score."""
    message = {"role": "assistant", "content": f"SCORE: {score}"}
    return Answer(body={"model": model, "choices": [{"message": message, "finish_reason": "stop"}]})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnswerServer]:
    """Serve a judge that gives essay number n the score n, and set its Connection."""
    with AnswerServer(answers=[], by_essay={n: answer(n) for n in range(1, ESSAYS + 1)}).serving() as serving:
        extra = {"max_attempts": 1, "first_wait_s": 0.001, "longest_wait_s": 0.002}
        value = json.dumps({"host": serving.base_url, "password": "sk-local", "extra": extra})
        monkeypatch.setenv("AIRFLOW_CONN_LLM_DEFAULT", value)
        yield serving


@pytest.fixture
def judged(store: StoreBuilder, server: AnswerServer) -> StoreBuilder:
    """Return a store in which judge-a has scored six essays under two templates."""
    store.backfill(*(store.essay(number) for number in range(1, ESSAYS + 1)))
    assert PlayedDag(root=store.root, base_url=server.base_url).run(CONF).summary.complete
    aggregate_scores(store.root)
    server.asked.clear()
    return store


def drift(store: StoreBuilder, *words: str) -> FinishedCommand:
    """Run `cohorts drift --model judge-a`."""
    return run_command("drift", "--model", "judge-a", *words, "--data-root", store.root)


def found(done: FinishedCommand) -> dict[str, Any]:
    """Return the JSON that the command printed."""
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def change_model(server: AnswerServer) -> None:
    """Make the judge score up to one point higher, as another version of its model."""
    server.by_essay = {n: answer(n + (1 if n % 2 else 0.5), "vendor/a-2") for n in range(1, ESSAYS + 1)}


def test_a_sample_is_judged_again_and_compared(judged: StoreBuilder, server: AnswerServer) -> None:
    """The sample is a cohort of its own with its own evaluations; the former ones stay as they are."""
    former = judged.files("gens/evaluation")
    change_model(server)
    done = found(drift(judged, "--sample", "6", "--yes", "--json"))
    assert (done["essays"], len(server.asked)) == (6, 12)
    assert done["cohort_id"].startswith("drift-judge-a-20")
    assert done["versions"] == {
        "former": [{"response_model": "vendor/a-1", "system_fingerprint": "", "scores": 12}],
        "new": [{"response_model": "vendor/a-2", "system_fingerprint": "", "scores": 12}],
    }
    assert [each["template_id"] for each in done["drift"]] == ["novelty", "coherence"]
    for each in done["drift"]:
        assert each["difference"]["value"] == pytest.approx(0.75)
        assert each["verdict"].startswith("judge-a scores 0.75 higher than in the former replies (")
    assert done["left_out"] == {}
    now = judged.files("gens/evaluation")
    assert {name: now[name] for name in former} == former


def test_the_same_day_pays_for_nothing_that_exists(judged: StoreBuilder, server: AnswerServer) -> None:
    """The second command compares again without a call, also after `aggregate`; a larger sample adds the rest."""
    first = found(drift(judged, "--sample", "3", "--template", "novelty", "--yes", "--json"))
    aggregate_scores(judged.root)
    again = drift(judged, "--sample", "3", "--template", "novelty", "--json")
    assert (again.returncode, len(server.asked)) == (0, 3)
    assert found(again)["drift"] == first["drift"]
    assert found(again)["left_out"] == {}
    smaller = found(drift(judged, "--sample", "1", "--template", "novelty", "--yes", "--json"))
    assert (smaller["essays"], len(server.asked)) == (3, 3)
    larger = found(drift(judged, "--sample", "5", "--template", "novelty", "--yes", "--json"))
    assert (larger["essays"], len(server.asked)) == (5, 5)
    looked = drift(judged, "--again", first["cohort_id"], "--json")
    assert (found(looked)["drift"], len(server.asked)) == (larger["drift"], 5)


def test_the_words_say_what_was_done(judged: StoreBuilder) -> None:
    """The command says what it judges, which model answered, and that no drift was seen."""
    text = drift(judged, "--sample", "4", "--yes").stdout
    assert "judge-a judges 4 of 6 essays again, as cohort drift-judge-a-20" in text
    assert "novelty: no drift seen: each essay has the same score as before." in text
    assert "Model that gave the new scores: vendor/a-1 (8)" in text


def test_scores_of_another_prompt_are_left_out(judged: StoreBuilder, server: AnswerServer) -> None:
    """A score that today's prompt would not give is not compared, and the command says how many there are."""
    judged.write("gens/essay/e_essay1/parsed.txt", "Essay number 1. Another text.")
    done = found(drift(judged, "--sample", "9", "--yes", "--json"))
    assert (done["essays"], done["left_out"]) == (5, {"with another prompt than today's": 2})
    assert len(server.asked) == 10


def test_a_later_check_compares_with_the_first_scores(judged: StoreBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of a former drift cohort are no former scores, unless --cohort names that cohort."""
    first = found(drift(judged, "--sample", "3", "--template", "novelty", "--yes", "--json"))["cohort_id"]
    aggregate_scores(judged.root)
    monkeypatch.setattr("essay_cohorts.cli.drift.drift_cohort_id", lambda *_: "drift-later")
    later = found(drift(judged, "--sample", "6", "--template", "novelty", "--yes", "--json"))
    assert (later["essays"], later["left_out"]) == (6, {"that a former drift cohort made": 3})
    of_first = found(drift(judged, "--sample", "6", "--template", "novelty", "--cohort", first, "--yes", "--json"))
    assert (of_first["essays"], of_first["drift"][0]["former_scores"]) == (3, 3)


def test_a_former_check_is_not_compared_with_scores_of_a_newer_prompt(
    judged: StoreBuilder, server: AnswerServer
) -> None:
    """After a change of the template, --again pairs no new score of the old prompt with a score of the new one."""
    words = ("--sample", "3", "--template", "novelty", "--yes", "--json")
    former = found(drift(judged, *words))["cohort_id"]
    template = "1_raw/templates/evaluation/novelty.txt"
    judged.write(template, judged.read(template) + "Be strict.\n")
    conf = {**CONF, "cohort_id": "second", "include_existing_evaluations": False}
    PlayedDag(root=judged.root, base_url=server.base_url).run(conf, run_id="second")
    aggregate_scores(judged.root)
    [each] = found(drift(judged, "--template", "novelty", "--again", former, "--json"))["drift"]
    assert (each["former_scores"], each["new_scored"], each["new_planned"]) == (3, 0, 3)
    assert each["verdict"].startswith("no statement")


def test_a_cap_leaves_the_rest_to_another_command(judged: StoreBuilder, server: AnswerServer) -> None:
    """The command stops at its cap, compares what there is, and exits with 1."""
    done = drift(judged, "--sample", "6", "--template", "novelty", "--yes", "--max-llm-calls", "2", "--json")
    assert (done.returncode, len(server.asked)) == (1, 2)
    assert "4 deferred" in done.stderr
    [each] = found(done)["drift"]
    assert (each["new_scored"], each["new_planned"], each["difference"]["essays"]) == (2, 6, 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(("--sample", "3"), "it cannot ask. Give --yes", id="nobody to ask"),
        pytest.param((), "neither --sample nor --again is given.", id="no sample"),
        pytest.param(("--sample", "3", "--again", "x"), "both --sample and --again are given.", id="both"),
        pytest.param(("--again", "x"), "there is no cohort x", id="no drift cohort"),
        pytest.param(("--again", "../x"), "is not a valid cohort id", id="an id that is none"),
        pytest.param(("--sample", "3", "--template", "novelti"), 'Did you mean "novelty"?', id="template"),
        pytest.param(("--sample", "3", "--cohort", "x"), "there is no cohort x", id="no cohort"),
        pytest.param(("--sample", "3", "--model", "judge-x"), '"judge-x" is not a model', id="judge"),
        pytest.param(("--sample", "3", "--model", "judge-b"), "no score of judge-b can be compared", id="no scores"),
    ],
)
def test_bad_input_is_one_message(
    judged: StoreBuilder, server: AnswerServer, words: tuple[str, ...], message: str
) -> None:
    """Nothing is written and nothing is called."""
    tree = judged.tree_hash()
    done = drift(judged, *words)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert (judged.tree_hash(), len(server.asked)) == (tree, 0)


def test_a_cohort_of_another_judge_is_refused(judged: StoreBuilder, server: AnswerServer) -> None:
    """--again names the judge's own drift cohort."""
    PlayedDag(root=judged.root, base_url=server.base_url).run({**CONF, "cohort_id": "second", "models": ["judge-b"]})
    aggregate_scores(judged.root)
    done = run_command("drift", "--model", "judge-b", "--again", "first", "--data-root", judged.root)
    assert (done.returncode, "first has no evaluation of judge-b under novelty, coherence." in done.stderr) == (
        2,
        True,
    )


def test_warnings_do_not_break_the_json(judged: StoreBuilder) -> None:
    """In a process of its own, the command prints only JSON on stdout, and the plan's warnings on stderr."""
    done = run_process("drift", "--model", "judge-a", "--sample", "2", "--yes", "--json", "--data-root", judged.root)
    assert found(done)["essays"] == 2
    assert "are not reused" not in done.stderr
    judged.write("1_raw/templates/evaluation/novelty.txt", "{{ response }}\nMark it from 1 to 5: SCORE: n")
    essays = sorted(path.name for path in (judged.root / "gens/essay").iterdir())
    conf = json.dumps({"essay_ids": essays, "changed_inputs": "keep"})
    words = ("--conf", conf, "--cohort", "fresh", "--json", "--data-root", judged.root)
    planned = run_process("plan", *words)
    assert 'it speaks of a score "from 1 to 5", but its scores are from 0 to 9.' in planned.stderr
    assert json.loads(planned.stdout)["cohort_id"] == "fresh"


def test_templates_without_a_shared_essay_are_named(store: StoreBuilder, server: AnswerServer) -> None:
    """The command asks for one template where no essay has scores under all of them."""
    store.backfill(store.essay(1), store.essay(2))
    dag = PlayedDag(root=store.root, base_url=server.base_url)
    for number, template in enumerate(("novelty", "coherence"), start=1):
        essays = {"essay_ids": [f"e_essay{number}"], "templates": [template]}
        dag.run({**CONF, **essays, "cohort_id": template}, run_id=template)
    aggregate_scores(store.root)
    done = drift(store, "--sample", "2", "--yes")
    assert "no essay has scores of judge-a under each of" in done.stderr
    assert "--template" in done.stderr


@pytest.mark.parametrize(
    ("model", "template", "expected"),
    [
        pytest.param("judge-a", None, "drift-judge-a-2026-01-02", id="a judge"),
        pytest.param("judge-a", "novelty", "drift-judge-a-novelty-2026-01-02", id="a judge and a template"),
        pytest.param("vendor/a", None, "drift-a8a9650b7cc8-2026-01-02", id="a name that is no id"),
    ],
)
def test_the_cohort_is_named_by_judge_and_day(model: str, template: str | None, expected: str) -> None:
    """A name that cannot be part of an id is replaced by its hash."""
    assert drift_cohort_id(model, template, "2026-01-02") == expected
    assert len(drift_cohort_id("m" * 100, "t" * 100, "2026-01-02")) < 100
