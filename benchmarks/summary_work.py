"""The end of a run in this process: `python -m benchmarks.summary_work ROOT PLANNED`, a file of plan_cohort's XCom.

Prints one JSON object: what the imports and `summarise_cohort` itself took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Imports and runs `summarise_cohort`."""
    root, planned = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    began = time.perf_counter()
    from include.cohorts.model import RunRef
    from include.cohorts.settings import Settings
    from include.cohorts.summary import summarise_cohort

    imported = time.perf_counter()
    done = summarise_cohort(Settings(data_root=root), planned, RunRef(planned["dag_id"], planned["run_id"]))
    assert done.complete, done.message
    told = {"imports_s": imported - began, "own_s": time.perf_counter() - imported, "scored": done.totals.reused}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
