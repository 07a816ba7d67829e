"""The summary of a run in this process.

Run as `python -m benchmarks.summary_work ROOT PLANNED`; PLANNED is a file with plan_cohort's XCom. Prints one JSON
object with the seconds of the imports and of `summarise_cohort` itself.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Import and run `summarise_cohort`."""
    root, xcom = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    began = time.perf_counter()
    from essay_cohorts.backfill.summarise import summarise_cohort
    from essay_cohorts.planning.planned_run import PlannedRun
    from essay_cohorts.settings import Settings

    imported = time.perf_counter()
    planned = PlannedRun.from_xcom(xcom)
    done = summarise_cohort(Settings(data_root=root), planned, planned.run)
    assert done.complete, done.message
    figures = {"imports_s": imported - began, "own_s": time.perf_counter() - imported, "scored": done.totals.reused}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
