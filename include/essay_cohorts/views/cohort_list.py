"""Lists the cohorts of a data root, and finds the cohort of a run.

The list reads only the manifests, which is enough to search the cohorts and to sort them by age.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from essay_cohorts.domain import RunRef, is_id
from essay_cohorts.ids import run_key
from essay_cohorts.planning.selection_file import INCLUDE_EXISTING
from essay_cohorts.records import text_of, texts_of
from essay_cohorts.store.cohort_folder import CohortFolder, cohort_ids

# A run that was cleared more often is not found.
_MOST_TRIES = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortEntry:
    """A cohort's id, the time of its first plan (ISO 8601, UTC), and whether it is in backfill mode."""

    cohort_id: str
    created_at: str
    includes_existing: bool


def list_cohorts(root: Path, text: str = "") -> tuple[CohortEntry, ...]:
    """Return the cohorts whose id contains `text`, ignoring case; the newest cohort first."""
    wanted = text.strip().casefold()
    found = (_entry(root, name) for name in cohort_ids(root) if is_id(name) and wanted in name.casefold())
    return tuple(sorted(found, key=lambda entry: entry.created_at, reverse=True))


def cohort_of_run(root: Path, run: RunRef) -> str | None:
    """Return the cohort that a run planned, or planned last; None if it planned none, or only in a dry run."""
    # Each planning of a run has a folder that is named after the run and the try of its first task.
    keys = [run_key(run.dag_id, run.run_id, try_number) for try_number in range(1, _MOST_TRIES + 1)]
    found = []
    for cohort_id in cohort_ids(root):
        runs = root / "cohorts" / cohort_id / "runs"
        planned = {path.name for path in runs.iterdir()} if runs.is_dir() else set()
        found += [((runs / key).stat().st_mtime_ns, cohort_id) for key in keys if key in planned]
    return max(found)[1] if found else None


def _entry(root: Path, cohort_id: str) -> CohortEntry:
    folder = CohortFolder(root=root, cohort_id=cohort_id)
    try:
        manifest = folder.manifest()
    except OSError:  # the list must not fail because of one cohort; the cohort's own page shows the error
        manifest = {}
    return CohortEntry(
        cohort_id=cohort_id,
        created_at=text_of(manifest, "created_at") or _written_at(folder),
        includes_existing=INCLUDE_EXISTING in texts_of(manifest, "directives"),
    )


def _written_at(folder: CohortFolder) -> str:
    """Return the time when the membership was written; stands in for the creation time if there is no manifest."""
    stamp = folder.membership_stamp()
    return datetime.fromtimestamp((stamp[1] if stamp else 0) / 1e9, UTC).isoformat(timespec="seconds")
