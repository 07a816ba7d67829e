"""Tests that a data root written by version 0.1.0 is still read: its evaluations, cohort, journal and history.

`written_by_0_1_0/` holds one cohort after two runs. One of its evaluations was made by another program, one was
refused twice, and one was refused and then its second call failed. The others have scores.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from essay_cohorts.domain import RunRef
from essay_cohorts.maintenance.verify import find_damage, find_lost_calls
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_history import read_evaluation
from essay_cohorts.views.evaluation_state import MemberState
from essay_cohorts.views.snapshot import read_snapshot
from essay_cohorts.views.status import cohort_status, skipped_ids
from tests.conftest import DAG_ID, PlayedDag
from tests.judge_server import JudgeServer
from tests.ledger_reading import ledger_of
from tests.store_builder import StoreBuilder

WRITTEN = Path(__file__).with_name("written_by_0_1_0")
CONF = {"cohort_id": "pilot", "templates": ["novelty"]}
REFUSED_TWICE = "v_14c43is677xr7imy"
FIRST_RUN, SECOND_RUN = "runs/aed160b51d16/run.json", "runs/6a10ede4c863/run.json"
WRITTEN_IN_ORDER = (FIRST_RUN, SECOND_RUN, "scores.csv", "score_pivot.csv", "report.html")


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    """Return a copy of that data root."""
    shutil.copytree(WRITTEN, tmp_path / "data")
    # Git does not keep file times, and these decide which run is the latest, so set them in the order of writing.
    for second, name in enumerate(WRITTEN_IN_ORDER):
        os.utime(tmp_path / "data" / "cohorts" / "pilot" / name, (1_700_000_000 + second,) * 2)
    return StoreBuilder(tmp_path / "data")


def test_the_cohort_is_shown_as_it_was(store: StoreBuilder, dag: PlayedDag) -> None:
    """The page shows the outcomes and scores of scores.csv, and `status` has the same counts."""
    written = {row["gen_id"]: (row["outcome"], row["score"]) for row in store.rows("cohorts/pilot/scores.csv")}
    shown = read_snapshot(dag.settings, "pilot")
    assert {
        row.member.gen_id: (str(row.outcome), "" if row.score is None else str(row.score)) for row in shown.rows
    } == written
    counts: Counter[MemberState] = Counter()
    for cell in cohort_status(dag.settings, "pilot").cells:
        counts.update(cell.counts)
    assert counts == Counter({MemberState.SCORED: 6, MemberState.UNSCORED: 1, MemberState.FAILED: 1})
    assert len(skipped_ids(dag.settings, "pilot")) == 6
    assert (shown.account.made_here, shown.account.made_elsewhere) == (5, 1)


def test_the_runs_and_the_journal_are_read(store: StoreBuilder) -> None:
    """The latest plan and the calls of both runs are read; no call is unsettled, and nothing is damaged."""
    folder = CohortFolder(root=store.root, cohort_id="pilot")
    latest = folder.latest_run()
    assert latest is not None
    assert len(folder.plan(latest.key)) == 12
    ledger = ledger_of(store.root)
    assert [ledger.spending("pilot", RunRef(DAG_ID, f"manual__{number}")).calls for number in (1, 2)] == [7, 4]
    assert ledger.unsettled() == []
    assert list(find_lost_calls(Settings(data_root=store.root))) == []
    assert list(find_damage(GensDataLayer.from_root(store.root))) == []


def test_the_history_of_an_evaluation_is_read(store: StoreBuilder) -> None:
    """The first refused reply is kept next to the second one, and the task of the second reply is known."""
    found = read_evaluation(GensDataLayer.from_root(store.root), REFUSED_TWICE)
    assert [file.name for file in found.former] == ["parsed_metadata.1.json", "raw.1.txt", "raw_metadata.1.json"]
    assert found.reply == "Still nothing."
    assert found.maker is not None
    assert found.maker.run_id == "manual__2"


def test_a_run_continues_where_the_former_version_ended(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Existing results are reused without a call, only the missing scores cause calls, and no score changes."""
    scores = {name: text for name, text in store.files("gens").items() if name.endswith("/parsed.txt")}
    members = store.read("cohorts/pilot/membership.csv")
    first = dag.run({**CONF, "max_unscored": 2}, run_id="manual__3")
    assert judge_server.calls() == 0
    assert (first.summary.totals.reused, first.summary.totals.unscored) == (6, 2)
    again = dag.run({**CONF, "retry_unscored": True}, run_id="manual__4")
    assert judge_server.calls() == 2
    assert (again.summary.totals.reused, again.summary.totals.scored) == (6, 2)
    assert store.read("cohorts/pilot/membership.csv") == members
    assert {name: text for name, text in store.files("gens").items() if name in scores} == scores
