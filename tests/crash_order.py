"""The named points at which a test can have a process killed, and the environment that orders it.

See tests/crash_hook/sitecustomize.py, which does the killing.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.judge_server import PROJECT

# In the order of a run. `after_send`: the request is under way; no code of the product is at work then.
POINTS = (
    "between_seeds",
    "after_seeds",
    "after_membership",
    "after_manifest",
    "after_lease",
    "after_intent",
    "after_send",
    "after_receive",
    "between_raw_renames",
    "after_raw_renames",
    "between_parsed_renames",
    "after_parsed_renames",
    "in_summarise",
)
# In the order in which `reparse` replaces a verdict.
REPLACING_POINTS = ("between_former_links", "after_former_links", "between_verdict_renames", "after_verdict_renames")


def crash_environment(order: Path) -> dict[str, str]:
    """Return the environment variables that make a process obey the order in this file."""
    hook = Path(__file__).with_name("crash_hook")
    return {"CRASH_ORDER": str(order), "PYTHONPATH": os.pathsep.join([str(hook), str(PROJECT)])}
