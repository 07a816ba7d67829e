"""Runs a cohort on its own disk, which fails while the judge is being called, and prints the results as JSON.

    unshare --map-root-user --mount python -m tests.small_disk TROUBLE MOUNT_POINT JUDGE_URL

The disk is a tmpfs in a mount namespace of this process. The errors therefore come from the kernel itself, and the
disk disappears with the process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from essay_cohorts.backfill import slice_tasks
from essay_cohorts.backfill.call_missing import call_missing
from essay_cohorts.errors import CohortError
from essay_cohorts.planning.slices import Slice
from tests.conftest import PlayedDag, task_ref
from tests.ledger_reading import recorded_requests
from tests.store_builder import StoreBuilder

ESSAYS, AT_ONCE = 6, 3
# This is enough for the ledger, and not enough for one long reply of the judge.
ROOM_BYTES = 48_000
BALLAST = "ballast"


def fill(root: Path) -> None:
    """Fill the disk until only ROOM_BYTES are free."""
    with (root / BALLAST).open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            file.truncate(file.tell() - ROOM_BYTES)


def make_read_only(root: Path) -> None:
    """Make the disk refuse every write, as a kernel does after an error of the device."""
    # The kernel refuses to remount a disk with files open for writing, so a read-only copy is mounted over it.
    copy = root.with_name("copy")
    shutil.copytree(root, copy)
    subprocess.run(["mount", "--bind", str(copy), str(root)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(root)], check=True)


def unmount(root: Path) -> None:
    """Unmount the disk, so that only the empty mount point is left."""
    subprocess.run(["umount", "--lazy", str(root)], check=True)


TROUBLES: dict[str, Callable[[Path], None]] = {"full": fill, "read-only": make_read_only, "gone": unmount}


class LogLines(logging.Handler):
    """A log handler that keeps the messages."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def start_trouble(trouble: str, root: Path, judge_url: str) -> None:
    """Cause the trouble as soon as AT_ONCE requests are in flight."""
    with httpx.Client(base_url=judge_url.removesuffix("/v1"), trust_env=False) as http:
        while http.get("/stats").raise_for_status().json()["in_flight"] < AT_ONCE:
            time.sleep(0.02)
    TROUBLES[trouble](root)


def play(trouble: str, root: Path, judge_url: str) -> dict[str, Any]:
    """Run the calling step, cause the trouble once AT_ONCE calls are in flight, and return what the disk holds."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(root)], check=True)
    store = StoreBuilder.sample(root)
    essays = [store.essay(number) for number in range(1, ESSAYS + 1)]
    dag = PlayedDag(root=root, base_url=judge_url)
    conf = {"cohort_id": "c", "essay_ids": essays, "templates": ["novelty"], "models": ["judge-a"], "replicates": 1}
    planned = dag.plan({**conf, "max_concurrency": AT_ONCE})
    part = Slice(kind="todo", start=0, stop=ESSAYS, label="all", calls_at_once=AT_ONCE)
    slice_tasks.write_prompts(dag.settings, planned, part)
    logged = LogLines()
    logging.getLogger("essay_cohorts").addHandler(logged)
    trouble_thread = threading.Thread(target=start_trouble, args=(trouble, root, judge_url))
    trouble_thread.start()
    task = task_ref("run-1", "evaluation.evaluation_raw", 1, 0)
    error = ""
    try:
        asyncio.run(call_missing(dag.settings, planned, part, task, dag.connect))
    except CohortError as caught:
        error = str(caught)
    trouble_thread.join()
    seen: dict[str, Any] = {"error": error, "log": logged.lines, "files": sorted(store.files())}
    if trouble == "full":
        (root / BALLAST).unlink()
        run = dag.run(conf, run_id="run-2")
        seen["then"] = {"complete": run.summary.complete, "message": run.summary.message}
    ends = Counter(row["ending"] for row in recorded_requests(root) if row["ending"]) if trouble == "full" else {}
    return {**seen, "ends": ends}


if __name__ == "__main__":
    logging.getLogger("essay_cohorts").setLevel(logging.INFO)
    sys.stdout.write(json.dumps(play(sys.argv[1], Path(sys.argv[2]), sys.argv[3])) + "\n")
