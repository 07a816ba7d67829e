"""Tests of backfill mode with a real scheduler over real HTTP: calls, skips, stored files and failed runs."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import FinishedRun, Stage
from tests.store_builder import StoreBuilder

TEMPLATES, MODELS, K = ("novelty", "coherence"), ("judge-a", "judge-b"), 4
# The number of evaluations in each of the 24 cells beforehand: 13 cells are full, and two of these have too many.
EXISTING = (4, 4, 0, 4, 1, 4, 4, 2, 6, 4, 3, 0, 4, 4, 2, 1, 4, 0, 4, 6, 3, 4, 0, 1)


def _fill_24_cells(store: StoreBuilder, first_essay: int) -> tuple[list[str], Counter[tuple[str, str, str]]]:
    """Make six essays with EXISTING evaluations; return their ids and the shortfalls as in the judge's tally."""
    essays = [store.essay(first_essay + number) for number in range(6)]
    shortfall: Counter[tuple[str, str, str]] = Counter()
    for existing, (number, template, model) in zip(
        EXISTING, itertools.product(range(6), TEMPLATES, MODELS), strict=True
    ):
        for replicate in range(1, existing + 1):
            gen_id = f"legacy{first_essay + number}{template}{model}{replicate}"
            store.evaluation(gen_id, essays[number], template=template, model=model, replicate=replicate)
        if existing < K:
            shortfall[str(first_essay + number), template, f"example/{model}"] = K - existing
    return essays, shortfall


def _rows(csv_text: str) -> list[list[str]]:
    return [line.split(",") for line in csv_text.splitlines()[1:]]


def _reused(plan_csv: str) -> list[str]:
    return sorted(row[1] for row in _rows(plan_csv) if row[0] == "evaluation" and row[8] == "reuse")


def _assert_reuse_slices_skipped(run: FinishedRun) -> None:
    slices = run.xcom("plan_cohort")
    for task in ("check_parsed", "evaluation_prompt", "evaluation_raw", "evaluation_parsed"):
        states = run.states(f"evaluation.{task}")
        for index, part in enumerate(slices):
            assert states[index] == ("skipped" if part["kind"] == "reuse" else "success"), (task, index)


def test_a_cohort_calls_for_its_shortfall_once_and_never_again(stage: Stage) -> None:
    """The first run makes one call for each missing evaluation, and later triggers of any kind make none."""
    essays, shortfall = _fill_24_cells(stage.store, 100)
    stage.store.backfill(*essays)
    before = stage.metadata_bytes()
    conf = {"cohort_id": "novelty_v2_backfill"}

    first = stage.trigger(conf)
    assert first.state == "success"
    assert stage.judge.tally() == shortfall
    _assert_reuse_slices_skipped(first)
    first_plan = stage.cohort("novelty_v2_backfill", "plan.csv")
    assert first.skip_lines() == _reused(first_plan)
    membership = stage.cohort("novelty_v2_backfill", "membership.csv")
    assert membership.splitlines()[0] == (
        "stage,gen_id,cohort_id,parent_gen_id,combo_id,template_id,llm_model_id,replicate"
    )
    members = [row for row in _rows(membership) if row[0] == "evaluation"]
    assert Counter((row[3], row[5], row[6]) for row in members) == Counter(
        {(essay, template, model): K for essay in essays for template in TEMPLATES for model in MODELS}
    )

    stage.judge.reset()
    second = stage.trigger(conf)
    assert second.state == "success"
    assert stage.judge.calls() == 0
    assert stage.cohort("novelty_v2_backfill", "membership.csv") == membership
    _assert_reuse_slices_skipped(second)
    assert second.skip_lines() == _reused(stage.cohort("novelty_v2_backfill", "plan.csv"))
    assert _listed_by_shell(stage.store.root, "novelty_v2_backfill") == [row[1] for row in members]

    (stage.store.root / "2_tasks" / "selected_essays.txt").unlink()
    third = stage.trigger_by_command_line({**conf, "essay_ids": essays}, "by_command_line")
    assert third.state == "success"
    assert stage.judge.calls() == 0
    assert stage.cohort("novelty_v2_backfill", "membership.csv") == membership
    after = stage.metadata_bytes()
    assert {name: after[name] for name in before} == before


def _listed_by_shell(root: Path, cohort_id: str) -> list[str]:
    """Return the output of the documented one-line command."""
    line = (
        f'grep "^evaluation," {root}/cohorts/{cohort_id}/membership.csv | cut -d, -f2 '
        f'| xargs -I {{}} sh -c \'if [ -f "{root}/gens/evaluation/{{}}/parsed.txt" ]; then echo "{{}}"; fi\''
    )
    return subprocess.run(line, shell=True, capture_output=True, text=True, check=True).stdout.split()  # noqa: S602


def test_cells_take_what_exists_in_the_promised_order(stage: Stage) -> None:
    """A cell takes existing scores first, then parses a stored reply, then calls for unfinished evaluations."""
    many, mixed, gap = (stage.store.essay(number) for number in (201, 202, 203))
    for replicate in range(1, 51):
        stage.store.evaluation(f"fifty{replicate:03}", many, replicate=replicate)
    for replicate in (1, 2):
        stage.store.evaluation(f"mixed{replicate}", mixed, replicate=replicate)
    stage.store.evaluation("mixed3", mixed, replicate=3, score=None, reply="Said before.\nSCORE: 5\n")
    stage.store.evaluation("mixed4", mixed, replicate=4, score=None)
    for replicate in (1, 2, 4):
        stage.store.evaluation(f"gap{replicate}", gap, replicate=replicate)

    run = stage.trigger(
        {"cohort_id": "order", "essay_ids": [many, mixed, gap], "templates": ["novelty"], "models": ["judge-a"]}
    )

    assert run.state == "success"
    assert stage.judge.tally() == {("202", "novelty", "example/judge-a"): 1, ("203", "novelty", "example/judge-a"): 1}
    members = [row for row in _rows(stage.cohort("order", "membership.csv")) if row[0] == "evaluation"]
    assert [row[1] for row in members[:4]] == ["fifty001", "fifty002", "fifty003", "fifty004"]
    assert [row[1] for row in members[4:8]] == ["mixed1", "mixed2", "mixed3", "mixed4"]
    assert sorted(row[7] for row in members[8:]) == ["1", "2", "3", "4"]
    assert stage.store.read("gens/evaluation/mixed3/parsed.txt") == "5.0\n"


def test_a_cleared_run_with_nothing_to_do_succeeds_without_a_call(stage: Stage) -> None:
    """A finished run that is cleared plans fewer slices, makes no call and succeeds again."""
    essays = [stage.store.essay(number) for number in (701, 702, 703)]
    for replicate in range(1, 5):
        stage.store.evaluation(f"existing{replicate}", essays[0], replicate=replicate)
    conf = {"cohort_id": "cleared", "essay_ids": essays, "models": ["judge-a"], "templates": ["novelty"]}
    run = stage.trigger(conf)
    assert run.state == "success"
    assert [part["kind"] for part in run.xcom("plan_cohort")] == ["todo"] * 8 + ["reuse"] * 4
    stage.judge.reset()
    cleared = stage.clear(run)
    assert cleared.state == "success"
    assert stage.judge.calls() == 0
    assert [part["kind"] for part in cleared.xcom("plan_cohort")] == ["reuse"]
    assert set(cleared.states("evaluation.evaluation_raw").values()) <= {"skipped", "removed"}


def _member_of(stage: Stage, cohort_id: str, essay_id: str) -> str:
    rows = _rows(stage.cohort(cohort_id, "membership.csv"))
    (gen_id,) = [row[1] for row in rows if row[0] == "evaluation" and row[3] == essay_id]
    return gen_id


def test_a_slice_with_three_bad_calls_stores_the_others_and_is_fixed_by_one_call(stage: Stage) -> None:
    """The failed run names three bad evaluations; clearing repeats only the failed call, not the refused replies."""
    essays = [stage.store.essay(number) for number in range(301, 307)]
    conf: dict[str, Any] = {
        "cohort_id": "faulty",
        "essay_ids": essays,
        "templates": ["novelty"],
        "models": ["judge-a"],
        "replicates": 1,
        "batch_size": 6,
    }
    stage.judge.faults(
        {"contains": "Essay number 301.", "fault": "garbage"},
        {"contains": "Essay number 302.", "fault": "truncate"},
        {"contains": "Essay number 303.", "fault": "status", "status": 500, "message": "the judge is ill"},
    )

    run = stage.trigger(conf)

    garbage, truncated, failed = (_member_of(stage, "faulty", essay) for essay in essays[:3])
    message = run.log("summarise_cohort")
    assert run.state == "failed"
    assert len(run.xcom("plan_cohort")) == 1
    assert "3 scored + 2 unscored + 1 failed + 0 in flight elsewhere + 0 deferred + 0 not run" in message
    assert f"{failed}: the server said 500: the judge is ill (attempts: 3)" in message
    assert f"{garbage}: none of the last three lines begins with SCORE" in message
    assert f"{truncated}: truncated: the reply hit its token limit" in message
    assert '"kind": "http_500"' in stage.store.read(f"gens/evaluation/{failed}/failure.json")
    for essay in essays[3:]:
        assert stage.store.read(f"gens/evaluation/{_member_of(stage, 'faulty', essay)}/parsed.txt").endswith("\n")

    stage.judge.reset()
    cleared = stage.clear(run)
    message = cleared.log("summarise_cohort", try_number=2)
    assert cleared.state == "failed"
    assert stage.judge.tally() == {("303", "novelty", "example/judge-a"): 1}
    assert "3 reused + 1 scored + 2 unscored + 0 failed" in message
    assert garbage in message
    assert truncated in message
    assert failed not in message
    assert not (stage.store.root / f"gens/evaluation/{failed}/failure.json").exists()

    stage.judge.reset()
    assert stage.trigger({**conf, "max_unscored": 2}).state == "success"
    assert stage.judge.calls() == 0

    former = stage.store.read(f"gens/evaluation/{garbage}/raw.txt")
    asked_again = stage.trigger({**conf, "retry_unscored": True})
    assert asked_again.state == "success"
    assert stage.judge.tally() == {
        ("301", "novelty", "example/judge-a"): 1,
        ("302", "novelty", "example/judge-a"): 1,
    }
    assert stage.store.read(f"gens/evaluation/{garbage}/raw.1.txt") == former
    assert "SCORE:" in stage.store.read(f"gens/evaluation/{garbage}/raw.txt")


def _assert_only_planning_ran(run: FinishedRun) -> None:
    states = {task.task_id: task.state for task in run.tasks()}
    assert run.state == "failed"
    assert states.pop("plan_cohort") == "failed"
    assert states.pop("summarise_cohort") == "failed"
    assert states.pop("write_report") == "skipped"
    assert set(states.values()) == {"upstream_failed"}, states
    assert "Planning failed" in run.log("summarise_cohort")
    for task in ("plan_cohort", "summarise_cohort"):
        assert 'File "' not in run.log(task), "a user's mistake must be reported in a sentence, not in a traceback"


def test_a_wrong_selection_after_a_good_run_is_red(stage: Stage) -> None:
    """A mistake in the selection fails the run, which never reuses the plan of an earlier run."""
    essay = stage.store.essay(401)
    stage.store.backfill(essay)
    assert stage.trigger({"cohort_id": "mistaken"}).state == "success"
    tree = stage.store.tree_hash()
    stage.judge.reset()

    selection = stage.store.root / "2_tasks" / "selected_essays.txt"
    good = selection.read_text()
    selection.write_text(good.replace("existing-evaluations", "existing-evaluation"))
    run = stage.trigger({"cohort_id": "mistaken"})
    selection.write_text(good)

    _assert_only_planning_ran(run)
    log = run.log("plan_cohort")
    assert 'selected_essays.txt:2: "# include-existing-evaluation" looks like a misspelt directive' in log
    assert 'Did you mean "# include-existing-evaluations"' in log
    assert stage.judge.calls() == 0
    assert stage.store.tree_hash() == tree


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        pytest.param("dryrun", "dry_run", id="dryrun"),
        pytest.param("essay_id", "essay_ids", id="essay_id"),
        pytest.param("max_concurency", "max_concurrency", id="max_concurency"),
    ],
)
def test_a_misspelt_conf_key_fails_before_anything_happens(stage: Stage, key: str, meant: str) -> None:
    """Airflow accepts any conf key, but planning refuses an unknown key before it writes or calls anything."""
    essay = stage.store.essay(402)
    tree = stage.store.tree_hash()
    run = stage.trigger({"essay_ids": [essay], key: True})
    _assert_only_planning_ran(run)
    assert f'conf: {key}: there is no such setting, and it would have been ignored. Did you mean "{meant}"?' in (
        run.log("plan_cohort")
    )
    assert stage.judge.calls() == 0
    assert stage.store.tree_hash() == tree


def test_a_wrong_key_stops_the_run_and_shows_nowhere(stage: Stage) -> None:
    """With 401 for 200 calls at most `max_concurrency` are made, none is repeated, and no file has the key."""
    essays = [stage.store.essay(number) for number in range(501, 526)]
    stage.judge.faults({"fault": "status", "status": 401, "message": f"Incorrect API key provided: {stage.key}"})
    conf = {"cohort_id": "wrong_key", "essay_ids": essays, "templates": ["novelty"], "max_concurrency": 8}

    run = stage.trigger(conf)

    assert run.state == "failed"
    assert run.xcom("plan_cohort", "plan")["call"] == 200
    assert 1 <= stage.judge.calls() <= 8
    received = {request["key_sha256"] for request in stage.judge.requests()}
    assert received == {hashlib.sha256(stage.key.encode()).hexdigest()}
    message = run.log("summarise_cohort")
    assert "the server said 401: Incorrect API key provided: ***" in message
    assert "Put a valid API key into the Connection llm_default" in message
    tries = {task.try_number for task in run.tasks() if task.task_id == "evaluation.evaluation_raw"}
    assert tries == {1}

    roots = (stage.airflow.layout.home, stage.store.root)
    assert _files_with(stage.key, *roots) == []
    planted = stage.store.write("planted.txt", f"key={stage.key}\n")
    assert _files_with(stage.key, *roots) == [planted]
    planted.unlink()


def _files_with(text: str, *roots: Path) -> list[Path]:
    files = (path for root in roots for path in root.rglob("*") if path.is_file())
    return [path for path in files if text.encode() in path.read_bytes()]


def test_a_dry_run_writes_plan_files_alone(stage: Stage) -> None:
    """A dry run succeeds, logs the plan as a table, and writes only plan.csv."""
    essay = stage.store.essay(601)
    before = _all_files(stage.store.root)
    run = stage.trigger({"cohort_id": "dry", "essay_ids": [essay], "dry_run": True})
    assert run.state == "success"
    key = run.xcom("plan_cohort", "plan")["run_key"]
    written = {str(path.relative_to(stage.store.root)) for path in _all_files(stage.store.root) - before}
    assert written == {"cohorts/dry/plan.csv", f"cohorts/dry/runs/{key}/plan.csv"}
    log = run.log("plan_cohort")
    assert "template   model    members  reuse  parse  call  unscored" in log
    assert "To call: 16 calls, about " in log
    assert stage.judge.calls() == 0
    succeeded = {task.task_id for task in run.tasks() if task.state != "skipped"}
    assert succeeded == {"plan_cohort", "not_a_dry_run", "summarise_cohort"}


def _all_files(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if path.is_file()}
