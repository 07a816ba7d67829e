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
    root, told = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    began = time.perf_counter()
    from essay_cohorts.backfill.summarise import summarise_cohort
    from essay_cohorts.planning.planned_run import PlannedRun
    from essay_cohorts.settings import Settings

    imported = time.perf_counter()
    planned = PlannedRun.from_xcom(told)
    done = summarise_cohort(Settings(data_root=root), planned, planned.run)
    assert done.complete, done.message
    figures = {"imports_s": imported - began, "own_s": time.perf_counter() - imported, "scored": done.totals.reused}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
