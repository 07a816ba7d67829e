"""`make cluster`: judge the sample cohort in a distributed Airflow on this machine.

python -m devtools.cluster [--workers 4] [--port 9000]
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from devtools.cluster.cluster import Cluster
from devtools.errors import LocalAirflowError
from devtools.local_airflow.__main__ import INTERRUPTED, leave, port
from devtools.local_airflow.backfill import DAG_ID, OFFLINE_TIMEOUT_S, SAMPLE_CONF, SUCCEEDED, Backfill
from devtools.local_airflow.offline_judge import OfflineJudge
from devtools.local_airflow.up import COHORTS_PATH
from devtools.local_airflow.user_settings import DATA_ROOT_VARIABLE, LLM_VARIABLE
from devtools.supervision.ports import check_port

MOST_WORKERS = 32


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    try:
        if options.port:
            check_port(options.port)
        return cluster(Path(options.project).resolve(), workers=options.workers, port=options.port or 0)
    except LocalAirflowError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED


def cluster(project: Path, *, workers: int, port: int) -> int:
    """Run the sample cohort on `workers` hosts, on a copy of the sample data; return the exit code.

    In a terminal everything keeps running until Ctrl-C, so that the web page can be looked at.
    """
    backfill = Backfill(project=project, next_step="")
    with ExitStack() as running:
        home = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="essay-cluster-")))
        home.chmod(0o711)
        _copy_sample(project / "data", home / "data")
        judge = running.enter_context(OfflineJudge(home=home / "offline-judge", project=project))
        backfill.say(f"The offline judge listens on {judge.url}. It is not a model: its scores are made up.")
        backfill.say(f"Starting PostgreSQL, Redis, Airflow and {workers} workers, with files in {home} ...")
        environment = {LLM_VARIABLE: judge.connection(), DATA_ROOT_VARIABLE: str(home / "data")}
        started = running.enter_context(
            Cluster(
                home=home / "cluster",
                project=project,
                environment=environment,
                workers=workers,
                port=port,
                dag_ids=(DAG_ID,),
            )
        )
        backfill.say(f"Airflow is ready: {started.airflow.url}; {_describe_hosts(started)}")
        code = backfill.run(started.airflow.api, SAMPLE_CONF, timeout_s=OFFLINE_TIMEOUT_S, calls=judge.calls)
        if code == SUCCEEDED and os.isatty(0):
            _keep_running(started)
        return code


def _copy_sample(source: Path, copy: Path) -> None:
    """Copy the sample data without what runs of `make backfill` added."""
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns(".ledger", "cohorts"))
    for metadata in (copy / "gens" / "evaluation").glob("*/metadata.json"):
        if f'"{SAMPLE_CONF["cohort_id"]}"' in metadata.read_text("utf-8"):
            shutil.rmtree(metadata.parent)


def _describe_hosts(started: Cluster) -> str:
    if started.has_own_hosts:
        return f"{started.workers} workers, each with a host name and process ids of its own"
    return f"{started.workers} workers; this user may not give them host names of their own"


def _keep_running(started: Cluster) -> None:
    airflow = started.airflow
    lines = [
        "",
        f"Airflow  {airflow.url}",
        f"Cohorts  {airflow.url}{COHORTS_PATH}",
        f"user     {airflow.user}",
        f"password {airflow.password}",
        "Ctrl-C stops it and removes its files.",
    ]
    print("\n".join(lines), flush=True)
    while True:
        started.check()
        time.sleep(0.5)


def _workers(text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= MOST_WORKERS:
        return int(text)
    msg = f"{text!r} is not a number of workers. Name a number from 1 to {MOST_WORKERS}."
    raise argparse.ArgumentTypeError(msg)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devtools.cluster", description="A distributed Airflow.")
    parser.add_argument("--project", default=".", help="the project folder (default: the current one)")
    parser.add_argument("--workers", type=_workers, default=4, help="how many workers (default: 4)")
    parser.add_argument("--port", type=port, help="the port of the web page (default: any free port)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
