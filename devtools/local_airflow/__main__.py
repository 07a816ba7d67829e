"""Run a private Airflow from the project folder: `up` keeps it running, `backfill` demonstrates the project.

python -m devtools.local_airflow up [--judge offline|live] [--port 9000]
python -m devtools.local_airflow backfill [--judge offline|live] [--yes]
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from devtools.errors import LocalAirflowError
from devtools.local_airflow.backfill import live_backfill, offline_backfill
from devtools.local_airflow.up import up

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    project = Path(options.project).resolve()
    try:
        if options.command == "up":
            return up(project, offline=options.judge == "offline", port=options.port)
        if options.judge == "live":
            return live_backfill(project, assume_yes=options.yes)
        return offline_backfill(project)
    except LocalAirflowError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED


def leave(number: int, _frame: FrameType | None) -> None:
    """Raise SystemExit on a signal, so that the context managers stop everything that was started."""
    raise SystemExit(128 + number)


def port(text: str) -> int:
    """Return the port that an argument names."""
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    msg = f"{text!r} is not a port. Name a number from 1 to 65535."
    raise argparse.ArgumentTypeError(msg)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devtools.local_airflow", description="A private Airflow.")
    parser.add_argument("--project", default=".", help="the project folder (default: the current one)")
    commands = parser.add_subparsers(dest="command", required=True)
    keep = commands.add_parser("up", help="keep Airflow running until Ctrl-C")
    keep.add_argument("--port", type=port, help="an error if it is in use (default: 8080, or else any free port)")
    keep.add_argument(
        "--judge", choices=("offline", "live"), default="live", help="offline: run the offline judge beside Airflow"
    )
    backfill = commands.add_parser("backfill", help="judge the sample cohort, reusing what exists")
    backfill.add_argument(
        "--judge", choices=("offline", "live"), default="offline", help="live: the models behind your Connections"
    )
    backfill.add_argument("--yes", action="store_true", help="with --judge live: make the calls without asking")
    return parser


if __name__ == "__main__":
    sys.exit(main())
