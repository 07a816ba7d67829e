"""Runs one DagRun in this process, so that a test can kill it at any point.

    python -m tests.played_cohort DATA_ROOT JUDGE_URL RUN_ID TRY_NUMBER CONF

PLAYED_LEDGER is the URL of the ledger. Prints a JSON object with the summary's message and whether the run was
complete.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.conftest import PlayedDag


def main() -> None:
    """Run the DAG and print the result."""
    root, base_url, run_id, try_number, conf = sys.argv[1:]
    dag = PlayedDag(root=Path(root), base_url=base_url, ledger=os.environ.get("PLAYED_LEDGER", ""))
    summary = dag.run(json.loads(conf), run_id=run_id, try_number=int(try_number)).summary
    sys.stdout.write(json.dumps({"complete": summary.complete, "message": summary.message}) + "\n")


if __name__ == "__main__":
    main()
