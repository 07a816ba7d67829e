"""The named points at which a test can kill a process, and the environment variables that order the kill.

The module tests/crash_hook/sitecustomize.py does the killing.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.judge_server import PROJECT

# The points are in the order of a run. At `after_send` the request has been sent and the package's code is waiting.
POINTS = (
    "between_seeds",
    "after_seeds",
    "after_membership",
    "after_manifest",
    "after_claim",
    "after_intent",
    "after_send",
    "after_receive",
    "between_raw_renames",
    "after_raw_renames",
    "between_parsed_renames",
    "after_parsed_renames",
    "in_summarise",
)
# The points are in the order in which `reparse` replaces a verdict.
REPLACING_POINTS = ("between_former_links", "after_former_links", "between_verdict_renames", "after_verdict_renames")


def crash_environment(order: Path) -> dict[str, str]:
    """Return the environment variables that make a process obey the order in this file."""
    hook = Path(__file__).with_name("crash_hook")
    return {"CRASH_ORDER": str(order), "PYTHONPATH": os.pathsep.join([str(hook), str(PROJECT)])}
