"""The DAG `scheduled_backfill`: finds what is missing and has it judged."""

import sys
from pathlib import Path

# This repository, or a DAG bundle of it: its own packages. Anywhere else this file needs the installed ones.
_packages = Path(__file__).resolve().parents[1] / "include"
if (_packages / "essay_cohorts_airflow").is_dir():
    sys.path.insert(0, str(_packages))

from essay_cohorts_airflow.dags.scheduled_backfill import scheduled_backfill  # noqa: E402

scheduled_backfill()
