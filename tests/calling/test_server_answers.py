"""Answers of real servers in a whole run: the requests, the files, the outcome, the cost and the journal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from essay_cohorts.calls import CallEnd, JudgeModel, Prompt, Reply, Usage
from essay_cohorts.ids import evaluation_gen_id
from essay_cohorts.llm_client.client import Judge
from essay_cohorts.llm_client.client_settings import CallRules
from tests.answer_server import Answer, AnswerServer
from tests.conftest import PlayedDag, PlayedRun
from tests.ledger_reading import recorded_requests
from tests.store_builder import StoreBuilder

# Prices in USD per 1e6 tokens: 1 for input, 10 for output.
PRICED = (
    "id,model,for_evaluation,max_tokens,input_usd_per_mtok,output_usd_per_mtok{more}\n"
    "judge-a,v/a,true,1000,1,10{cells}\n"
)
USAGE: dict[str, Any] = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "total_tokens": 1200,
    "prompt_tokens_details": {"cached_tokens": 896},
    "completion_tokens_details": {"reasoning_tokens": 150},
}
# 1000 tokens at $1 and 200 at $10 for 1e6.
COST = 0.003
GEN_ID = evaluation_gen_id("e_essay1", "novelty", "judge-a", 1)


def chat(content: str | None, *, finish: str = "stop", usage: object = USAGE, **more: Any) -> dict[str, Any]:
    """Return a chat completion; `more` goes into its message, `error` into its choice."""
    error = {"error": more.pop("error")} if "error" in more else {}
    message = {"role": "assistant", "content": content, **more}
    choice = {"index": 0, "finish_reason": finish, "message": message, **error}
    return {"id": "chatcmpl-{n}", "object": "chat.completion", "model": "v/a", "choices": [choice], "usage": usage}


def error(code: object, message: str = "Provider returned error", **more: Any) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"message": message, "code": code, **more}}


FINE = Answer(body=chat("SCORE: 5"))
Play = Callable[..., "Played"]


@dataclass(frozen=True, kw_only=True)
class Played:
    """A run with a server, and the store after the run."""

    run: PlayedRun
    server: AnswerServer
    store: StoreBuilder

    @property
    def requests(self) -> int:
        """The number of requests that the server got."""
        return len(self.server.asked)

    def record(self, name: str = "raw_metadata.json") -> dict[str, Any]:
        """Read a JSON file of the first essay's evaluation."""
        record: dict[str, Any] = json.loads(self.store.read(f"gens/evaluation/{GEN_ID}/{name}"))
        return record

    def text(self, name: str = "raw.txt") -> str | None:
        """Read a file of the first essay's evaluation; return None if the file does not exist."""
        path = self.store.root / "gens/evaluation" / GEN_ID / name
        return path.read_text(encoding="utf-8") if path.exists() else None

    def scores(self) -> list[dict[str, str]]:
        """Return the rows of scores.csv."""
        return self.store.rows("cohorts/c/scores.csv")

    def counts(self) -> dict[str, int]:
        """Return the number of evaluations with each outcome."""
        outcomes = [row["outcome"] for row in self.scores()]
        return {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}

    def ends(self) -> list[str]:
        """Return the ends of the requests in the ledger, in the order of the ends."""
        ended = [row for row in recorded_requests(self.store.root) if row["ending"]]
        return [row["ending"] for row in sorted(ended, key=lambda row: row["ended"])]

    def spent(self) -> float:
        """Return the known cost of the run in the ledger."""
        return round(sum(row["cost_usd"] or 0.0 for row in recorded_requests(self.store.root)), 9)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Return a function that plays a run with a number of essays and a server with the given answers."""
    with ExitStack() as servers:

        def run(
            *answers: Answer,
            essays: int = 1,
            by_essay: Mapping[int, Answer] | None = None,
            models: str = PRICED.format(more="", cells=""),
            reads: str = "",
            rules: Mapping[str, float] | None = None,
            **conf: Any,
        ) -> Played:
            store = StoreBuilder.sample(tmp_path / "root", replicates=1)
            store.write("1_raw/llm_models.csv", models)
            store.write(
                "1_raw/evaluation_templates.csv",
                f"template_id,template_name,parser,reads,active\nnovelty,n,in_last_line,{reads},true\n",
            )
            store.backfill(*[store.essay(number) for number in range(1, essays + 1)])
            server = servers.enter_context(AnswerServer(answers=answers, by_essay=by_essay or {}).serving())
            dag = PlayedDag(root=store.root, base_url=server.base_url, processes=1)
            dag.rules = {"max_attempts": 5, **(rules or {})}
            played = dag.run({"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"], **conf})
            return Played(run=played, server=server, store=store)

        yield run


# ---------------------------------------------------------------- answers without a text, or with a text elsewhere

REASONED = "The link is new.\nSCORE: 8"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"content": "", "reasoning_content": REASONED}, id="reasoning_content"),
        pytest.param({"content": None, "reasoning": REASONED}, id="reasoning"),
        pytest.param({"content": None, "reasoning_details": [{"text": REASONED}]}, id="reasoning_details"),
    ],
)
def test_reasoning_without_an_answer(play: Play, message: dict[str, Any]) -> None:
    """A judge that only reasoned is asked once; its reasoning is kept, but not read as its answer."""
    played = play(Answer(body=chat(**message)))
    assert (played.requests, played.ends(), played.spent()) == (1, ["reply"], COST)
    assert (played.text(), played.text("reasoning.txt")) == ("", REASONED)
    [row] = played.scores()
    assert (row["outcome"], row["reason"]) == ("unscored", "the judge reasoned but gave no answer")


def test_reasoning_as_the_answer(play: Play) -> None:
    """A template that reads reasoning too uses the reasoning as the answer, but only if the answer is empty."""
    played = play(Answer(body=chat("", reasoning=REASONED)), reads="reply_or_reasoning")
    assert (played.counts(), played.text("parsed.txt"), played.requests) == ({"scored": 1}, "8.0\n", 1)
    assert played.record("parsed_metadata.json")["parser_version"].endswith("+reasoning")


def test_reasoning_is_read_later_without_a_call(play: Play) -> None:
    """If a template reads reasoning later, the next run scores the stored reasoning without a new call."""
    first = play(Answer(body=chat("", reasoning=REASONED)))
    assert first.counts() == {"unscored": 1}
    second = play(FINE, reads="reply_or_reasoning")
    assert (second.requests, second.counts(), second.text("parsed.txt")) == (0, {"scored": 1}, "8.0\n")


def test_an_answer_has_priority_over_its_reasoning(play: Play) -> None:
    """Reasoning next to an answer is kept, and never read."""
    played = play(Answer(body=chat("No.", reasoning=REASONED)), reads="reply_or_reasoning")
    assert (played.counts(), played.text(), played.text("reasoning.txt")) == ({"unscored": 1}, "No.", REASONED)


@pytest.mark.parametrize(
    ("body", "text", "reason"),
    [
        pytest.param(chat(None, finish="content_filter"), "", "stopped by the content filter", id="filtered at once"),
        pytest.param(
            chat("First.\nSCORE: 3", finish="content_filter"), "First.\nSCORE: 3", "stopped by the content filter",
            id="filtered in the middle",
        ),
        pytest.param(
            chat("SCORE: 3", finish="recitation"), "SCORE: 3",
            "the reply did not come to its end: finish_reason 'recitation'", id="an end of another kind",
        ),
        pytest.param(
            chat(None, finish="tool_calls", tool_calls=[{"function": {"arguments": '{"score": 7}'}}]),
            '{"score": 7}', "none of the last three lines begins with SCORE", id="a tool call only",
        ),
        pytest.param(chat(""), "", "the reply is empty", id="an empty text"),
        pytest.param(
            chat("First thoughts.\nSCORE: 3", finish="error", error=error(400)["error"]), "First thoughts.\nSCORE: 3",
            "the reply broke off: the server met an error before its end", id="an error that stays, in the choice",
        ),
    ],
)  # fmt: skip
def test_a_reply_without_a_score(play: Play, body: object, text: str, reason: str) -> None:
    """A reply without a score is paid for only once, is stored unchanged, and is unscored with a reason."""
    played = play(Answer(body=body))
    assert (played.requests, played.ends(), played.spent(), played.text()) == (1, ["reply"], COST, text)
    [row] = played.scores()
    assert (row["outcome"], row["reason"], row["cost_usd"]) == ("unscored", reason, str(COST))
    assert played.text("parsed.txt") is None


# ---------------------------------------------------------------- errors inside an answer


def test_429_inside_an_answer(play: Play) -> None:
    """A status 429 inside an answer is not charged, and the run waits for its Retry-After."""
    limit = error(429, "Rate limit exceeded", metadata={"headers": {"Retry-After": "0.3"}})
    played = play(Answer(body=limit), FINE)
    assert (played.requests, played.ends(), played.counts()) == (2, ["not_charged", "reply"], {"scored": 1})
    assert played.server.arrived[1] - played.server.arrived[0] > 0.29
    assert played.spent() == COST


def test_429s_inside_answers_use_up_no_budget(play: Play) -> None:
    """Twenty-two answers with 429 before the first reply leave the whole budget for twenty evaluations."""
    limits = [Answer(body={"id": None, "choices": None, "usage": None, **error(429)})] * 22
    rules = {"first_wait_s": 0.05, "longest_wait_s": 0.5}
    played = play(*limits, FINE, essays=20, max_cost_usd=0.3, rules=rules)
    assert played.counts() == {"scored": 20}


@pytest.mark.parametrize(
    ("code", "requests", "ends"),
    [
        pytest.param(401, 1, ["not_charged"], id="401"),
        pytest.param(402, 1, ["not_charged"], id="402"),
        pytest.param("402", 1, ["not_charged"], id="402 as text"),
        pytest.param(403, 1, ["not_charged"], id="403"),
        pytest.param(404, 1, ["not_charged"], id="404"),
        pytest.param("invalid_api_key", 1, ["not_charged"], id="a name"),
        pytest.param(502, 5, ["not_charged"] * 5, id="502"),
        pytest.param(504, 5, ["unknown"] * 5, id="504"),
    ],
)
def test_an_error_inside_an_answer_is_treated_like_its_status(
    play: Play, code: object, requests: int, ends: list[str]
) -> None:
    """An error inside an answer stops the run or is tried again, exactly like its HTTP status."""
    played = play(Answer(body=error(code)), max_concurrency=1, essays=2 if requests == 1 else 1)
    assert (played.requests, played.ends()) == (requests, ends)
    assert "failed" in played.counts()
    assert "unscored" not in played.counts()
    assert played.spent() == 0.0


def test_an_error_without_a_status(play: Play) -> None:
    """An unknown error is not tried again, and its worst case stays reserved."""
    played = play(Answer(body={"error": {"message": "Something happened"}}))
    assert (played.requests, played.ends(), played.counts()) == (1, ["unknown"], {"failed": 1})


def test_a_reply_that_broke_off(play: Play) -> None:
    """A reply that broke off is kept, and the judge is asked again; a score in the broken reply is never read."""
    broken = Answer(body=chat("First thoughts.\nSCORE: 3", finish="error", error=error(502)["error"], usage=None))
    played = play(broken, FINE)
    assert (played.requests, played.counts(), played.text("parsed.txt")) == (2, {"scored": 1}, "5.0\n")
    assert (played.text("raw.1.txt"), played.text()) == ("First thoughts.\nSCORE: 3", "SCORE: 5")
    assert played.ends() == ["reply", "reply"]


def test_all_replies_break_off(play: Play) -> None:
    """If the last attempt breaks off too, all replies are kept, and the evaluation is unscored."""
    played = play(Answer(body=chat("Careful weighing.\nSCORE: {n}", finish="error")))
    assert (played.requests, played.counts(), played.spent()) == (5, {"unscored": 1}, round(5 * COST, 9))
    kept = [played.text(f"raw.{number}.txt") for number in (1, 2, 3, 4)]
    assert [*kept, played.text()] == [f"Careful weighing.\nSCORE: {number}" for number in range(1, 6)]


def test_the_wait_after_a_broken_reply_is_limited(play: Play) -> None:
    """If a reply broke off and its Retry-After is too long, the judge is not asked again; the reply is kept."""
    too_long = error(503, metadata={"headers": {"Retry-After": "5"}})["error"]
    broken = Answer(body=chat("First thoughts.\nSCORE: 3", finish="error", error=too_long))
    played = play(broken, FINE, rules={"longest_retry_after_s": 2})
    assert (played.requests, played.ends(), played.counts()) == (1, ["reply"], {"unscored": 1})


# ---------------------------------------------------------------- streams and other shapes


def events(*chunks: object, end: str = "data: [DONE]\n\n") -> Answer:
    """Return an answer that is a stream of server-sent events."""
    lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return Answer(body=": PROCESSING\n\n" + lines + end, content_type="text/event-stream")


def piece(content: str = "", finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a piece of a streamed completion."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return {"id": "chatcmpl-{n}", "object": "chat.completion.chunk", "model": "v/a", "choices": [choice], **more}


def test_no_stream_is_requested(play: Play) -> None:
    """The request says that the answer must not be streamed."""
    played = play(FINE)
    assert played.server.asked[0]["stream"] is False


def test_a_streamed_reply_is_put_together(play: Play) -> None:
    """A complete reply that came as a stream is stored as one text, with its usage."""
    played = play(
        events(piece("Because.\n"), piece("SCORE: 7"), piece(finish="stop"), {"choices": [], "usage": USAGE})
    )
    assert (played.text(), played.text("parsed.txt"), played.spent()) == ("Because.\nSCORE: 7", "7.0\n", COST)


def test_a_stream_without_an_end_broke_off(play: Play) -> None:
    """A stream that ends too early is kept and never scored, and the judge is asked again."""
    played = play(events(piece("SCORE: 3"), end=""), FINE)
    assert (played.requests, played.text("raw.1.txt"), played.text("parsed.txt")) == (2, "SCORE: 3", "5.0\n")


def test_a_done_line_after_the_json(play: Play) -> None:
    """A line `data: [DONE]` after a complete answer does not make the answer invalid."""
    played = play(Answer(body=json.dumps(chat("SCORE: 5")) + "\n\ndata: [DONE]\n\n"), essays=2)
    assert (played.requests, played.counts()) == (2, {"scored": 2})


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(body="<html>{n}</html>", content_type="text/html"), id="an HTML page"),
        pytest.param(Answer(body={"id": "{n}", "choices": []}), id="no choices"),
        pytest.param(Answer(body='data: {"id": "{n}"}\n\n'), id="events of something else"),
    ],
)
def test_answers_that_are_not_a_completion_stop_the_model(play: Play, answer: Answer) -> None:
    """Three answers in a row that are not a completion stop the model, even if their texts differ."""
    played = play(answer, essays=30, max_concurrency=4)
    assert played.requests <= 3 + 4
    ends = played.ends()  # a call that was about to be sent when the model was stopped ends as not charged
    assert (ends.count("unknown"), set(ends) - {"unknown"} <= {"not_charged"}) == (played.requests, True)
    assert played.counts()["not_run"] == 30 - played.requests


# ---------------------------------------------------------------- what stops a model, and what does not


def test_refusals_that_differ_only_by_a_request_id_are_the_same(play: Play) -> None:
    """Refusals that differ only by a request id have the same cause, so the model is stopped after three."""
    words = "Unsupported value in the body. (request id: 20260101{n})"
    played = play(Answer(status=400, body={"error": {"message": words}}), essays=30, max_concurrency=4)
    assert played.requests <= 3 + 4


def test_refusals_of_single_essays_stop_nothing(play: Play) -> None:
    """If a content filter refuses some essays, the model is not stopped, and all other essays are scored."""
    words = "The response was filtered due to the prompt triggering the content management policy."
    refused = Answer(status=400, body=error("content_filter", words))
    fine = Answer(body=chat("SCORE: 5"), delay_s=0.3)
    played = play(fine, essays=60, by_essay={2: refused, 5: refused, 9: refused})
    assert played.counts() == {"scored": 57, "failed": 3}


def test_timeouts_without_a_success_stop_the_model(play: Play) -> None:
    """A model that never answers in time is stopped, and the message names the setting to raise."""
    slow = Answer(body=chat("SCORE: 5"), delay_s=0.6)
    played = play(slow, essays=20, max_concurrency=5, rules={"read_timeout_s": 0.2, "total_timeout_s": 5})
    assert played.requests <= 15
    assert "Raise read_timeout_s" in played.run.summary.message
    assert set(played.ends()) - {"not_charged"} == {"unknown"}


@pytest.mark.parametrize("status", [pytest.param(504, id="504"), pytest.param(524, id="524")])
def test_gateway_timeouts_count_as_timeouts(play: Play, status: int) -> None:
    """Gateway timeouts stop the model like read timeouts."""
    played = play(Answer(status=status, body={}), essays=20, max_concurrency=5)
    assert played.requests <= 15
    assert "read_timeout_s" in played.run.summary.message


@pytest.mark.parametrize(
    ("body", "step"),
    [
        pytest.param(
            error("unsupported_parameter", "'max_tokens' is not supported here.", param="max_tokens"),
            "column max_tokens_field", id="the name of the limit",
        ),
        pytest.param(
            error("unsupported_value", "'temperature' does not support 0.", param="temperature"),
            "column temperature", id="the temperature",
        ),
        pytest.param(error("400", "No connected db."), "key and the host of the Connection", id="a wrong key"),
        pytest.param(error("400", "Invalid model name"), "1_raw/llm_models.csv", id="an unknown model"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_next_step(play: Play, body: object, step: str) -> None:
    """The stored message of a 400 names the setting that caused it; there is one request and no charge."""
    played = play(Answer(status=400, body=body))
    assert (played.requests, played.ends(), played.counts()) == (1, ["not_charged"], {"failed": 1})
    assert step in played.record("failure.json")["message"]


# ---------------------------------------------------------------- waits


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"retry-after-ms": "300"}, id="milliseconds"),
        pytest.param({"Retry-After": "300ms"}, id="a number with a unit"),
        pytest.param({"retry-after-ms": "soon", "Retry-After": "0.3"}, id="the other header"),
        pytest.param({"retry-after-ms": "300", "Retry-After": "60"}, id="milliseconds have priority"),
        pytest.param({"llm_provider-retry-after": "0.3"}, id="behind the proxy LiteLLM"),
        pytest.param(
            {"llm_provider-retry-after": "60", "Retry-After": "0.3"}, id="the proxy's own wait has priority"
        ),
    ],
)
def test_retry_after_in_its_shapes(play: Play, headers: dict[str, str]) -> None:
    """The run waits as long as the server asks, in whatever form the server says so."""
    played = play(Answer(status=429, body=error(None, "slow down"), headers=headers), FINE)
    assert (played.requests, played.counts()) == (2, {"scored": 1})
    assert 0.29 < played.server.arrived[1] - played.server.arrived[0] < 10


# ---------------------------------------------------------------- costs


@pytest.mark.parametrize(
    ("usage", "cached_price", "cost"),
    [
        pytest.param({**USAGE, "cost": 0.0042}, "", 0.0042, id="the server's own cost"),
        pytest.param({**USAGE, "cost": 0}, "", COST, id="a cost of 0 is ignored if there are prices"),
        pytest.param(USAGE, "", COST, id="cached tokens without a price of their own"),
        pytest.param(USAGE, "0.1", round((104 + 89.6 + 2000) / 1e6, 9), id="cached tokens with a price of their own"),
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 1110},
            "",
            0.0102,
            id="reasoning tokens only in the total",
        ),
        pytest.param({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, "", None, id="nothing counted"),
        pytest.param(None, "", None, id="no usage"),
    ],
)
def test_cost(play: Play, usage: object, cached_price: str, cost: float | None) -> None:
    """A reply's cost is the server's own, else it is computed from the tokens; without tokens it is unknown."""
    models = PRICED.format(more=",cached_input_usd_per_mtok", cells=f",{cached_price}")
    played = play(Answer(body=chat("SCORE: 5", usage=usage)), models=models)
    assert played.record()["cost_usd"] == cost
    assert played.counts() == {"scored": 1}


def test_usage_is_recorded(play: Play) -> None:
    """The record of a reply has the server's counts, including cached and reasoning tokens, and its cost."""
    played = play(Answer(body=chat("SCORE: 5", usage={**USAGE, "cost": 0.0042})))
    assert played.record()["usage"] == {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "total_tokens": 1200,
        "cached_tokens": 896,
        "reasoning_tokens": 150,
        "cost_usd": 0.0042,
    }


def test_an_unknown_usage_keeps_its_worst_case_reserved(play: Play) -> None:
    """If a server counts no tokens, the run still keeps to its cap."""
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    played = play(Answer(body=chat("SCORE: 5", usage=nothing)), essays=20, max_cost_usd=0.05)
    assert played.requests <= 5
    assert played.counts()["deferred"] == 20 - played.requests


# ---------------------------------------------------------------- random answers


@dataclass(kw_only=True)
class CountingSpending:
    """A spending that allows every request, and counts the requests that may have cost something."""

    charged: int = 0
    kept: list[str] = field(default_factory=list)

    async def reserve(self, model: JudgeModel, prompt: Prompt) -> str:
        return "call"

    async def settle(
        self,
        model: JudgeModel,
        call: str,
        end: CallEnd,
        usage: Usage | None = None,
        *,
        status: int | None = None,
    ) -> None:
        self.charged += end is not CallEnd.NOT_CHARGED

    async def store_partial_reply(self, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:
        self.kept.append(reply.text)


words = st.sampled_from([None, "", " ", "SCORE: 7", "<think>", [{"text": "x"}], 7])
odd_codes: list[object] = [None, 200, 400, 401, 402, 403, 404, 418, "content_filter", "x", 0, [], "model_not_found"]
codes = st.sampled_from(odd_codes)
errors_inside = st.one_of(st.none(), st.fixed_dictionaries({"message": st.just("no"), "code": codes}), st.just("no"))
messages = st.fixed_dictionaries(
    {},
    optional={
        "content": words,
        "reasoning": words,
        "reasoning_content": words,
        "refusal": words,
        "tool_calls": words,
    },
)
choices = st.fixed_dictionaries(
    {"message": messages},
    optional={
        "finish_reason": st.sampled_from([None, "stop", "length", "content_filter", "tool_calls"]),
        "error": errors_inside,
    },
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(choices, max_size=2),
        "error": errors_inside,
        "usage": st.one_of(st.none(), st.just(USAGE)),
    },
)


@given(body=bodies)
@settings(deadline=None, max_examples=60)
def test_no_answer_is_charged_twice(body: dict[str, Any]) -> None:
    """An answer with status 200 is asked for only once, unless its content is an error 5xx or 429."""
    with AnswerServer(answers=[Answer(body=body)]).serving() as server:
        spending = CountingSpending()
        answer = asyncio.run(ask(server.base_url, spending))
        assert len(server.asked) == 1
        assert spending.charged + isinstance(answer, Reply) <= 1
        assert not spending.kept


async def ask(base_url: str, spending: CountingSpending) -> object:
    """Ask the server one prompt and return the answer."""
    http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
    async with AsyncOpenAI(api_key="sk-test-0123456789", base_url=base_url, http_client=http) as client:
        rules = CallRules(max_attempts=4, first_wait_s=0.001, longest_wait_s=0.002)
        judge = Judge(client, rules, accept_offline=True, calls_at_once=1)
        return await judge.ask(JudgeModel(id="judge-a", model="v/a"), Prompt(text="x"), spending)
