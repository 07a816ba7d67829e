"""Judges on several servers: each connection has its own key, its own limits and its own stops."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from essay_cohorts.calling.endpoint import Endpoint
from essay_cohorts.calls import JudgeModel, Prompt
from essay_cohorts.ids import evaluation_gen_id
from essay_cohorts.llm_client.client_settings import CallRules
from essay_cohorts.llm_client.request import ApiRequests, NoReply
from tests.answer_server import Answer, AnswerServer
from tests.conftest import PlayedDag, PlayedRun, PlayedServer, task_ref
from tests.ledger_reading import claimed_by
from tests.store_builder import StoreBuilder

KEYS = {"llm_default": "sk-of-the-default-0123456789", "vllm": "sk-of-vllm-9876543210"}
# All calls are in one slice, so that the judges of all connections share its workers.
ONE_SLICE: dict[str, Any] = {"batch_size": 100, "max_concurrency": 2}
CONF: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "replicates": 1, **ONE_SLICE}
OFFLINE = "offline-judge-not-a-model"


def reply(model: str = "m") -> Answer:
    """Return the answer with a score."""
    message = {"role": "assistant", "content": "Because.\nSCORE: 6"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return Answer(body={"object": "chat.completion", "model": model, "choices": [choice]})


def refusal(status: int, **error: str) -> Answer:
    """Return an error that repeats the keys of both servers."""
    return Answer(status=status, body={"error": {"message": f"No: {' '.join(KEYS.values())}", **error}})


@contextmanager
def servers(default: Answer, vllm: Answer) -> Iterator[dict[str, AnswerServer]]:
    """Start the servers of both connections, each with one answer to all requests."""
    first, second = AnswerServer(answers=[default]), AnswerServer(answers=[vllm])
    with first.serving(), second.serving():
        yield {"llm_default": first, "vllm": second}


def dag_at(store: StoreBuilder, at: dict[str, AnswerServer], **rules: dict[str, float]) -> PlayedDag:
    """Return the DAG over the store with the servers and the keys of their connections; `rules` by connection."""
    played = {
        name: PlayedServer(base_url=server.base_url, key=KEYS[name], rules=rules.get(name, {}))
        for name, server in at.items()
    }
    return PlayedDag(root=store.root, base_url="", servers=played)


def essays(store: StoreBuilder, count: int) -> None:
    """Select this number of essays; each is judged once by each judge."""
    store.backfill(*(store.essay(number) for number in range(1, count + 1)))


def outcomes(store: StoreBuilder) -> dict[str, set[str]]:
    """Return the outcomes of each judge's evaluations in scores.csv."""
    found: dict[str, set[str]] = {}
    for row in store.rows("cohorts/c/scores.csv"):
        found.setdefault(row["llm_model_id"], set()).add(row["outcome"])
    return found


def evaluation_of(judge: str) -> str:
    """Return the gen_id of the judge's evaluation of the first essay."""
    return evaluation_gen_id("e_essay1", "novelty", judge, 1)


def texts_of(run: PlayedRun) -> str:
    """Return everything that a run told a person."""
    return "\n".join([run.summary.message, *map(str, run.errors.values())])


def stops(store: StoreBuilder) -> list[dict[str, Any]]:
    """Return the stops on disk, sorted by judge."""
    found = [json.loads(path.read_text("utf-8")) for path in store.root.glob("cohorts/c/runs/*/stops/*.json")]
    return sorted(found, key=lambda stop: stop["model_id"] or "")


def test_each_server_gets_its_own_key_and_judges(store: StoreBuilder) -> None:
    """A server is asked for its judge with its key, and never sees the other key; the record names its address."""
    store.judges_at(a="", b="vllm")
    essays(store, 3)
    with servers(reply(), reply()) as at:
        run = dag_at(store, at).run(CONF)
    assert run.summary.complete, run.summary.message
    for name, judge in (("llm_default", "judge-a"), ("vllm", "judge-b")):
        asked, other = at[name], KEYS["vllm" if name == "llm_default" else "llm_default"]
        assert [body["model"] for body in asked.asked] == [f"example/{judge}"] * 3
        assert all(f"Bearer {KEYS[name]}" in text and other not in text for text in asked.received)
        record = json.loads(store.read(f"gens/evaluation/{evaluation_of(judge)}/raw_metadata.json"))
        assert record["base_url"].rstrip("/") == asked.base_url
    assert not [
        name for name, content in store.files().items() if any(key.encode() in content for key in KEYS.values())
    ]


@pytest.mark.parametrize(
    ("answer", "step"),
    [
        pytest.param(refusal(401), "into the Connection vllm (Admin > Connections, or AIRFLOW_CONN_VLLM)", id="401"),
        pytest.param(refusal(402), "Top up the account behind the Connection vllm", id="402"),
        pytest.param(refusal(429, code="insufficient_quota"), "account behind the Connection vllm", id="no credit"),
        pytest.param(reply(OFFLINE), "Point the Connection vllm at a real API", id="a reply of the offline judge"),
    ],
)  # fmt: skip
def test_a_refused_key_stops_the_judges_of_its_connection(store: StoreBuilder, answer: Answer, step: str) -> None:
    """Both judges of the connection are stopped, the third judges every essay, and the message names the place."""
    (store.root / "1_raw/OFFLINE_OK").unlink()
    store.judges_at(a="vllm", b="llm_default", c="vllm")
    essays(store, 5)
    with servers(reply(), answer) as at:
        run = dag_at(store, at).run({**CONF, "max_concurrency": 1})
    assert len(at["vllm"].asked) == 1
    assert outcomes(store)["judge-b"] == {"scored"}
    assert outcomes(store)["judge-a"] | outcomes(store)["judge-c"] <= {"failed", "not_run"}
    assert step in texts_of(run)
    assert KEYS["vllm"] not in texts_of(run)
    assert {stop["model_id"] for stop in stops(store)} == {"judge-a", "judge-c"}


def test_a_stop_is_written_as_versions_with_one_connection_read_it(store: StoreBuilder) -> None:
    """A stop has exactly the fields of former versions, and one of a connection names each of its judges."""
    store.judges_at(a="vllm", b="llm_default")
    essays(store, 1)
    with servers(reply(), refusal(401)) as at:
        dag_at(store, at).run(CONF)
    [stop] = stops(store)
    assert set(stop) == {"model_id", "kind", "message", "status", "try_number"}
    assert (stop["model_id"], stop["kind"]) == ("judge-a", "http_401")


@pytest.mark.parametrize("connection", ["llm_default", "vllm"])
def test_a_refused_key_of_the_only_connection_stops_the_run(store: StoreBuilder, connection: str) -> None:
    """A run with one connection writes one stop of the whole run, as former versions did."""
    store.judges_at(a=connection, b=connection)
    essays(store, 1)
    with servers(refusal(401), refusal(401)) as at:
        dag_at(store, at).run({**CONF, "max_concurrency": 1})
    assert [stop["model_id"] for stop in stops(store)] == [None]


def test_the_judges_that_a_run_leaves_out_do_not_count_for_its_stops(store: StoreBuilder) -> None:
    """Which judges share a connection is asked of the judges of the run, not of all in the catalog."""
    store.judges_at(a="vllm", b="llm_default", c="vllm")
    essays(store, 1)
    with servers(reply(), refusal(401)) as at:
        dag_at(store, at).run({**CONF, "models": ["judge-a", "judge-b"]})
    assert [stop["model_id"] for stop in stops(store)] == ["judge-a"]


@pytest.mark.parametrize(
    "model_id", [pytest.param(None, id="of the whole run"), pytest.param("judge-b", id="of one judge")]
)
def test_a_stop_of_a_former_version_concerns_as_before(store: StoreBuilder, model_id: str | None) -> None:
    """A stop without a model concerns the judges of every connection, and one with a model only this judge."""
    store.judges_at(a="llm_default", b="vllm")
    essays(store, 1)
    with servers(reply(), reply()) as at:
        dag = dag_at(store, at)
        planned = dag.plan(CONF)
        stop = {"model_id": model_id, "kind": "http_401", "message": "a former version heard: 401", "status": 401}
        store.json(f"cohorts/c/runs/{planned.run_key}/stops/old.json", {**stop, "try_number": 1})
        run = dag.run_planned(planned)
    assert (len(at["llm_default"].asked), len(at["vllm"].asked)) == ((0, 0) if model_id is None else (1, 0))
    assert "a former version heard: 401" in run.summary.message


def test_another_model_at_the_same_server_goes_on_after_a_404(store: StoreBuilder) -> None:
    """An unknown model stops only itself, and the message names the connection whose host may be wrong."""
    store.judges_at(a="vllm", b="vllm", c="llm_default")
    essays(store, 2)
    missing = Answer(status=404, body={"error": {"message": "No such model."}})
    with servers(reply(), reply()) as at:
        at["vllm"].answers = [missing, reply()]
        run = dag_at(store, at).run({**CONF, "max_concurrency": 1})
    assert [stop["model_id"] for stop in stops(store)] == ["judge-a"]
    assert (outcomes(store)["judge-b"], outcomes(store)["judge-c"]) == ({"scored"}, {"scored"})
    assert "the host of the Connection vllm" in texts_of(run)


def test_each_connection_has_its_own_number_of_attempts(store: StoreBuilder) -> None:
    """A server in trouble is asked as often as its own connection says."""
    store.judges_at(a="llm_default", b="vllm")
    essays(store, 1)
    down = Answer(status=500, body={"error": {"message": "down"}})
    with servers(down, down) as at:
        dag_at(store, at, llm_default={"max_attempts": 1}, vllm={"max_attempts": 4}).run(CONF)
    assert (len(at["llm_default"].asked), len(at["vllm"].asked)) == (1, 4)


def test_each_connection_has_its_own_timeout(store: StoreBuilder) -> None:
    """Only the judge whose connection has too short a timeout fails, and the message names that connection."""
    store.judges_at(a="llm_default", b="vllm")
    essays(store, 1)
    slow = Answer(body=reply().body, delay_s=0.5)
    with servers(slow, slow) as at:
        rules = {"llm_default": {"read_timeout_s": 60.0}, "vllm": {"read_timeout_s": 0.05, "max_attempts": 1}}
        run = dag_at(store, at, **rules).run(CONF)
    assert outcomes(store) == {"judge-a": {"scored"}, "judge-b": {"failed"}}
    assert "Raise read_timeout_s in the extra of the Connection vllm" in texts_of(run)


def test_the_wait_for_another_task_is_that_of_the_connection(store: StoreBuilder) -> None:
    """Both evaluations are claimed elsewhere: one is given up at once, the other is waited for and then called."""
    store.judges_at(a="llm_default", b="vllm")
    essays(store, 1)
    with servers(reply(), reply()) as at:
        dag = dag_at(store, at, llm_default={"elsewhere_wait_s": 0.001}, vllm={"elsewhere_wait_s": 60.0})
        planned = dag.plan(CONF)
        task = task_ref("another run", "evaluation.evaluation_raw", 1)
        with (
            claimed_by(task, store.root, evaluation_of("judge-a")),
            claimed_by(task, store.root, evaluation_of("judge-b")) as release,
            done_when_waited_for(release),
        ):
            run = dag.run_planned(planned)
    assert outcomes(store) == {"judge-a": {"in_flight_elsewhere"}, "judge-b": {"scored"}}
    assert "still calling for this evaluation after 0.001 s" in texts_of(run)


@contextmanager
def done_when_waited_for(release: Callable[[], None]) -> Iterator[None]:
    """Release a claim as soon as a slice logs that it waits for other tasks."""

    class Releasing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("Other tasks are calling judges"):
                release()

    logger, handler = logging.getLogger("essay_cohorts.calling.slice_calls"), Releasing()
    former = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(former)


def test_only_the_connections_of_the_judges_to_call_are_opened(store: StoreBuilder) -> None:
    """A connection whose evaluations all exist is not opened, and need not exist."""
    store.judges_at(a="llm_default", b="vllm")
    essays(store, 1)
    store.evaluation("v_1", "e_essay1", model="judge-b")
    opened: list[list[str]] = []

    class Dag(PlayedDag):
        async def connect(self, connection_ids: Collection[str]) -> dict[str, Endpoint]:
            opened.append(list(connection_ids))
            return await super().connect(connection_ids)

    with servers(reply(), reply()) as at:
        played = dag_at(store, {"llm_default": at["llm_default"]})
        assert Dag(root=store.root, base_url="", servers=played.servers).run(CONF).summary.complete
    assert opened == [["llm_default"]]


def test_a_judge_that_moved_is_called_at_its_new_server(store: StoreBuilder) -> None:
    """A row that changes between planning and calling counts as it is now, for this judge only."""
    store.judges_at(a="llm_default", b="vllm")
    essays(store, 1)
    with servers(reply(), reply()) as at:
        dag = dag_at(store, at)
        planned = dag.plan(CONF)
        store.judges_at(a="vllm", b="vllm")
        assert dag.run_planned(planned).summary.complete
    assert (len(at["llm_default"].asked), len(at["vllm"].asked)) == (0, 2)


def test_slices_of_a_run_tell_each_other_which_connection_is_stopped(store: StoreBuilder) -> None:
    """With one evaluation in each slice, a refused key still costs few calls, and the other judge scores all."""
    store.judges_at(a="vllm", b="llm_default")
    essays(store, 20)
    with servers(reply(), refusal(401)) as at:
        run = dag_at(store, at).run({**CONF, "batch_size": 1})
    assert len(run.slices) == 40
    assert len(at["vllm"].asked) <= CONF["max_concurrency"]
    assert outcomes(store)["judge-b"] == {"scored"}


def test_no_server_is_told_the_organization_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is made while OPENAI_ORG_ID is set sends neither it nor the project."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    sent: list[httpx2.Headers] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.headers)
        return httpx2.Response(400, json={"error": {"message": "no"}})

    async def ask() -> None:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
        client = AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", http_client=http)
        requests = ApiRequests(client, CallRules(), connection="vllm", accept_offline=True)
        with pytest.raises(NoReply):
            await requests.send(JudgeModel(id="a", model="m"), Prompt(text="t"))

    asyncio.run(ask())
    assert sent[0]["authorization"] == "Bearer k"
    assert "secret" not in str(sent[0])
