"""Pivot and statistics of a store in this process: `python -m benchmarks.statistics_work ROOT`, which is aggregated.

Prints one JSON object: what the imports and the figures took, with the reading of aggregated_scores.csv.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Imports, reads, and makes what the commands `pivot` and `statistics` print."""
    began = time.perf_counter()
    from essay_cohorts.cli.score_sources import read_scores
    from essay_cohorts.settings import Settings
    from essay_cohorts.statistics.all_statistics import statistics_of
    from essay_cohorts.statistics.pivot import pivot_scores
    from essay_cohorts.store.scores_csv import pivot_text

    imported = time.perf_counter()
    frame = read_scores(Settings(data_root=Path(sys.argv[1])), None).frame
    pivot, told = pivot_scores(frame), statistics_of(frame)
    assert pivot_text(pivot.columns, pivot.rows)
    assert json.dumps(told.to_json())
    spent = {"imports_s": imported - began, "own_s": time.perf_counter() - imported, "evaluations": len(frame)}
    sys.stdout.write(json.dumps(spent) + "\n")


if __name__ == "__main__":
    main()
