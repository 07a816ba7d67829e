"""A disk that fills up, refuses writes or disappears during calls: nothing is half-written or hidden."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from essay_cohorts.errors import StoreError
from essay_cohorts.files.atomic import make_folder, write_text
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.settings import Settings
from essay_cohorts.store import reply_files
from tests.judge_server import PROJECT, JudgeServer
from tests.small_disk import TROUBLES

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces are Linux's")]

NOBODY = 65534
# More than the space that is left on a full disk.
REPLY = "x" * 60_000 + "\nSCORE: 5"


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """The results of a run on a broken disk: its error, its log, the disk's files and the requests at the judge."""

    error: str
    log: list[str]
    files: list[str]
    ends: dict[str, int]
    requests: int
    then: dict[str, Any] = field(default_factory=dict)


def see(trouble: str, folder: Path) -> Seen:
    """Run a cohort of six, three at once; the disk breaks while the first three are being answered."""
    root = folder / "data"
    root.mkdir()
    with JudgeServer.started(folder, "--latency-s", "1.5") as judge:
        judge.faults({"fault": "reply", "content": REPLY})
        command = [sys.executable, "-m", "tests.small_disk", trouble, str(root), judge.base_url]
        done = subprocess.run(
            ["unshare", "--map-root-user", "--mount", *command],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        result = json.loads(done.stdout.splitlines()[-1])
        assert list(root.iterdir()) == [], "the folder below the mount point was written to"
        return Seen(requests=judge.calls(), **result)


@pytest.mark.parametrize(
    ("trouble", "finding"),
    [
        pytest.param("full", "cannot be written: No space left on device.", id="full"),
        pytest.param("read-only", "cannot be written: Read-only file system.", id="read-only"),
        pytest.param("gone", "is gone. Check that", id="gone"),
    ],
)
def test_a_disk_in_trouble(trouble: str, finding: str, tmp_path: Path) -> None:
    """The error names cause and next step, paid replies are in the log, and no file is incomplete."""
    assert trouble in TROUBLES
    seen = see(trouble, tmp_path)
    assert finding in seen.error
    assert seen.error.endswith("then clear the run.")
    unstored = [line for line in seen.log if "paid for, but not stored: xxxx" in line]
    assert len(unstored) == 3, "one line each for the replies that were under way"
    assert max(len(line) for line in unstored) < 5_000
    assert not [name for name in seen.files if name.endswith(".tmp") or "/raw" in name]


def test_what_a_full_disk_cost_is_known_and_bought_again_once_there_is_room(tmp_path: Path) -> None:
    """Three replies lost to the full disk count as paid; the next run calls for those three and the others."""
    seen = see("full", tmp_path)
    assert seen.then["complete"], seen.then["message"]
    assert seen.requests == 3 + 6
    assert seen.ends == {"charged": 3, "reply": 6}


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda folder: write_text(folder / "raw.txt", "new"), id="a file"),
        pytest.param(lambda folder: make_folder(folder, folder / "runs"), id="a folder"),
        pytest.param(lambda folder: reply_files.store(folder, "new", {}), id="a reply"),
        pytest.param(
            lambda folder: Ledger.of(Settings(data_root=folder)).planning_turn("a test").__enter__(), id="the ledger"
        ),
    ],
)
def test_permission_denied(write: Callable[[Path], object], tmp_path: Path) -> None:
    """A folder without write permission gives a StoreError that says so, and nothing is left in the folder."""
    folder = tmp_path / "v_1"
    folder.mkdir(mode=0o555)
    (folder / "metadata.json").write_text("{}", encoding="utf-8")
    assert "Permission denied" in as_another_user(lambda: write(folder), tmp_path)
    assert [path.name for path in folder.iterdir()] == ["metadata.json"]


def as_another_user(action: Callable[[], object], folder: Path) -> str:
    """Return the StoreError's text when `action` runs without the rights to `folder`; root would have all rights."""
    for above in (folder, *folder.parents):
        if above.stat().st_uid == os.getuid():
            above.chmod(above.stat().st_mode | 0o055)
    said, says = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.getuid() == 0:
                os.setresuid(NOBODY, NOBODY, NOBODY)
            action()
        except StoreError as error:
            os.write(says, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(says)
    with os.fdopen(said, "rb") as file:
        return file.read().decode()
