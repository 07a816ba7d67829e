"""Pivot and statistics of a store in this process; the store has its aggregated_scores.csv.

Run as `python -m benchmarks.statistics_work ROOT`. Prints one JSON object with the seconds of the imports and of the
figures, including the reading of aggregated_scores.csv.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Measure the imports, and the output of the commands `pivot` and `statistics`."""
    began = time.perf_counter()
    from essay_cohorts.cli.scores.sources import read_scores
    from essay_cohorts.settings import Settings
    from essay_cohorts.statistics.all_statistics import statistics_of
    from essay_cohorts.statistics.pivot import pivot_scores
    from essay_cohorts.store.scores_csv import pivot_text

    imported = time.perf_counter()
    frame = read_scores(Settings(data_root=Path(sys.argv[1])), None).frame
    pivot, statistics = pivot_scores(frame), statistics_of(frame)
    assert pivot_text(pivot.columns, pivot.rows)
    assert json.dumps(statistics.to_json())
    spent = {"imports_s": imported - began, "own_s": time.perf_counter() - imported, "evaluations": len(frame)}
    sys.stdout.write(json.dumps(spent) + "\n")


if __name__ == "__main__":
    main()
