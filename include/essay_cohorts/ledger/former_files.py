"""Reads what version 0.1.0 kept in files of the data root, for the ledger that takes them in once.

- `cohorts/<cohort_id>/calls.jsonl`: a line for each request before it is sent, and a second one for its end.
- `cohorts/<cohort_id>/announced/`: `<run key>.<part>.txt` has one gen_id per line; `completion.json` has the last
  announcement of the whole cohort.
- `.callers/*.lease`: a file for each task that calls judges, refreshed while the task lives.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy.engine import Connection

from essay_cohorts.calls import CallEnd
from essay_cohorts.files.json_files import json_object, read_json, read_text
from essay_cohorts.ledger.schema import LEASE_S, announced, completions, insert, requests
from essay_cohorts.records import cell_of, price_of, run_of, text_of


def take_in(connection: Connection, data_root: Path) -> None:
    """Record what version 0.1.0 kept in files; what the ledger knows already stays as it is."""
    tables = ((requests, _requests), (announced, _announced), (completions, _completions))
    for table, read in tables:
        if rows := list(read(data_root)):
            connection.execute(insert(connection, table).on_conflict_do_nothing(), rows)


def former_caller(data_root: Path) -> str | None:
    """Return the file of a task of version 0.1.0 that seems to call judges now; None if there is none."""
    for path in (data_root / ".callers").glob("*.lease"):
        try:
            silent_s = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            continue
        lines = (read_text(path) or "").splitlines()
        holder = dict(line.split("=", 1) for line in lines if "=" in line)
        pid = holder.get("pid", "")
        is_dead = holder.get("host") == socket.gethostname() and pid.isdecimal() and not psutil.pid_exists(int(pid))
        if silent_s < LEASE_S and not is_dead:
            return str(path.relative_to(data_root))
    return None


def _requests(data_root: Path) -> Iterator[dict[str, Any]]:
    """Yield the requests of all cohorts. A line that broke off belongs to a request that was never sent."""
    for path in sorted((data_root / "cohorts").glob("*/calls.jsonl")):
        intents: dict[str, dict[str, Any]] = {}
        ends: dict[str, dict[str, Any]] = {}
        for line in (read_text(path) or "").splitlines():
            found = json_object(line) or {}
            (ends if "end" in found else intents)[text_of(found, "call")[:32]] = found
        for name, intent in intents.items():
            if name:
                yield {"name": name, "cohort_id": path.parent.name, **_request(data_root, intent, ends.get(name, {}))}


def _request(data_root: Path, intent: dict[str, Any], end: dict[str, Any]) -> dict[str, Any]:
    gen_id, run = text_of(intent, "gen_id"), run_of(intent)
    cell = cell_of(read_json(f"{data_root}{os.sep}gens/evaluation/{gen_id}/metadata.json") or {}) if gen_id else None
    return {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "gen_id": gen_id,
        "template_id": cell.template_id if cell else "",
        "model_id": text_of(intent, "llm_model_id"),
        "caller": "",
        "sent_at": text_of(intent, "at")[:32],
        "began": 0.0,
        "worst_usd": price_of(intent, "worst_usd"),
        "ending": end["end"] if end.get("end") in list(CallEnd) else None,
        "cost_usd": price_of(end, "cost_usd"),
    }


def _announced(data_root: Path) -> Iterator[dict[str, str]]:
    """Yield a row for each announced evaluation of all cohorts."""
    for path in sorted((data_root / "cohorts").glob("*/announced/*.txt")):
        run_key, _, task = path.stem.rpartition(".")
        for gen_id in (read_text(path) or "").splitlines():
            yield {"cohort_id": path.parts[-3], "gen_id": gen_id, "run_key": run_key, "task": task}


def _completions(data_root: Path) -> Iterator[dict[str, str]]:
    """Yield a row for each cohort that was announced as a whole."""
    for path in sorted((data_root / "cohorts").glob("*/announced/completion.json")):
        found = read_json(path) or {}
        row = {name: text_of(found, name) for name in ("run_key", "scores_sha256")}
        if row["scores_sha256"]:
            yield {"cohort_id": path.parts[-3], **row}
