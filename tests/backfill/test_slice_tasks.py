"""The DAG's steps with real files and a real server, but without Airflow: reused evaluations are never paid for."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import platform
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from essay_cohorts import VERSION
from essay_cohorts.backfill import slice_tasks
from essay_cohorts.backfill.call_missing import call_missing
from essay_cohorts.domain import Action
from essay_cohorts.errors import BadInput, StoreError
from essay_cohorts.ids import evaluation_gen_id, run_key
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import rows_of_slice
from essay_cohorts.planning.slices import Slice
from tests.conftest import DAG_ID, PlayedDag, killed_before, task_ref
from tests.judge_server import JudgeServer
from tests.ledger_reading import claim_for_a_silent_task, recorded_requests
from tests.store_builder import StoreBuilder

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
Logged = Callable[[], list[str]]
ONE_CELL: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"]}


def members(store: StoreBuilder, cohort_id: str = "c") -> list[str]:
    """Return the gen_ids of a cohort's evaluations, in membership order."""
    rows = store.rows(f"cohorts/{cohort_id}/membership.csv")
    return [row["gen_id"] for row in rows if row["stage"] == "evaluation"]


def actions(store: StoreBuilder, cohort_id: str = "c") -> dict[str, str]:
    """Return the planned action of each evaluation."""
    rows = store.rows(f"cohorts/{cohort_id}/plan.csv")
    return {row["gen_id"]: row["action"] for row in rows if row["stage"] == "evaluation"}


def evaluations(store: StoreBuilder) -> set[str]:
    """Return the folders of evaluations in the store, including hidden ones."""
    return {path.name for path in (store.root / "gens" / "evaluation").iterdir()}


def skip_lines(lines: list[str]) -> list[str]:
    """Return the gen_ids of the skip lines, in order."""
    found = (re.fullmatch(r"Skipping (\S+): parsed\.txt already exists", line) for line in lines)
    return [match[1] for match in found if match]


# ---------------------------------------------------------------- the whole flow


@pytest.fixture
def varied(store: StoreBuilder) -> StoreBuilder:
    """Return a store of two essays whose cells have zero to five evaluations, and an unselected essay; k = 4."""
    first, second, other = (store.essay(n) for n in (1, 2, 3))
    for n in range(1, 6):
        store.evaluation(f"full{n}", first, template="novelty", model="judge-a", replicate=n, score=n)
    for n in (1, 2):
        store.evaluation(f"half{n}", first, template="coherence", model="judge-b", replicate=n)
    store.evaluation("one", second, template="novelty", model="judge-b", origin="elsewhere")
    store.evaluation("43ftibqi56628az1", second, template="retired", model="judge-a")
    store.evaluation("others", other)
    store.backfill(first, second)
    return store


SHORTFALL = Counter(
    {
        ("1", "coherence", "example/judge-a"): 4,
        ("1", "novelty", "example/judge-b"): 4,
        ("1", "coherence", "example/judge-b"): 2,
        ("2", "novelty", "example/judge-a"): 4,
        ("2", "novelty", "example/judge-b"): 3,
        ("2", "coherence", "example/judge-a"): 4,
        ("2", "coherence", "example/judge-b"): 4,
    }
)


def test_only_what_is_missing_is_called(varied: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """The server gets exactly the calls that each cell lacks by plan, and every member ends with a score."""
    run = dag.run({"cohort_id": "c"})
    assert judge_server.tally() == SHORTFALL
    assert (run.planned.call, run.planned.reuse, run.planned.planned) == (25, 7, 32)
    assert run.summary.complete, run.summary.message
    assert all((varied.root / f"gens/evaluation/{gen_id}/parsed.txt").exists() for gen_id in members(varied))


def test_what_existed_is_untouched(varied: StoreBuilder, dag: PlayedDag) -> None:
    """Every file of a generation that existed is identical byte for byte, above all metadata.json."""
    before = varied.files("gens")
    dag.run({"cohort_id": "c"})
    after = varied.files("gens")
    assert {name: after[name] for name in before} == before


def test_a_second_run_calls_nothing(varied: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """The second run of a cohort has an identical membership, reuses all of it, and calls nobody."""
    dag.run({"cohort_id": "c"}, run_id="run-1")
    membership, gens = varied.read("cohorts/c/membership.csv"), varied.files("gens")
    judge_server.reset()
    connects = dag.connects
    run = dag.run({"cohort_id": "c"}, run_id="run-2")
    assert (judge_server.calls(), dag.connects) == (0, connects)
    assert varied.read("cohorts/c/membership.csv") == membership
    assert not (varied.root / "cohorts/c/membership.1.csv").exists()
    assert varied.files("gens") == gens
    assert run.summary.complete
    assert (run.summary.totals.reused, run.summary.totals.called) == (32, 0)


def test_another_cohort_over_the_same_essays_calls_nothing(
    varied: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A cohort reuses what another cohort paid for."""
    dag.run({"cohort_id": "c"}, run_id="run-1")
    judge_server.reset()
    assert dag.run({"cohort_id": "d"}, run_id="run-2").summary.complete
    assert judge_server.calls() == 0
    assert members(varied, "d") == members(varied, "c")


@pytest.mark.parametrize(
    ("former", "now"),
    [
        pytest.param("mod\u00e8le", "mode\u0300le", id="composed, then decomposed"),
        pytest.param("mode\u0300le", "mod\u00e8le", id="decomposed, then composed"),
    ],
)
def test_a_judge_whose_accent_is_written_in_two_ways_is_one_judge(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, former: str, now: str
) -> None:
    """Evaluations under one form of the id are reused under the other; only missing evaluations are called."""
    essay = store.essay(1)
    old = evaluation_gen_id(essay, "novelty", former, 1)
    store.evaluation(old, essay, model=former, replicate=1)
    before = store.files("gens/evaluation")
    store.models(now)
    store.backfill(essay)
    conf = {"cohort_id": "c", "templates": ["novelty"], "replicates": 2}
    assert dag.run({**conf, "models": [former]}, run_id="1").summary.complete
    assert judge_server.calls() == 1
    assert old in members(store)
    store.models(former)
    assert dag.run({**conf, "models": [now]}, run_id="2").summary.complete
    assert judge_server.calls() == 1
    assert {name: store.files("gens/evaluation")[name] for name in before} == before
    assert {row["llm_model_id"] for row in store.rows("cohorts/c/scores.csv")} == {"mod\u00e8le"}
    assert sorted(row["replicate"] for row in store.rows("cohorts/c/scores.csv")) == ["1", "2"]


def test_a_store_that_marks_neither_templates_nor_models(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """The items that the conf names are used from plan to score; an unknown name gets an error with suggestions."""
    store.write("1_raw/evaluation_templates.csv", "template_id\nnovelty\nunwritten\n")
    store.write("1_raw/llm_models.csv", "id,model\njudge-a,api/a\nwriter,\n")
    conf = {**ONE_CELL, "essay_ids": [store.essay(1)], "replicates": 1}
    assert dag.run(conf).summary.complete
    assert [request["model"] for request in judge_server.requests()] == ["api/a"]
    with pytest.raises(BadInput) as caught:
        dag.plan({**conf, "models": ["judge-b"], "templates": ["novlty"]})
    next_steps = [problem.next_step for problem in caught.value.problems]
    assert next_steps == ['Did you mean "novelty"?', 'Did you mean "judge-a"?']
    with pytest.raises(BadInput) as caught:
        dag.plan({"essay_ids": conf["essay_ids"]})
    assert [problem.place for problem in caught.value.problems] == [
        "1_raw/evaluation_templates.csv:1",
        "1_raw/llm_models.csv:1",
    ]


def test_new_calls_for_everything_must_be_requested(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Without backfill mode existing evaluations are not counted, and are not changed either."""
    essay = store.essay(1)
    for n in range(1, 5):
        store.evaluation(f"v{n}", essay, replicate=n)
    conf = {**ONE_CELL, "essay_ids": [essay], "include_existing_evaluations": False}
    assert dag.run(conf).summary.complete
    assert judge_server.calls() == 4
    assert not {"v1", "v2", "v3", "v4"} & set(members(store))
    assert {row["replicate"] for row in store.rows("cohorts/c/scores.csv")} == {"5", "6", "7", "8"}


def test_of_fifty_existing_the_first_four_are_taken(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """With k = 4 a new cohort takes the first four of fifty by gen_id, with any replicates, and calls nobody."""
    essay = store.essay(1)
    for n in range(50):
        store.evaluation(f"v_{(n * 37) % 50:02}", essay, replicate=n + 1)
    store.backfill(essay)
    assert dag.run(ONE_CELL).summary.complete
    assert members(store) == ["v_00", "v_01", "v_02", "v_03"]
    assert judge_server.calls() == 0


def test_unfinished_work_is_taken_up(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """Of two scored, one replied and one without a reply, the reply is scored for free and one call is made."""
    essay = store.essay(1)
    store.evaluation("scored1", essay, replicate=1)
    store.evaluation("scored2", essay, replicate=2)
    store.evaluation("replied", essay, replicate=3, score=None, reply="Fine.\nSCORE: 8\n")
    store.evaluation("begun", essay, replicate=4, score=None)
    store.backfill(essay)
    run = dag.run(ONE_CELL)
    assert actions(store) == {"begun": "call", "replied": "parse", "scored1": "reuse", "scored2": "reuse"}
    assert judge_server.calls() == 1
    assert store.read("gens/evaluation/replied/parsed.txt") == "8.0\n"
    assert store.read("gens/evaluation/replied/raw.txt") == "Fine.\nSCORE: 8\n"
    assert evaluations(store) == {"scored1", "scored2", "replied", "begun"}
    assert run.summary.complete


def test_a_pending_reply_of_a_dead_machine_is_scored(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Once the dead task was silent for long enough, its claims are taken over and the replies put in place."""
    essays = [store.essay(number) for number in (1, 2)]
    store.backfill(*essays)
    gen_ids = [store.evaluation(f"v_{number}", essay, score=None) for number, essay in enumerate(essays)]
    for gen_id in gen_ids:
        reply = reply_record_of("SCORE: 8\n")
        store.json(f"gens/evaluation/{gen_id}/.raw_metadata.json.0123456789ab.tmp", reply)
        store.write(f"gens/evaluation/{gen_id}/.raw.txt.0123456789ab.tmp", "SCORE: 8\n")
    claim_for_a_silent_task(store.root, 29.0, *gen_ids)
    assert dag.run({**ONE_CELL, "replicates": 1}).summary.complete
    assert judge_server.calls() == 0
    assert [store.read(f"gens/evaluation/v_{number}/parsed.txt") for number in (0, 1)] == ["8.0\n"] * 2


def reply_record_of(text: str) -> dict[str, Any]:
    """Return a record that proves that a reply in temporary files is complete."""
    return {"reply_sha256": sha256(text.encode()).hexdigest()}


def test_gaps_of_replicates_are_filled(store: StoreBuilder, dag: PlayedDag) -> None:
    """If replicates 1 and 3 exist, 2 and 4 are minted, with the ids that the formula gives."""
    essay = store.essay(1)
    store.evaluation("a1", essay, replicate=1)
    store.evaluation("a3", essay, replicate=3)
    store.backfill(essay)
    dag.run(ONE_CELL)
    minted = {evaluation_gen_id(essay, "novelty", "judge-a", n) for n in (2, 4)}
    assert set(members(store)) == {"a1", "a3"} | minted


def test_every_reply_can_be_traced_to_its_log(store: StoreBuilder, dag: PlayedDag) -> None:
    """A reply's record names model, tokens, cost, cohort and the exact try of the task that paid for it."""
    store.write(
        "1_raw/llm_models.csv",
        "id,model,for_evaluation,temperature,max_tokens,input_usd_per_mtok,output_usd_per_mtok\n"
        "judge-a,example/judge-a,true,0.5,1000,1,2\n",
    )
    essay = store.essay(1)
    dag.run({**ONE_CELL, "essay_ids": [essay], "replicates": 1})
    [gen_id] = members(store)
    record = json.loads(store.read(f"gens/evaluation/{gen_id}/raw_metadata.json"))
    usage = record["usage"]
    assert record["cost_usd"] == pytest.approx((usage["prompt_tokens"] + 2 * usage["completion_tokens"]) / 1e6)
    assert record.pop("reply_sha256")
    assert record.pop("created_at")
    assert record.pop("prompt_sha256")
    assert record.pop("duration_s") >= 0
    assert record.pop("call")
    del record["usage"], record["cost_usd"]
    assert record == {
        "llm_model_id": "judge-a",
        "model": "example/judge-a",
        "response_model": "offline-judge-not-a-model/example/judge-a",
        "base_url": f"{dag.base_url}/",
        "finish_reason": "stop",
        "truncated": False,
        "attempts": 1,
        "temperature": 0.5,
        "max_tokens": 1000,
        "cohort_id": "c",
        "dag_id": DAG_ID,
        "run_id": "run-1",
        "task_id": "evaluation.evaluation_raw",
        "map_index": 0,
        "try_number": 1,
    }


def test_the_prompt_is_the_template_with_the_essay(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """The stored prompt is the prompt that was sent; the essay's text is unchanged, even if it looks like Jinja."""
    essay = store.essay(1, "Essay number 1. {{ boom }} {% raise %}\r\n漢字\n")
    dag.run({**ONE_CELL, "essay_ids": [essay], "replicates": 1})
    [gen_id] = members(store)
    [request] = judge_server.requests()
    assert request["prompt"] == (store.root / f"gens/evaluation/{gen_id}/prompt.txt").read_bytes().decode()
    assert "{{ boom }} {% raise %}\r\n漢字\n" in request["prompt"]


SYSTEM = "1_raw/templates/evaluation/novelty.system.txt"


def test_what_is_sent_is_what_is_configured(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """The body has the system message, the stored prompt and the model's options, and asks for no stream."""
    store.write(SYSTEM, "You judge essays strictly. {{ boundary }} marks one.\n")
    store.write(
        "1_raw/llm_models.csv",
        "id,model,for_evaluation,max_tokens,input_usd_per_mtok,output_usd_per_mtok,request\n"
        'judge-a,api/a,true,300,1,2,"{""seed"": 7, ""top_p"": 0.5}"\n',
    )
    dag.run({**ONE_CELL, "essay_ids": [store.essay(1)], "replicates": 1})
    [gen_id] = members(store)
    folder = f"gens/evaluation/{gen_id}"
    system, prompt = store.read(f"{folder}/system_prompt.txt"), store.read(f"{folder}/prompt.txt")
    assert system.startswith("You judge essays strictly. B")
    assert system.split()[4] in prompt
    assert [request["body"] for request in judge_server.requests()] == [
        {
            "model": "api/a",
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": prompt}],
            "stream": False,
            "seed": 7,
            "top_p": 0.5,
            "max_tokens": 300,
        }
    ]
    intent = recorded_requests(store.root)[0]
    assert intent["worst_usd"] == pytest.approx((len((system + prompt).encode()) + 64 + 2 * 300) / 1e6)
    record = json.loads(store.read(f"{folder}/raw_metadata.json"))
    assert record["request"] == {"seed": 7, "top_p": 0.5}
    both = json.dumps([system, prompt], ensure_ascii=False)
    assert record["prompt_sha256"] == sha256(both.encode()).hexdigest()
    manifest = json.loads(store.read("cohorts/c/manifest.json"))
    assert manifest["system_sha256"] == {"novelty": sha256(store.read(SYSTEM).encode()).hexdigest()}


def test_without_a_system_message_nothing_of_it_is_written(store: StoreBuilder, dag: PlayedDag) -> None:
    """Prompt, hash and manifest of a template without a system message are the same as in former versions."""
    dag.run({**ONE_CELL, "essay_ids": [store.essay(1)], "replicates": 1})
    [gen_id] = members(store)
    assert not (store.root / f"gens/evaluation/{gen_id}/system_prompt.txt").exists()
    prompt = store.files()[f"gens/evaluation/{gen_id}/prompt.txt"]
    record = json.loads(store.read(f"gens/evaluation/{gen_id}/raw_metadata.json"))
    assert record["prompt_sha256"] == sha256(prompt).hexdigest()
    assert "system_sha256" not in json.loads(store.read("cohorts/c/manifest.json"))


def test_a_system_message_that_came_later(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """Evaluations made without the system message are reused and counted as edited; a new call gets the message."""
    essay = store.essay(1)
    conf = {**ONE_CELL, "essay_ids": [essay]}
    dag.run({**conf, "replicates": 1}, run_id="1")
    store.write(SYSTEM, "Be strict.")
    judge_server.reset()
    run = dag.run({**conf, "replicates": 2, "changed_inputs": "keep"}, run_id="2")
    assert (run.planned.edited, run.planned.reuse, run.planned.call) == (1, 1, 1)
    assert [len(request["body"]["messages"]) for request in judge_server.requests()] == [2]


def test_a_call_sends_what_is_stored(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """Editing or deleting a system message after the prompts were written does not change what is sent."""
    store.write(SYSTEM, "Be strict.")
    planned = dag.plan({**ONE_CELL, "essay_ids": [store.essay(1)], "replicates": 1})
    part = Slice(**slice_tasks.cut_into_slices(dag.settings, planned)[0])
    prompts, call, _ = _stage_steps(dag, planned, part).values()
    prompts()
    (store.root / SYSTEM).unlink()
    call()
    [request] = judge_server.requests()
    assert request["body"]["messages"][0] == {"role": "system", "content": "Be strict."}


# ---------------------------------------------------------------- what plan_cohort writes


def test_a_dry_run_writes_the_two_plan_files_only(
    varied: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A dry run leaves the run's plan.csv and its copy, and changes no other file."""
    before = varied.files()
    run = dag.run({"cohort_id": "c", "dry_run": True})
    after = varied.files()
    key = run.planned.run_key
    assert set(after) - set(before) == {"cohorts/c/plan.csv", f"cohorts/c/runs/{key}/plan.csv"}
    assert {name: after[name] for name in before} == before
    assert judge_server.calls() == 0
    assert run.summary.complete


def test_a_dry_run_plans_what_a_run_then_does(varied: StoreBuilder, dag: PlayedDag) -> None:
    """The plan of a dry run is identical, byte for byte, to the plan of the run after it."""
    dag.run({"cohort_id": "c", "dry_run": True}, run_id="dry")
    plan = varied.read("cohorts/c/plan.csv")
    dag.plan({"cohort_id": "c"}, run_id="real")
    assert varied.read("cohorts/c/plan.csv") == plan


def test_a_run_writes_nothing_outside_its_places(varied: StoreBuilder, dag: PlayedDag) -> None:
    """A run writes below gens/evaluation, its cohort's folder and the ledger, and leaves no temporary file."""
    before = varied.files()
    dag.run({"cohort_id": "c"})
    new = {name for name in varied.files() if not name.startswith(".ledger/")} - set(before)
    assert {name.split("/")[0] + "/" + name.split("/")[1] for name in new} == {"gens/evaluation", "cohorts/c"}
    assert not [name for name in new if name.endswith(".tmp")]
    assert {name.split("/")[-1] for name in new if name.startswith("gens")} == {
        "metadata.json",
        "prompt.txt",
        "raw.txt",
        "raw_metadata.json",
        "parsed.txt",
        "parsed_metadata.json",
    }


def golden_record(store: StoreBuilder, name: str) -> str:
    """Return a record's text; parts that differ between runs and machines are replaced."""
    text = store.read(name)
    text = re.sub(r'("created_at": )"[^"]+"', r'\1"(time)"', text)
    return text.replace(platform.python_version(), "(python)").replace(f'"{VERSION}"', '"(version)"')


def test_manifest_and_run_record_are_as_the_format_says(store: StoreBuilder, dag: PlayedDag) -> None:
    """manifest.json records what defines the cohort; run.json records the conf and the result of one planning."""
    essay = store.essay(1)
    store.evaluation("v_old", essay)
    store.backfill(essay)
    conf = {**ONE_CELL, "replicates": 2, "max_unscored": 1}
    planned = dag.plan(conf, run_id="manual__2026-01-02T03:04:05+00:00")
    manifest = golden_record(store, "cohorts/c/manifest.json")
    run = golden_record(store, f"cohorts/c/runs/{planned.run_key}/run.json")
    assert manifest == (GOLDEN / "steps_manifest.json").read_text(encoding="utf-8")
    assert run == (GOLDEN / "steps_run.json").read_text(encoding="utf-8")


def test_the_run_key_names_dag_run_and_try(store: StoreBuilder, dag: PlayedDag) -> None:
    """Each planning of a DagRun has its own folder."""
    store.backfill(store.essay(1))
    keys = [dag.plan({"cohort_id": "c"}, run_id="r", try_number=n).run_key for n in (1, 2)]
    assert keys == [run_key(DAG_ID, "r", 1), run_key(DAG_ID, "r", 2)]
    assert {path.name for path in (store.root / "cohorts/c/runs").iterdir()} == set(keys)


def test_the_manifest_keeps_its_date_while_the_inputs_stay(store: StoreBuilder, dag: PlayedDag) -> None:
    """Planning again with the same inputs keeps the manifest; other inputs rewrite it with the first date."""
    store.backfill(store.essay(1))
    dag.plan(ONE_CELL, run_id="1")
    first = store.read("cohorts/c/manifest.json")
    dag.plan(ONE_CELL, run_id="2")
    assert store.read("cohorts/c/manifest.json") == first
    dag.plan({**ONE_CELL, "replicates": 5}, run_id="3")
    changed = json.loads(store.read("cohorts/c/manifest.json"))
    assert changed["replicates"] == 5
    assert changed["created_at"] == json.loads(first)["created_at"]


def test_other_inputs_keep_the_former_membership_and_report_changes(
    store: StoreBuilder, dag: PlayedDag, log_lines: Logged
) -> None:
    """After planning with another essay the former membership is kept, and joined and left are reported."""
    store.essay(1)
    store.essay(2)
    store.backfill("e_essay1")
    dag.plan({**ONE_CELL, "replicates": 1}, run_id="1")
    former = store.read("cohorts/c/membership.csv")
    store.backfill("e_essay2")
    planned = dag.plan({**ONE_CELL, "replicates": 1}, run_id="2")
    assert store.read("cohorts/c/membership.1.csv") == former
    assert (planned.joined, planned.left) == (3, 3)
    assert [line.split(":")[0] for line in log_lines() if "since the former" in line] == [
        "3 members joined since the former membership",
        "3 members left since the former membership",
    ]


def test_the_plan_is_logged(varied: StoreBuilder, dag: PlayedDag, log_lines: Logged) -> None:
    """The log shows the plan as a table by template and model, with totals and the cost of the calls."""
    dag.plan({"cohort_id": "c"})
    text = "\n".join(log_lines())
    assert re.search(r"^template +model +members +reuse +parse +call +unscored$", text, re.MULTILINE)
    assert re.search(r"^novelty +judge-a +8 +4 +0 +4 +0$", text, re.MULTILINE)
    assert re.search(r"^all +32 +7 +0 +25 +0$", text, re.MULTILINE)
    assert re.search(r"^To call: 25 calls, about [\d,]+ tokens in, unknown out, cost unknown$", text, re.MULTILINE)


def test_xcom_carries_counts_not_ids(varied: StoreBuilder, dag: PlayedDag) -> None:
    """Tasks pass only a few numbers and slices to each other, however large the cohort is."""
    planned = dag.plan({"cohort_id": "c"})
    slices = slice_tasks.cut_into_slices(dag.settings, planned)
    assert len(json.dumps(planned.to_xcom())) < 1_500
    assert all(len(json.dumps(part)) < 300 for part in slices)
    assert planned.planned == sum(planned.count(Action(action)) for action in ("reuse", "parse", "call", "unscored"))


# ---------------------------------------------------------------- crashes while planning


def one_short_cell(root: Path) -> PlayedDag:
    """Return a store whose one cell, k = 4, has one scored and one refused evaluation, and two to mint."""
    store = StoreBuilder.sample(root)
    essay = store.essay(1)
    store.evaluation("zz_scored", essay, replicate=2)
    store.evaluation("aa_refused", essay, replicate=7, score=None, reply="hm", refused="no score")
    store.backfill(essay)
    return PlayedDag(root=root, base_url="http://127.0.0.1:9/v1")


@pytest.mark.slow
def test_killed_at_any_point_of_planning_the_members_are_the_same(tmp_path: Path) -> None:
    """Planning again after a crash at any of its file-system calls gives the same members as without a crash."""
    undisturbed = one_short_cell(tmp_path / "undisturbed")
    undisturbed.plan(ONE_CELL)
    expected = (undisturbed.root / "cohorts/c/membership.csv").read_bytes()
    seeded_only = 0
    for point in itertools.count(1):
        dag = one_short_cell(tmp_path / f"point {point}")
        store = StoreBuilder(dag.root)
        died = killed_before(point, dag.root, partial(dag.plan, ONE_CELL))
        membership = dag.root / "cohorts/c/membership.csv"
        seeded_only += len(evaluations(store)) > 2 and not membership.exists()
        dag.plan(ONE_CELL, run_id="run-2")
        assert membership.read_bytes() == expected, f"killed before call {point}"
        assert len(_visible(store)) == 4, f"killed before call {point}"
        if not died:
            break
        shutil.rmtree(dag.root)
    assert seeded_only > 0, "no crash came between seeds and membership: the experiment shows nothing"


def _visible(store: StoreBuilder) -> set[str]:
    return {name for name in evaluations(store) if not name.startswith(".")}


def grown_cell(root: Path) -> PlayedDag:
    """Return a cohort with one evaluation, to whose cell others were added later; their ids sort before it."""
    store = StoreBuilder.sample(root)
    essay = store.essay(1)
    store.evaluation("m_member", essay, replicate=1)
    store.backfill(essay)
    dag = PlayedDag(root=root, base_url="http://127.0.0.1:9/v1")
    dag.plan({**ONE_CELL, "replicates": 1}, run_id="first")
    for n in (2, 3):
        store.evaluation(f"a_later{n}", essay, replicate=n)
    return dag


@pytest.mark.slow
def test_killed_at_any_point_of_replanning_former_members_stay(tmp_path: Path) -> None:
    """A crash while a cohort grows does not replace its former members by other evaluations."""
    conf = {**ONE_CELL, "replicates": 2}
    for point in itertools.count(1):
        dag = grown_cell(tmp_path / f"point {point}")
        died = killed_before(point, dag.root, partial(dag.plan, conf, run_id="second"))
        dag.plan(conf, run_id="third")
        assert members(StoreBuilder(dag.root)) == ["a_later2", "m_member"], f"killed before call {point}"
        if not died:
            break
        shutil.rmtree(dag.root)


def test_a_combo_that_utf8_cannot_hold_is_planned(store: StoreBuilder, dag: PlayedDag) -> None:
    """An essay whose metadata holds half a surrogate pair does not prevent planning the cohort twice."""
    essay = store.essay(1)
    name = f"gens/essay/{essay}/metadata.json"
    store.write(name, store.read(name).replace('"combo-1"', '"combo \\ud83d"'))
    store.backfill(essay)
    assert dag.run({**ONE_CELL, "replicates": 1}).summary.complete
    membership = store.read("cohorts/c/membership.csv")
    assert dag.run({**ONE_CELL, "replicates": 1}, run_id="run-2").summary.complete
    assert store.read("cohorts/c/membership.csv") == membership


# ---------------------------------------------------------------- slices


def test_slices_cover_each_evaluation_once(varied: StoreBuilder, dag: PlayedDag) -> None:
    """Every reused and every unfinished evaluation is in exactly one slice, of its own kind."""
    planned = dag.plan({"cohort_id": "c"})
    for batch_size in (None, 1, 3):
        parts = [
            Slice(**part)
            for part in slice_tasks.cut_into_slices(dag.settings, replace(planned, batch_size=batch_size))
        ]
        found = Counter(
            (part.kind, row.member.gen_id) for part in parts for row in rows_of_slice(dag.settings, planned, part)
        )
        kinds = {gen_id: "reuse" if action == "reuse" else "todo" for gen_id, action in actions(varied).items()}
        assert found == Counter((kind, gen_id) for gen_id, kind in kinds.items())


@pytest.mark.parametrize(("tasks_at_once", "slices"), [(0, 2), (1, 1), (32, 2)])
def test_no_more_slices_call_than_tasks_run_at_once(
    store: StoreBuilder, dag: PlayedDag, tasks_at_once: int, slices: int
) -> None:
    """With more slices than tasks at once, waiting slices would leave their share of the allowed calls unused."""
    store.backfill(*(store.essay(number) for number in range(1, 61)))
    planned = dag.plan({**ONE_CELL, "replicates": 1, "max_concurrency": 50})
    parts = slice_tasks.cut_into_slices(dag.settings, planned, tasks_at_once)
    assert [part["calls_at_once"] for part in parts] == [50 // slices] * slices


@pytest.mark.parametrize(("in_flight", "slices"), [("", 4), ("17", 2)], ids=["no limit", "17 in flight"])
def test_on_several_machines_a_limit_of_the_model_limits_the_slices(
    store: StoreBuilder, dag: PlayedDag, in_flight: str, slices: int
) -> None:
    """Slices beyond what the model lets be in flight would only wait."""
    store.write("1_raw/llm_models.csv", f"id,model,for_evaluation,max_in_flight\njudge-a,m,true,{in_flight}\n")
    store.backfill(*(store.essay(number) for number in range(1, 101)))
    planned = dag.plan({**ONE_CELL, "replicates": 1, "max_concurrency": 50})
    assert len(slice_tasks.cut_into_slices(dag.settings, planned, 16, several_machines=True)) == slices


def test_a_slice_is_of_this_runs_plan(varied: StoreBuilder, dag: PlayedDag) -> None:
    """A later planning of the same cohort does not change the rows of an earlier run's slices."""
    planned = dag.plan({"cohort_id": "c"}, run_id="1")
    part = Slice(**slice_tasks.cut_into_slices(dag.settings, planned)[-1])
    before = rows_of_slice(dag.settings, planned, part)
    dag.plan({"cohort_id": "c", "templates": ["coherence"]}, run_id="2")
    assert rows_of_slice(dag.settings, planned, part) == before


def test_a_run_without_its_plan_says_so(varied: StoreBuilder, dag: PlayedDag) -> None:
    """Every step of a run whose plan.csv was deleted fails with the file's name."""
    planned = dag.plan({"cohort_id": "c"})
    (varied.root / f"cohorts/c/runs/{planned.run_key}/plan.csv").unlink()
    with pytest.raises(StoreError, match="is gone"):
        slice_tasks.cut_into_slices(dag.settings, planned)


# ---------------------------------------------------------------- skipping


def test_a_slice_reads_its_own_plan(varied: StoreBuilder, dag: PlayedDag) -> None:
    """`batches` writes each slice's rows; a run that 0.1.0 planned has only the whole plan; damage is named."""
    planned = dag.plan({"cohort_id": "c"})
    parts = [Slice(**part) for part in slice_tasks.cut_into_slices(dag.settings, planned)]
    run = varied.root / f"cohorts/c/runs/{planned.run_key}"
    plan = (run / "plan.csv").read_bytes()
    (run / "plan.csv").unlink()
    own = [rows_of_slice(dag.settings, planned, part) for part in parts]
    assert sum(map(len, own)) == planned.planned - planned.unscored
    (run / "plan.csv").write_bytes(plan)
    (run / "slices" / f"{parts[0].name}.csv").write_text("torn")
    with pytest.raises(StoreError, match=re.escape(f"{parts[0].name}.csv is damaged")):
        rows_of_slice(dag.settings, planned, parts[0])
    shutil.rmtree(run / "slices")
    assert [rows_of_slice(dag.settings, planned, part) for part in parts] == own


def test_skip_lines_are_exact(varied: StoreBuilder, dag: PlayedDag, caplog: pytest.LogCaptureFixture) -> None:
    """check_parsed logs the documented line for each evaluation that is done, and returns how many are not done."""
    planned = dag.plan({"cohort_id": "c"})
    reuse = Slice(kind="reuse", start=0, stop=100, label="")
    todo = Slice(kind="todo", start=0, stop=100, label="")
    caplog.set_level(logging.INFO, logger="essay_cohorts")
    caplog.clear()
    assert slice_tasks.check_parsed(dag.settings, planned, reuse) == 0
    reused = [gen_id for gen_id, action in actions(varied).items() if action == "reuse"]
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("INFO", f"Skipping {gen_id}: parsed.txt already exists") for gen_id in reused
    ]
    caplog.clear()
    assert slice_tasks.check_parsed(dag.settings, planned, todo) == 25
    assert caplog.records == []


def test_every_stage_step_checks_for_itself(
    varied: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, log_lines: Logged
) -> None:
    """Each of the three steps, cleared after the run, changes nothing and does not log a line of check_parsed."""
    run = dag.run({"cohort_id": "c"})
    part = next(Slice(**part) for part in run.slices if part["kind"] == "todo")
    done = [row.member.gen_id for row in rows_of_slice(dag.settings, run.planned, part)]
    before, calls = varied.files("gens"), judge_server.calls()
    for name, step in _stage_steps(dag, run.planned, part).items():
        logged = len(log_lines())
        step()
        assert skip_lines(log_lines()[logged:]) == [], name
    assert slice_tasks.check_parsed(dag.settings, run.planned, part) == 0
    assert skip_lines(log_lines())[-len(done) :] == done
    assert varied.files("gens") == before
    assert judge_server.calls() == calls


def _stage_steps(dag: PlayedDag, planned: PlannedRun, part: Slice) -> dict[str, Callable[[], object]]:
    task = task_ref("run-1", "evaluation.evaluation_raw", 2, 0)
    return {
        "evaluation_prompt": lambda: slice_tasks.write_prompts(dag.settings, planned, part),
        "evaluation_raw": lambda: asyncio.run(call_missing(dag.settings, planned, part, task, dag.connect)),
        "evaluation_parsed": lambda: slice_tasks.parse_replies(dag.settings, planned, part, task),
    }


def test_a_score_is_done_whatever_else_is_missing(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """An evaluation with parsed.txt but without prompt.txt and raw.txt is done: nothing is written or called."""
    essay = store.essay(1)
    store.evaluation("v_1", essay)
    (store.root / "gens/evaluation/v_1/raw.txt").unlink()
    before = store.files("gens/evaluation/v_1")
    run = dag.run({**ONE_CELL, "essay_ids": [essay], "replicates": 1})
    assert run.summary.complete
    assert store.files("gens/evaluation/v_1") == before
    assert judge_server.calls() == 0


def test_the_shell_line_lists_what_was_skipped(varied: StoreBuilder, dag: PlayedDag, log_lines: Logged) -> None:
    """The documented grep, cut and xargs print exactly the gen_ids that a run logs as skipped."""
    script = (
        'grep "^evaluation," data/cohorts/c/membership.csv | cut -d, -f2 \\\n'
        """  | xargs -I {} sh -c 'if [ -f "data/gens/evaluation/{}/parsed.txt" ]; then echo "{}"; fi'"""
    )
    planned = dag.plan({"cohort_id": "c"})
    printed = subprocess.run(
        ["bash", "-c", script], cwd=varied.root.parent, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    before = len(log_lines())
    for part in slice_tasks.cut_into_slices(dag.settings, planned):
        slice_tasks.check_parsed(dag.settings, planned, Slice(**part))
    assert printed == skip_lines(log_lines()[before:])
    assert len(printed) == 7


# ---------------------------------------------------------------- prompts and replies


@pytest.mark.parametrize(
    ("lose", "message"),
    [
        pytest.param(
            lambda s: (s.root / "gens/essay/e_essay1/parsed.txt").unlink(),
            "the text of essay e_essay1 is missing",
            id="essay",
        ),
        pytest.param(lambda s: s.templates("coherence"), "template novelty is no longer active", id="template's row"),
    ],
)
def test_an_input_lost_after_planning_is_logged(
    store: StoreBuilder,
    dag: PlayedDag,
    judge_server: JudgeServer,
    lose: Callable[[StoreBuilder], object],
    message: str,
    log_lines: Logged,
) -> None:
    """The log names an essay or a template that was deleted after planning, and no call is made for it."""
    planned = dag.plan({**ONE_CELL, "essay_ids": [store.essay(1)]})
    lose(store)
    run = dag.run_planned(planned)
    assert len([line for line in log_lines() if message in line]) == 4
    assert judge_server.calls() == 0
    assert not run.summary.complete
    assert run.summary.totals.not_run == 4


def test_templates_broken_after_planning_are_bad_input(store: StoreBuilder, dag: PlayedDag) -> None:
    """A CSV that is broken during a run stops the step with an error that names file and line."""
    planned = dag.plan({**ONE_CELL, "essay_ids": [store.essay(1)]})
    part = Slice(**slice_tasks.cut_into_slices(dag.settings, planned)[0])
    store.write("1_raw/evaluation_templates.csv", "template_id,active\nnovelty,perhaps\n")
    with pytest.raises(BadInput, match=r"evaluation_templates\.csv:2, column active"):
        slice_tasks.write_prompts(dag.settings, planned, part)


def test_a_former_prompt_under_its_other_name_is_sent(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """An unfinished evaluation of another store whose input.txt is today's prompt gets no second prompt file."""
    essay = store.essay(1)
    conf = {**ONE_CELL, "essay_ids": [essay], "replicates": 1}
    dag.run({**conf, "cohort_id": "first"})
    [done] = members(store, "first")
    prompt = store.read(f"gens/evaluation/{done}/prompt.txt")
    shutil.rmtree(store.root / "gens/evaluation")
    store.evaluation("43ftibqi56628az1", essay, score=None)
    store.write("gens/evaluation/43ftibqi56628az1/input.txt", prompt)
    judge_server.reset()
    assert dag.run(conf).summary.complete
    assert [request["prompt"] for request in judge_server.requests()] == [prompt]
    assert "prompt.txt" not in {path.name for path in (store.root / "gens/evaluation/43ftibqi56628az1").iterdir()}


def test_the_prompt_of_a_stored_reply_stays(store: StoreBuilder, dag: PlayedDag) -> None:
    """A template edited between two tries does not replace the prompt of a stored reply."""
    planned = dag.plan({**ONE_CELL, "essay_ids": [store.essay(1)], "replicates": 1})
    part = Slice(**slice_tasks.cut_into_slices(dag.settings, planned)[0])
    prompts, call, _ = _stage_steps(dag, planned, part).values()
    prompts()
    call()
    [gen_id] = members(store)
    asked = store.read(f"gens/evaluation/{gen_id}/prompt.txt")
    store.write("1_raw/templates/evaluation/novelty.txt", "Judge novelty anew. {{ response }}")
    prompts()
    assert store.read(f"gens/evaluation/{gen_id}/prompt.txt") == asked


@pytest.mark.parametrize(
    ("reply", "score", "reason"),
    [
        pytest.param("SCORE: 7", "7.0\n", "", id="a score"),
        pytest.param("SCORE: 0", "0.0\n", "", id="zero is a score"),
        pytest.param("SCORE: 7/10", None, "another scale", id="another scale"),
        pytest.param("Nice.", None, "none of the last three lines", id="no score"),
        pytest.param("", None, "empty", id="an empty reply"),
    ],
)
def test_a_stored_reply_is_scored_for_free(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, reply: str, score: str | None, reason: str
) -> None:
    """A stored reply is scored without a call; a refused reply has a verdict with the reason and no score."""
    store.evaluation("v_1", store.essay(1), score=None, reply=reply)
    store.backfill("e_essay1")
    run = dag.run({**ONE_CELL, "replicates": 1})
    record = json.loads(store.read("gens/evaluation/v_1/parsed_metadata.json"))
    assert (record["parser_name"], record["parser_version"]) == ("in_last_line", "2")
    assert record["success"] is (score is not None)
    assert reason in record["reason"]
    assert store.files("gens/evaluation/v_1").get("gens/evaluation/v_1/parsed.txt") == (score and score.encode())
    assert not (store.root / "gens/evaluation/v_1/prompt.txt").exists(), "a prompt that was never sent"
    assert judge_server.calls() == 0
    assert run.summary.complete is (score is not None)


def test_a_refused_reply_is_not_judged_twice_by_one_parser(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A reply that this parser refused stays unscored; a reply that a former version refused is read again."""
    essay = store.essay(1)
    store.evaluation("v_now", essay, replicate=1, score=None, reply="hm", refused="no score")
    store.evaluation("v_then", essay, replicate=2, score=None, reply="SCORE: 4.")
    former = {"parser_name": "in_last_line", "parser_version": "1", "success": False, "score": None, "reason": "old"}
    store.json("gens/evaluation/v_then/parsed_metadata.json", former)
    store.backfill(essay)
    before = store.files("gens/evaluation/v_now")
    run = dag.run({**ONE_CELL, "replicates": 2, "max_unscored": 1})
    assert actions(store) == {"v_now": "unscored", "v_then": "parse"}
    assert store.files("gens/evaluation/v_now") == before
    assert store.read("gens/evaluation/v_then/parsed.txt") == "4.0\n"
    assert json.loads(store.read("gens/evaluation/v_then/parsed_metadata.1.json")) == former
    assert run.summary.complete
    assert judge_server.calls() == 0


def test_edited_templates_are_counted_and_not_acted_on(
    varied: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, log_lines: Logged
) -> None:
    """After a template was edited, evaluations with the former text are counted, reused and left unchanged."""
    dag.run({"cohort_id": "c"}, run_id="1")
    varied.write("1_raw/templates/evaluation/novelty.txt", "Judge novelty anew. {{ response }} SCORE: n")
    judge_server.reset()
    gens = varied.files("gens")
    run = dag.run({"cohort_id": "c", "changed_inputs": "keep"}, run_id="2")
    made_with_novelty = sum(count for (_, template, _), count in SHORTFALL.items() if template == "novelty")
    assert run.planned.edited == made_with_novelty
    made = "existing evaluations were made with another prompt or model than today's; they are kept."
    assert f"{made_with_novelty} {made}" in log_lines()
    assert judge_server.calls() == 0
    assert varied.files("gens") == gens
    assert run.summary.complete
