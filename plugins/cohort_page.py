"""The page `Cohorts` for an Airflow that reads this folder. An installed project adds the page by its entry point."""

import sys
from importlib.metadata import entry_points
from pathlib import Path

if not entry_points(group="airflow.plugins", name="cohort_page"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "include"))
    from essay_cohorts_airflow.plugin import CohortPagePlugin  # noqa: F401  (Airflow finds it among the names of this file)
