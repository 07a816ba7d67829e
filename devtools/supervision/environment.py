"""The environment of a child process: the caller's, without the variables that must not reach the child."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from devtools.supervision.ports import LOOPBACK

# A caller's own Airflow, LLM keys, data root or exporters must not reach a private Airflow. A caller that wants one
# of these variables passes it explicitly.
DROPPED_PREFIXES = ("AIRFLOW", "_AIRFLOW", "OPENAI_", "DD_", "OTEL_", "SENTRY_")
DROPPED_NAMES = frozenset({"DEV", "DEV_MODE", "FORCE_COLOR", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME"})


def clean_environment(caller: Mapping[str, str], *, python_path: Path) -> dict[str, str]:
    """Return the caller's environment without the dropped variables, for a child that imports from `python_path`."""
    kept = {
        name: value
        for name, value in caller.items()
        if not name.startswith(DROPPED_PREFIXES) and name not in DROPPED_NAMES
    }
    # The processes call each other on 127.0.0.1, which a proxy cannot reach.
    unproxied = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), LOOPBACK, "localhost"]))
    return kept | {
        "NO_COLOR": "1",
        "NO_PROXY": unproxied,
        "no_proxy": unproxied,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "PYTHONPATH": str(python_path),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "TZ": "UTC",
    }
