"""The DAG `aggregate_scores`: gathers the scores of the store."""

import sys
from pathlib import Path

# In this repository, or a DAG bundle of it, use its own packages. Anywhere else the packages must be installed.
_packages = Path(__file__).resolve().parents[1] / "include"
if (_packages / "essay_cohorts_airflow").is_dir():
    sys.path.insert(0, str(_packages))

from essay_cohorts_airflow.dags.aggregate_scores import aggregate_scores  # noqa: E402

aggregate_scores()
