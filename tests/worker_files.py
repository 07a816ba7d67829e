"""Which worker of pytest-xdist runs which test: whole files, and all tests on the shared Airflow in one worker."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# Files whose tests share one running Airflow (see tests/e2e/conftest.py): a second worker would start a second one.
ON_SHARED_AIRFLOW = frozenset(
    f"tests/e2e/test_{name}.py"
    for name in ("cohort_page", "crash_points", "overlapping_runs", "real_scheduler", "reparse")
)


class FilesToWorkers(LoadScopeScheduling):
    """Gives a worker one file after the other, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "shared Airflow" if file in ON_SHARED_AIRFLOW else file
