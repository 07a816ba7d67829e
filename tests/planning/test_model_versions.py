"""A judge that answered as several versions of its model: recorded with each reply, and warned about in a plan."""

from __future__ import annotations

import json
from typing import Any

import pytest

from essay_cohorts.domain import RunRef
from essay_cohorts.planning.plan_warnings import mixed_versions
from essay_cohorts.planning.prepare import prepare
from essay_cohorts.provenance import ModelVersion
from essay_cohorts.views.snapshot import read_snapshot
from tests.answer_server import Answer, AnswerServer
from tests.conftest import API_KEY, PlayedDag
from tests.store_builder import StoreBuilder

CONF: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"], "replicates": 1}
RUN = RunRef("dag", "run")
MANY = "as m-0 in 1 evaluation, as m-1 in 1, as m-2 in 1 and otherwise in 2"
PRINTS = "with the fingerprint f in 3 evaluations and with the fingerprint g in 1"
FIVE = "scores of 5 versions are mixed"
STATES = "its server was in 2 states, which may score differently"
MIXED = "scores of 2 versions are mixed"
DRIFT = "`cohorts drift --model judge-a --sample 20` shows the difference."


def versions(*counts: tuple[str, str, int]) -> list[tuple[str, ModelVersion]]:
    """Return the versions of replies of judge-a, from (model, fingerprint, number of replies)."""
    return [("judge-a", ModelVersion(*names)) for *names, count in counts for _ in range(count)]


@pytest.mark.parametrize(
    ("answered", "warnings"),
    [
        pytest.param([], [], id="no replies"),
        pytest.param(versions(("m", "f", 3)), [], id="one version"),
        pytest.param(versions(("m", "f", 3), ("", "", 2), ("m", "", 1)), [], id="versions that were not recorded"),
        pytest.param(
            versions(("m-2", "", 2), ("m-1", "", 1200)),
            [f"judge-a answered as m-1 in 1,200 evaluations and as m-2 in 2: {MIXED}; {DRIFT}"],
            id="two models",
        ),
        pytest.param(
            versions(("m-1", "f", 1), ("m-2", "g", 1)),
            [f"judge-a answered as m-1 in 1 evaluation and as m-2 in 1: scores of 2 versions are mixed; {DRIFT}"],
            id="models come before fingerprints",
        ),
        pytest.param(
            versions(("m", "f", 3), ("m", "g", 1)),
            [f"judge-a answered {PRINTS}: {STATES}; {DRIFT}"],
            id="two fingerprints",
        ),
        pytest.param(
            versions(*((f"m-{n}", "", 1) for n in range(5))),
            [f"judge-a answered {MANY}: {FIVE}; {DRIFT}"],
            id="many",
        ),
        pytest.param([("a b", ModelVersion("m")), ("judge-a", ModelVersion("n"))], [], id="two judges"),
    ],
)
def test_each_judge_with_several_versions_is_warned_about(
    answered: list[tuple[str, ModelVersion]], warnings: list[str]
) -> None:
    """The warning counts the evaluations of each version and names the command that compares them."""
    assert list(mixed_versions(answered)) == warnings


def test_the_judge_in_the_command_is_quoted() -> None:
    """The command can be pasted into a shell, whatever the judge's id is."""
    [warning] = mixed_versions([("a b", ModelVersion("m")), ("a b", ModelVersion("n"))])
    assert "--model 'a b' --sample" in warning


def answer(model: str, fingerprint: object) -> Answer:
    """Return a reply of a server that names its model and its state."""
    message = {"role": "assistant", "content": "SCORE: 7"}
    body = {"model": model, "choices": [{"message": message, "finish_reason": "stop"}]}
    return Answer(body=body if fingerprint is None else {**body, "system_fingerprint": fingerprint})


@pytest.mark.parametrize(
    ("sent", "recorded"),
    [
        pytest.param("fp_1", "fp_1", id="sent"),
        pytest.param(None, None, id="not sent"),
        pytest.param(7, None, id="not a text"),
        pytest.param(f"fp {API_KEY}", "fp ***", id="with the key"),
    ],
)
def test_the_fingerprint_is_recorded(store: StoreBuilder, sent: object, recorded: str | None) -> None:
    """raw_metadata.json and scores.csv have the fingerprint that the server sent, without the key."""
    store.backfill(store.essay(1))
    with AnswerServer(answers=[answer("vendor/a-1", sent)]).serving() as server:
        PlayedDag(root=store.root, base_url=server.base_url).run(CONF)
    [row] = store.rows("cohorts/c/scores.csv")
    record = json.loads(store.read(f"gens/evaluation/{row['gen_id']}/raw_metadata.json"))
    assert record.get("system_fingerprint") == recorded
    assert row["system_fingerprint"] == (recorded or "")


def test_a_cohort_of_two_versions_is_warned_about_and_marked(store: StoreBuilder) -> None:
    """The next plan warns; the page and the report mark the figures of the judge, and their keys say why."""
    store.backfill(store.essay(1), store.essay(2))
    answers = [answer("vendor/a-1", "f"), answer("vendor/a-2", "g")]
    with AnswerServer(answers=answers).serving() as server:
        dag = PlayedDag(root=store.root, base_url=server.base_url)
        dag.run(CONF)
    warnings = prepare(dag.settings, CONF, RUN, by_index=True).warnings
    expected = "judge-a answered as vendor/a-1 in 1 evaluation and as vendor/a-2 in 1: scores of 2 versions are mixed"
    assert [warning for warning in warnings if warning.startswith(expected)]
    assert read_snapshot(dag.settings, "c").mixed.describe("novelty", "judge-a") == "2 versions of the model"
    report = store.read("cohorts/c/report.html")
    assert "≠ mixes 2 versions of the model" in report
    assert "≠ mixes scores of several prompts, settings or versions of a model" in report
