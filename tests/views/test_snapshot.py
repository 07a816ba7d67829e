"""A snapshot of a cohort agrees with status, with scores.csv and with every parsed.txt."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from essay_cohorts.calls import Spending
from essay_cohorts.domain import Outcome, RunRef
from essay_cohorts.errors import BadInput
from essay_cohorts.ids import run_key
from essay_cohorts.rubric import DEFAULT_SCALE
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.scores_csv import scores_text
from essay_cohorts.views.account import NO_ACCOUNT
from essay_cohorts.views.coverage import CellCoverage, CellState
from essay_cohorts.views.evaluation_state import MemberState, no_number
from essay_cohorts.views.snapshot import CohortSnapshot, read_snapshot
from essay_cohorts.views.status import cohort_status
from tests.conftest import DAG_ID, PlayedDag
from tests.judge_server import JudgeServer
from tests.score_rows import CELL
from tests.store_builder import StoreBuilder

CONF: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "replicates": 2, "max_unscored": 9}
ONE_CELL: dict[str, Any] = {**CONF, "models": ["judge-a"], "essay_ids": ["e_essay1"]}
SCORES = "cohorts/c/scores.csv"
SECOND = 1_000_000_000


@pytest.fixture
def mixed(store: StoreBuilder, judge_server: JudgeServer) -> StoreBuilder:
    """Return a store of three essays: one with score, refusal and prices; one that fails; one judged in prose."""
    first, _, third = (store.essay(number) for number in (1, 2, 3))
    store.evaluation("v_a", first, replicate=1, score=6.5, origin="=old")
    store.evaluation("v_b", first, replicate=2, score=None, reply="hm", refused="no, score")
    store.evaluation("v_c", third, replicate=1, score=None, reply="SCORE: 3")
    store.json("gens/evaluation/v_a/raw_metadata.json", {"cost_usd": 0.0625})
    store.backfill("e_essay1", "e_essay2", "e_essay3")
    judge_server.faults(
        {"fault": "status", "status": 400, "message": "=No.", "contains": "number 2."},
        {"fault": "garbage", "contains": "number 3.", "model": "example/judge-b"},
    )
    return store


def snapshot_of(dag: PlayedDag) -> CohortSnapshot:
    """Return the cohort as it is now."""
    return read_snapshot(dag.settings, "c")


def counts(dag: PlayedDag) -> dict[str, int]:
    """Return the counts of the outcomes that occur."""
    return {outcome.value: number for outcome, number in snapshot_of(dag).counts.items()}


def parsed(store: StoreBuilder, gen_id: str) -> Path:
    """Return the path of an evaluation's parsed.txt."""
    return store.root / "gens" / "evaluation" / gen_id / "parsed.txt"


def written_at(path: Path, offset_ns: int, after: Path) -> None:
    """Set a file's time to this offset after another file's time."""
    time = after.stat().st_mtime_ns + offset_ns
    os.utime(path, ns=(time, time))


# ---------------------------------------------------------------- three accounts of one cohort

runs = pytest.mark.parametrize(
    ("more", "outcomes"),
    [
        pytest.param({}, {"reused": 1, "scored": 4, "unscored": 3, "failed": 4}, id="all called"),
        pytest.param(
            {"retry_unscored": True}, {"reused": 1, "scored": 5, "unscored": 2, "failed": 4}, id="asked again"
        ),
        pytest.param(
            {"max_llm_calls": 1, "replicates": 3, "models": ["judge-a"], "essay_ids": ["e_essay1", "e_essay3"]},
            {"reused": 1, "scored": 2, "unscored": 1, "deferred": 2},
            id="little room in the budget",
        ),
    ],
)


@runs
def test_a_snapshot_is_what_the_run_wrote(
    mixed: StoreBuilder, dag: PlayedDag, more: dict[str, Any], outcomes: dict[str, int]
) -> None:
    """After a run the rows of the snapshot are scores.csv, byte for byte, and its counts are the summary's."""
    totals = dag.run({**CONF, **more}).summary.totals
    snapshot = snapshot_of(dag)
    assert scores_text(snapshot.rows).encode() == (mixed.root / SCORES).read_bytes()
    assert counts(dag) == outcomes == {one.value: totals.count(one) for one in Outcome if totals.count(one)}
    assert (snapshot.with_score, snapshot.missing) == (
        totals.reused + totals.scored,
        totals.not_run + totals.deferred,
    )
    assert (snapshot.last_run, snapshot.replicates) == (RunRef(DAG_ID, "run-1"), more.get("replicates", 2))
    assert snapshot.spending.calls >= totals.called


@runs
def test_a_snapshot_is_what_status_says(
    mixed: StoreBuilder, dag: PlayedDag, more: dict[str, Any], outcomes: dict[str, int]
) -> None:
    """Each cell has as many members in each state as `status` counts, before, during and after a run."""
    planned = dag.plan({**CONF, **more})
    _check_against_status(dag)
    dag.run_planned(planned)
    _check_against_status(dag)
    parsed(mixed, "v_a").write_text("seven\n")
    _check_against_status(dag)


def _check_against_status(dag: PlayedDag) -> None:
    snapshot, status = snapshot_of(dag), cohort_status(dag.settings, "c")
    cells = status.cells
    assert snapshot.account == status.account
    assert [cell.cell for cell in snapshot.cells] == [cell.cell for cell in cells]
    for covered, counted in zip(snapshot.cells, cells, strict=True):
        found = Counter(row.outcome for row in snapshot.rows if row.member.cell == counted.cell)
        said = counted.counts
        assert covered.scored == found[Outcome.REUSED] + found[Outcome.SCORED] == said[MemberState.SCORED]
        assert found[Outcome.UNSCORED] == said[MemberState.UNSCORED]
        assert found[Outcome.FAILED] == said[MemberState.FAILED]
        assert found[Outcome.DEFERRED] == said[MemberState.DEFERRED]
        assert found[Outcome.IN_FLIGHT_ELSEWHERE] == said[MemberState.IN_FLIGHT]
        replied = [row for row in snapshot.rows if row.member.gen_id in snapshot.replied]
        assert [row.member.cell for row in replied].count(counted.cell) == said[MemberState.REPLIED]
        assert found[Outcome.NOT_RUN] == said[MemberState.NO_REPLY] + said[MemberState.REPLIED]


def test_replies_that_wait_for_scoring_are_replied(
    mixed: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Between the calls and their scoring, an evaluation with a reply is replied, and neither missing nor scored."""
    judge_server.faults()
    planned = dag.plan({**CONF, "essay_ids": ["e_essay1", "e_essay2"]})
    dag.call_planned(planned)
    snapshot = snapshot_of(dag)
    _check_against_status(dag)
    assert {row.reason for row in snapshot.rows if row.member.gen_id in snapshot.replied} == {
        "a reply is stored, but it was not scored yet"
    }
    assert (len(snapshot.replied), snapshot.missing, snapshot.with_score) == (6, 0, 1)
    assert {cell.state for cell in snapshot.cells} == {CellState.REPLIED, CellState.UNSCORED}
    dag.run_planned(planned)
    assert snapshot_of(dag).replied == frozenset()


@runs
def test_a_snapshot_is_what_the_store_holds(
    mixed: StoreBuilder, dag: PlayedDag, more: dict[str, Any], outcomes: dict[str, int]
) -> None:
    """Exactly the members with a parsed.txt have a score, which is the score in this file."""
    dag.run({**CONF, **more})
    held = {path.parent.name: float(path.read_text()) for path in mixed.root.glob("gens/evaluation/*/parsed.txt")}
    scores = {row.member.gen_id: row.score for row in snapshot_of(dag).rows if row.score is not None}
    assert scores == held


def test_evaluations_not_run_differ_only_in_their_reason(
    mixed: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """For evaluations that no task worked on, a run's reason names the log; the store's reason names the state."""
    dag.no_connection = BadInput([])
    dag.run(CONF)
    reasons = {row["gen_id"]: row["reason"] for row in mixed.rows(SCORES)}
    rows = snapshot_of(dag).rows
    expected = [replace(row, reason=reasons[row.member.gen_id]) for row in rows]
    assert scores_text(expected).encode() == (mixed.root / SCORES).read_bytes()
    assert {row.reason for row in rows if row.outcome is Outcome.NOT_RUN} == {"no call was made yet"}
    assert all(row.reason == reasons[row.member.gen_id] for row in rows if row.outcome is not Outcome.NOT_RUN)


def test_nothing_is_written(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """Reading a cohort changes no file."""
    dag.run(CONF)
    before = mixed.tree_hash()
    assert snapshot_of(dag).rows
    assert mixed.tree_hash() == before


# ---------------------------------------------------------------- after scores.csv was written


def _gone(store: StoreBuilder) -> None:
    shutil.rmtree(store.root / "gens/evaluation/v_a")


@pytest.mark.parametrize(
    ("edit", "outcome", "score", "reason"),
    [
        pytest.param("2.5\n", "reused", 2.5, "", id="another score"),
        pytest.param("6.5\n", "reused", 6.5, "", id="the same score"),
        pytest.param("seven\n", "unscored", None, no_number(DEFAULT_SCALE), id="no number"),
        pytest.param("", "not_run", None, "a reply is stored, but it was not scored yet", id="emptied"),
        pytest.param(None, "not_run", None, "a reply is stored, but it was not scored yet", id="deleted"),
        pytest.param(_gone, "not_run", None, "it has no reply", id="the whole folder deleted"),
    ],
)
@pytest.mark.parametrize(
    "offset_ns", [pytest.param(SECOND, id="later"), pytest.param(0, id="in the same tick of the clock")]
)
def test_the_store_is_followed(
    mixed: StoreBuilder,
    dag: PlayedDag,
    edit: str | Callable[[StoreBuilder], None] | None,
    outcome: str,
    score: float | None,
    reason: str,
    offset_ns: int,
) -> None:
    """The snapshot shows what happened to a parsed.txt after scores.csv was written, and changes no other row."""
    dag.run(CONF)
    before = {row.member.gen_id: row for row in snapshot_of(dag).rows}
    path = parsed(mixed, "v_a")
    if callable(edit):
        edit(mixed)
    elif edit is None:
        path.unlink()
    else:
        path.write_text(edit)
        written_at(path, offset_ns, mixed.root / SCORES)
    after = {row.member.gen_id: row for row in snapshot_of(dag).rows}
    found = after.pop("v_a")
    assert (found.outcome, found.score, found.reason) == (outcome, score, reason)
    assert after == {gen_id: row for gen_id, row in before.items() if gen_id != "v_a"}


@pytest.mark.parametrize(
    ("apart_s", "shown"),
    [
        pytest.param(61, (6.5, "=old", 0.0625), id="by more than clocks differ"),
        pytest.param(59, (2.5, "", None), id="by less: read again"),
    ],
)
def test_a_score_that_did_not_change_is_not_read_again(
    mixed: StoreBuilder, dag: PlayedDag, apart_s: int, shown: tuple[float, str, float | None]
) -> None:
    """Of a parsed.txt older than scores.csv only the time is read: scores.csv has score, origin and price."""
    dag.run(CONF)
    parsed(mixed, "v_a").write_text("2.5\n")
    for written in (SCORES, "cohorts/c/score_pivot.csv"):
        written_at(mixed.root / written, apart_s * SECOND, parsed(mixed, "v_a"))
    for name in ("metadata.json", "raw_metadata.json"):
        (mixed.root / "gens/evaluation/v_a" / name).write_text("{}")
    (row,) = [row for row in snapshot_of(dag).rows if row.member.gen_id == "v_a"]
    assert (row.score, row.origin_cohort_id, row.cost_usd) == shown


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="deleted"),
        pytest.param("", id="empty"),
        pytest.param("gen_id,score\nv_a,1.0\n", id="other columns"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
def test_without_scores_csv_all_is_read_from_the_store(
    mixed: StoreBuilder, dag: PlayedDag, content: str | bytes | None
) -> None:
    """The rows read from scores.csv equal the rows read from the store."""
    dag.run(CONF)
    for path in mixed.root.glob("gens/evaluation/*/parsed.txt"):
        written_at(path, -SECOND, mixed.root / SCORES)
    before = snapshot_of(dag).rows
    if content is None:
        (mixed.root / SCORES).unlink()
    else:
        mixed.write(SCORES, content)
    assert snapshot_of(dag).rows == before
    assert counts(dag)["reused"] == 1


# ---------------------------------------------------------------- what was reused


def scores_after_run(store: StoreBuilder, offset_ns: int, run_id: str) -> None:
    """Set the time of scores.csv to this offset after the planning of this run."""
    run = store.root / "cohorts/c/runs" / run_key(DAG_ID, run_id, 1) / "run.json"
    for name in (SCORES, "cohorts/c/score_pivot.csv"):
        written_at(store.root / name, offset_ns, run)


def test_reused_is_what_the_last_run_did_not_change(store: StoreBuilder, dag: PlayedDag) -> None:
    """What a run scores is scored until the next run is planned, which reuses it; its scores.csv says the same."""
    store.essay(1)
    planned = dag.plan(ONE_CELL)
    assert counts(dag) == {"not_run": 2}
    dag.run_planned(planned)
    assert counts(dag) == {"scored": 2}
    planned = dag.plan({**ONE_CELL, "replicates": 3}, run_id="run-2")
    scores_after_run(store, -1, "run-2")
    assert counts(dag) == {"reused": 2, "not_run": 1}
    assert snapshot_of(dag).last_run == RunRef(DAG_ID, "run-2")
    dag.run_planned(planned, run_id="run-2")
    scores_after_run(store, SECOND, "run-2")
    assert counts(dag) == {"reused": 2, "scored": 1}


@pytest.mark.parametrize(
    ("offset_ns", "expected"),
    [
        pytest.param(-1, "reused", id="older: the plan tells"),
        pytest.param(0, "reused", id="of the same tick: the plan tells"),
        pytest.param(1, "scored", id="newer: scores.csv tells"),
    ],
)
def test_the_source_of_what_was_reused(store: StoreBuilder, dag: PlayedDag, offset_ns: int, expected: str) -> None:
    """The last run's plan decides, until scores.csv is newer than that run's run.json."""
    store.essay(1)
    dag.run(ONE_CELL)
    dag.plan(ONE_CELL, run_id="run-2")
    scores_after_run(store, offset_ns, "run-2")
    assert counts(dag) == {expected: 2}


def test_a_score_of_this_run_is_not_reused(store: StoreBuilder, dag: PlayedDag) -> None:
    """During a run, what it scores is scored; what its plan reuses is not reused if the score was deleted."""
    store.evaluation("v_a", store.essay(1))
    dag.plan(ONE_CELL)
    assert counts(dag) == {"reused": 1, "not_run": 1}
    (minted,) = [row.member.gen_id for row in snapshot_of(dag).rows if row.score is None]
    store.write(f"gens/evaluation/{minted}/parsed.txt", "5.0\n")
    assert counts(dag) == {"reused": 1, "scored": 1}
    parsed(store, "v_a").unlink()
    assert counts(dag) == {"not_run": 1, "scored": 1}


def test_without_runs_scores_csv_decides(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """If the runs were deleted, scores.csv still says what was reused, but the last run is unknown."""
    dag.run(CONF)
    before = snapshot_of(dag).rows
    shutil.rmtree(mixed.root / "cohorts/c/runs")
    assert snapshot_of(dag).last_run is None
    assert snapshot_of(dag).rows == before


def test_a_dry_run_changes_nothing(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """A dry run is not a run of the cohort."""
    dag.run(CONF)
    before = replace(snapshot_of(dag), seen_at="")
    dag.plan({**CONF, "dry_run": True}, run_id="run-2")
    assert replace(snapshot_of(dag), seen_at="") == before


# ---------------------------------------------------------------- what cannot be read


def test_a_missing_cohort(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """The error names the existing cohorts."""
    dag.plan(CONF)
    with pytest.raises(BadInput, match=r"no cohort nowhere .*Cohorts here: c\."):
        read_snapshot(dag.settings, "nowhere")


def test_a_membership_that_is_damaged(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """The error names the line."""
    dag.plan(CONF)
    with (mixed.root / "cohorts/c/membership.csv").open("a") as file:
        file.write("torn\n")
    with pytest.raises(BadInput, match=r"membership\.csv:\d+: the line is not a member"):
        snapshot_of(dag)


def test_a_missing_plan(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """If only the missing plan could say what is reused, nothing counts as reused; the rest is shown."""
    planned = dag.plan(CONF)
    (mixed.root / "cohorts/c/runs" / planned.run_key / "plan.csv").unlink()
    before = {row.member.gen_id: row.score for row in snapshot_of(dag).rows}
    assert snapshot_of(dag).counts[Outcome.REUSED] == 0
    assert sum(score is not None for score in before.values()) == snapshot_of(dag).counts[Outcome.SCORED] > 0


@pytest.mark.parametrize("content", [pytest.param("{", id="torn"), pytest.param(b"\xff\n", id="no text")])
def test_what_is_not_needed_may_be_damaged(mixed: StoreBuilder, dag: PlayedDag, content: str | bytes) -> None:
    """Without a manifest the rows are the same."""
    dag.run(CONF)
    before = snapshot_of(dag).rows
    mixed.write("cohorts/c/manifest.json", content)
    assert snapshot_of(dag).rows == before
    assert CohortFolder(root=mixed.root, cohort_id="c").members().problems == ()


# ---------------------------------------------------------------- properties of a snapshot


def made(**values: Any) -> CohortSnapshot:
    """Return a snapshot with only these values."""
    nothing: dict[str, Any] = {"cohort_id": "c", "manifest": {}, "rows": (), "cells": (), "counts": Counter()}
    return CohortSnapshot(**{**nothing, "last_run": None, "account": NO_ACCOUNT, "seen_at": "", **values})


@pytest.mark.parametrize(
    ("spending", "usd"),
    [
        pytest.param(Spending(), 0.0, id="no requests"),
        pytest.param(Spending(calls=3, settled_usd=0.5), 0.5, id="known"),
        pytest.param(Spending(calls=3), None, id="no prices"),
        pytest.param(Spending(calls=3, settled_usd=0.5, in_flight=1, in_flight_usd=9.0), 0.5, id="one under way"),
    ],
)
def test_what_a_cohort_has_cost(spending: Spending, usd: float | None) -> None:
    """The cost is the known part; without any price it is unknown, not 0."""
    assert made(account=replace(NO_ACCOUNT, all_runs=spending)).cost_usd == usd


CELL_OF_FIVE = CellCoverage(cell=CELL, members=5, scored=0, mean=None, state=CellState.MISSING)


@pytest.mark.parametrize(
    ("manifest", "cells", "replicates"),
    [
        pytest.param({"replicates": 4}, (CELL_OF_FIVE,), 4, id="as planned"),
        pytest.param({}, (replace(CELL_OF_FIVE, members=2), CELL_OF_FIVE), 5, id="the fullest cell"),
        pytest.param({"replicates": "4"}, (CELL_OF_FIVE,), 5, id="no number"),
        pytest.param({}, (), 1, id="no cell"),
    ],
)
def test_how_many_a_cell_should_hold(
    manifest: dict[str, Any], cells: tuple[CellCoverage, ...], replicates: int
) -> None:
    """The manifest says the number; without it, the cells do."""
    assert made(manifest=manifest, cells=cells).replicates == replicates


def test_what_the_manifest_says(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """A planned cohort has a creation time and a mode; a cohort without a manifest has neither."""
    dag.plan(CONF)
    snapshot = snapshot_of(dag)
    assert snapshot.includes_existing
    assert snapshot.created_at == snapshot.manifest["created_at"] <= snapshot.seen_at
    assert (made().created_at, made().includes_existing) == ("", False)


def test_missing_is_what_a_run_can_still_score() -> None:
    """Evaluations that failed, were refused or are in flight are counted separately."""
    counts = Counter({outcome: 10**number for number, outcome in enumerate(Outcome)})
    snapshot = made(counts=counts, replied=frozenset({"v_1", "v_2"}))
    assert snapshot.with_score == 11
    assert snapshot.missing == counts[Outcome.DEFERRED] + counts[Outcome.NOT_RUN] - 2
