"""A process killed at each named point, and the run played again: nothing lost, nothing bought twice, all there."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.settings import Settings
from tests.crash_order import POINTS, REPLACING_POINTS, crash_environment
from tests.judge_server import PROJECT, JudgeServer
from tests.store_builder import StoreBuilder

pytestmark = pytest.mark.slow

AT_ONCE = 4
ESSAYS = 8
K = 2
# Longer than the hook waits before it takes a request for sent.
LATENCY_S = 1.0
CONF: dict[str, Any] = {
    "cohort_id": "c",
    "templates": ["novelty"],
    "models": ["judge-a"],
    "replicates": K,
    "max_concurrency": AT_ONCE,
    "max_unscored": 1,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Crash:
    """A cohort with some of its evaluations there, and where its first run dies."""

    store: StoreBuilder
    judge: JudgeServer
    order: Path
    ledger_url: str

    @property
    def ledger(self) -> Ledger:
        return Ledger.of(Settings(data_root=self.store.root, ledger=self.ledger_url))

    def play(self, run_id: str, try_number: int, *, dies: bool = False) -> subprocess.CompletedProcess[str]:
        """Plays the run in a process of its own; with `dies` the order to crash is given to it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DD_")}
        conf = json.dumps({**CONF, "essay_ids": [f"e_essay{number}" for number in range(1, ESSAYS + 1)]})
        arguments = [str(self.store.root), self.judge.base_url, run_id, str(try_number), conf]
        return subprocess.run(
            [sys.executable, "-m", "tests.played_cohort", *arguments],
            cwd=PROJECT,
            env=environment | {"PLAYED_LEDGER": self.ledger_url} | (crash_environment(self.order) if dies else {}),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def replies(self) -> Counter[str]:
        """Every reply on disk, in place, former or whole in a temporary file, by its text."""
        files = self.store.files("gens/evaluation")
        names = [name for name in files if Path(name).name.startswith(("raw.", ".raw.txt."))]
        vouched = {_vouched(content) for name, content in files.items() if "raw_metadata" in name}
        return Counter(_sha256(files[name]) for name in names if _sha256(files[name]) in vouched)

    def unfinished_calls(self) -> int:
        """How many requests the ledger knows without an end."""
        return len(self.ledger.unsettled("c"))


def _sha256(content: bytes) -> str:
    return sha256(content).hexdigest()


def _vouched(metadata: bytes) -> str | None:
    """Return the hash of the reply that this metadata describes; None for a torn file."""
    try:
        found: str | None = json.loads(metadata).get("reply_sha256")
        return found
    except ValueError:
        return None


@pytest.fixture
def crash(tmp_path: Path, judge_server: JudgeServer, ledger_url: str) -> Crash:
    """Sixteen evaluations: three have a score, one has a refused reply, and one has a reply that was not read yet."""
    store = StoreBuilder.sample(tmp_path / "data")
    essays = [store.essay(number) for number in range(1, ESSAYS + 1)]
    store.evaluation("v_a1", essays[0], score="6.5")
    store.evaluation("v_a2", essays[0], replicate=2, score="7.0")
    store.evaluation("v_b1", essays[1], score="5.0")
    store.evaluation("v_b2", essays[1], replicate=2, score=None, reply="no", refused="no score line")
    store.evaluation("v_c1", essays[2], score=None, reply="SCORE: 4")
    return Crash(store=store, judge=judge_server, order=tmp_path / "crash", ledger_url=ledger_url)


NEEDED = ESSAYS * K - 5


CRASHES = [
    (point, number)
    for point in POINTS
    for number in ((1, 5) if point in {"between_seeds", "after_receive", "between_parsed_renames"} else (1,))
]


@pytest.mark.parametrize(
    ("point", "number", "is_cleared"),
    [pytest.param(*crash, position % 2 == 0, id=" ".join(map(str, crash))) for position, crash in enumerate(CRASHES)],
)
def test_killed_at_a_point_and_played_again(crash: Crash, point: str, number: int, *, is_cleared: bool) -> None:
    """The process dies by SIGKILL at the point; the same run, cleared, or another one completes the cohort."""
    if point == "after_send":
        crash.judge.faults({"fault": "latency", "seconds": LATENCY_S})
    crash.order.write_text(f"{point} {number}", encoding="ascii")
    died = crash.play("run-1", 1, dies=True)
    assert died.returncode == -signal.SIGKILL, f"{point} was never reached: {died.stdout} {died.stderr[-2000:]}"
    assert not crash.order.exists()
    assert crash.order.with_name("crash.reached").exists()
    crash.judge.faults()
    in_flight, replies = crash.unfinished_calls(), crash.replies()
    assert in_flight <= AT_ONCE

    run_id, try_number = ("run-1", 2) if is_cleared else ("run-2", 1)
    done = crash.play(run_id, try_number)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["complete"], told["message"]

    assert NEEDED <= crash.judge.calls() <= NEEDED + in_flight
    assert not replies - crash.replies(), "a reply that was on disk is gone"
    left = [Path(name).name for name in crash.store.files() if name.endswith((".tmp", ".lease", ".broken"))]
    # The torn beginning of a reply is kept for people to read. Other writes may be unfinished: verify names them.
    assert not [name for name in left if not name.startswith((".raw", ".parsed", ".prompt"))]
    assert_store_is_whole(crash.store)


def assert_store_is_whole(store: StoreBuilder) -> None:
    """Every file parses, every cell holds exactly k members, and all of them are done."""
    for name, content in store.files().items():
        if name.endswith(".json"):
            assert isinstance(json.loads(content), dict), name
        elif name.endswith(".jsonl"):
            assert all(isinstance(json.loads(line), dict) for line in content.splitlines()), name
        elif name.endswith(".csv"):
            assert list(csv.reader(io.StringIO(content.decode()))), name
    members = [row for row in store.rows("cohorts/c/membership.csv") if row["stage"] == "evaluation"]
    assert Counter(row["parent_gen_id"] for row in members) == {
        f"e_essay{number}": K for number in range(1, ESSAYS + 1)
    }
    folders = {path.name for path in (store.root / "gens" / "evaluation").iterdir()}
    assert folders == {row["gen_id"] for row in members}
    unscored = [gen_id for gen_id in folders if not (store.root / f"gens/evaluation/{gen_id}/parsed.txt").exists()]
    assert unscored == ["v_b2"]
    assert len(store.rows("cohorts/c/scores.csv")) == len(members)
    assert "</html>" in store.read("cohorts/c/report.html")


def test_requests_that_died_under_way_are_known(crash: Crash) -> None:
    """After a death with requests under way the ledger names them, and the next run does not lose sight of them."""
    crash.judge.faults({"fault": "latency", "seconds": LATENCY_S})
    crash.order.write_text("after_send", encoding="ascii")
    crash.play("run-1", 1, dies=True)
    crash.judge.faults()
    asked = crash.judge.calls()
    lost = crash.ledger.unsettled("c")
    assert 1 <= len(lost) <= AT_ONCE
    assert asked <= len(lost)
    done = crash.play("run-1", 2)
    told = json.loads(done.stdout.splitlines()[-1])
    assert f"{len(lost)} requests may have been paid for without a reply" in told["message"]


def test_every_point_is_in_the_product_once_or_more() -> None:
    """Each point that can be ordered is an audit event of the product, and the product has no other."""
    code = "".join(path.read_text("utf-8") for path in (PROJECT / "include" / "essay_cohorts").rglob("*.py"))
    raised = set(re.findall(r'sys\.audit\("essay_cohorts\.(\w+)"\)', code))
    assert raised == {*POINTS, *REPLACING_POINTS} - {"after_send"}
