"""The budget of a run with a judge over HTTP: the bill, as the server computes it, never exceeds the cap."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import pytest

from essay_cohorts.calls import Spending
from essay_cohorts.errors import BadInput
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.settings import Settings
from tests.conftest import PlayedDag, PlayedRun
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

MAX_TOKENS = 500
# USD per 1e6 tokens, by model: input, output.
PRICES = {"judge-a": (1.0, 10.0), "judge-b": (0.15, 0.6)}
CONF: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "max_unscored": 1_000, "max_concurrency": 50}


@pytest.fixture
def priced(store: StoreBuilder) -> StoreBuilder:
    """Return a store with two judges that have prices and a token limit."""
    rows = "".join(
        f"{name},example/{name},true,{MAX_TOKENS},{price_in},{price_out}\n"
        for name, (price_in, price_out) in PRICES.items()
    )
    header = "id,model,for_evaluation,max_tokens,input_usd_per_mtok,output_usd_per_mtok\n"
    store.write("1_raw/llm_models.csv", header + rows)
    return store


def bill(judge: JudgeServer) -> float:
    """Return what the server would charge for all its answers since the last reset, in USD."""
    usd = 0.0
    for model, tokens in judge.stats()["tokens"].items():
        price_in, price_out = PRICES[model.removeprefix("example/")]
        usd += tokens["prompt_tokens"] * price_in + tokens["completion_tokens"] * price_out
    return round(usd / 1e6, 9)


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """The costs by the store and the ledger: of replies that are stored, and of requests without a reply."""

    replies_usd: float
    failed_usd: float

    @property
    def usd(self) -> float:
        return round(self.replies_usd + self.failed_usd, 9)


def recorded_costs(store: StoreBuilder, settings: Settings) -> Costs:
    """Add up the records of all replies, including former ones, and the ledger's requests without a reply."""
    records = [json.loads(text) for name, text in store.files("gens/evaluation").items() if "/raw_metadata" in name]
    return Costs(
        replies_usd=sum(record["cost_usd"] for record in records),
        failed_usd=sum(call.cost_usd or 0.0 for call in Ledger.of(settings).paid_in_vain("c")),
    )


def outcomes(store: StoreBuilder) -> list[str]:
    """Return the outcome of each evaluation of the cohort."""
    return [row["outcome"] for row in store.rows("cohorts/c/scores.csv")]


def deferred_worst_usd(store: StoreBuilder) -> float:
    """Return the smallest worst case of the deferred evaluations, in USD."""
    worst = []
    for row in store.rows("cohorts/c/scores.csv"):
        if row["outcome"] == "deferred":
            price_in, price_out = PRICES[row["llm_model_id"]]
            prompt = store.files(f"gens/evaluation/{row['gen_id']}")[f"gens/evaluation/{row['gen_id']}/prompt.txt"]
            worst.append(((len(prompt) + 64) * price_in + MAX_TOKENS * price_out) / 1e6)
    return min(worst)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_the_bill_stays_below_the_cap_and_the_next_run_pays_the_rest(
    seed: int, priced: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, ledger_url: str
) -> None:
    """With fifty calls at once and random replies, the bill is at most the cap, and the records match it."""
    dag.ledger = ledger_url
    rng = random.Random(seed)  # noqa: S311  (a made-up case)
    essays = [priced.essay(number) for number in range(1, 31)]
    cap = round(rng.uniform(0.012, 0.045), 4)
    faults: list[dict[str, Any]] = [{"fault": "length", "most_tokens": rng.choice([50, 300, 900]), "seed": seed}]
    if seed % 3 == 1:
        faults.insert(0, {"fault": "status", "status": 500, "chance": 0.2, "seed": seed})
    if seed % 3 == 2:
        faults.insert(0, {"fault": "empty", "chance": 0.2, "seed": seed})
    judge_server.faults(*faults)
    conf = {**CONF, "essay_ids": essays, "replicates": 2}
    first = dag.run({**conf, "max_cost_usd": cap}, run_id="run-1")
    assert bill(judge_server) <= cap
    assert recorded_costs(priced, dag.settings).usd == bill(judge_server)
    totals = first.summary.totals
    assert totals.deferred > 0
    assert not first.summary.complete
    assert f"{totals.deferred} deferred: budget" in first.summary.message
    spent = round(first_spending(dag, first).settled_usd, 9)
    assert spent == bill(judge_server)
    assert cap - spent < deferred_worst_usd(priced), "a call was deferred that would still have fitted"

    judge_server.faults({"fault": "length", "most_tokens": 300, "seed": seed})
    asked = judge_server.calls()
    second = dag.run({**conf, "max_cost_usd": 100.0}, run_id="run-2")
    assert second.summary.complete, second.summary.message
    assert judge_server.calls() - asked == totals.deferred + totals.failed
    assert recorded_costs(priced, dag.settings).usd == bill(judge_server)


def first_spending(dag: PlayedDag, run: PlayedRun) -> Spending:
    """Return the spending of a run by the ledger."""
    return Ledger.of(dag.settings).spending("c", run.planned.run)


def test_requests_are_capped_retries_included(
    priced: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """With max_llm_calls 10, the server gets ten requests, including failed ones; the next run makes the rest."""
    essays = [priced.essay(number) for number in range(1, 11)]
    judge_server.faults(
        *({"fault": "status", "status": 500, "times": 1, "contains": f"number {number}."} for number in range(1, 5))
    )
    conf = {**CONF, "essay_ids": essays, "replicates": 1, "models": ["judge-a"]}
    first = dag.run({**conf, "max_llm_calls": 10})
    assert judge_server.calls() == 10
    assert first.summary.totals.scored == 6
    assert first.summary.totals.deferred == 4
    assert "budget: max_llm_calls 10 is used up" in first.summary.message
    assert dag.run({**conf, "max_llm_calls": 4}, run_id="run-2").summary.complete
    assert judge_server.calls() == 14


def test_the_budget_is_kept_when_the_run_is_cleared(
    priced: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A cleared run continues with the rest of its budget; a new run has a new budget."""
    essays = [priced.essay(number) for number in range(1, 9)]
    conf = {**CONF, "essay_ids": essays, "replicates": 1, "models": ["judge-a"], "max_llm_calls": 3}
    dag.run(conf, try_number=1)
    dag.run(conf, try_number=2)
    assert judge_server.calls() == 3
    dag.run(conf, run_id="run-2")
    assert judge_server.calls() == 6


def test_slices_share_the_budget(priced: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """All slices of a run together keep to one cap."""
    essays = [priced.essay(number) for number in range(1, 11)]
    run = dag.run({**CONF, "essay_ids": essays, "replicates": 2, "batch_size": 3, "max_llm_calls": 11})
    assert len(run.slices) > 10
    assert judge_server.calls() == 11
    assert outcomes(priced).count("deferred") == 40 - 11


@pytest.mark.parametrize(
    ("fault", "rules"),
    [
        pytest.param({"fault": "hang"}, {"read_timeout_s": 0.2, "total_timeout_s": 0.3}, id="no answer in time"),
        pytest.param({"fault": "disconnect"}, {}, id="a dropped connection"),
    ],
)
def test_a_request_of_unknown_outcome_keeps_its_worst_case(
    fault: dict[str, Any], rules: dict[str, float], priced: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A request that may have been charged counts as spent at its worst case, and the summary reports it."""
    dag.rules = {"max_attempts": 2, **rules}
    judge_server.faults(fault)
    conf = {**CONF, "essay_ids": [priced.essay(1)], "replicates": 4, "models": ["judge-a"], "max_concurrency": 1}
    # The worst case of one call is a little more than 0.005, so four requests fit.
    run = dag.run({**conf, "max_cost_usd": 0.0225})
    assert judge_server.calls() == 4
    assert (run.summary.totals.failed, run.summary.totals.deferred) == (2, 2)
    assert "4 requests may have been paid for without a reply (at most $0.0" in run.summary.message


def test_a_model_without_a_worst_case_is_a_planning_error(
    priced: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """With max_cost_usd, each called model needs prices and a limit; the error names the model and the columns."""
    priced.write(
        "1_raw/llm_models.csv",
        "id,model,for_evaluation,max_tokens,input_usd_per_mtok,output_usd_per_mtok\n"
        "judge-a,example/judge-a,true,,1,10\njudge-b,example/judge-b,true,500,,\njudge-c,example/judge-c,true,500,1,2\n",
    )
    essay = priced.essay(1)
    tree = priced.tree_hash()
    with pytest.raises(BadInput) as bad:
        dag.run({**CONF, "essay_ids": [essay], "max_cost_usd": 1.0})
    assert [(problem.place, problem.finding) for problem in bad.value.problems] == [
        (
            "1_raw/llm_models.csv: judge-a",
            "max_cost_usd needs the highest cost of a call; empty columns: max_tokens.",
        ),
        (
            "1_raw/llm_models.csv: judge-b",
            "max_cost_usd needs the highest cost of a call; empty columns: input_usd_per_mtok, output_usd_per_mtok.",
        ),
    ]
    assert priced.tree_hash() == tree
    assert judge_server.calls() == 0


def test_a_model_with_nothing_to_call_needs_no_price(priced: StoreBuilder, dag: PlayedDag) -> None:
    """A model whose evaluations are all reused needs no price, because reusing costs nothing."""
    priced.models("judge-a")
    essay = priced.essay(1)
    priced.evaluation("v_1", essay)
    conf = {**CONF, "essay_ids": [essay], "replicates": 1, "max_cost_usd": 0.01}
    assert dag.run(conf).summary.complete
