"""Lists the cohorts of a data root. Reads only their manifests, which is enough to search them and to sort by age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from essay_cohorts.domain import is_id
from essay_cohorts.planning.selection_file import INCLUDE_EXISTING
from essay_cohorts.records import text_of, texts_of
from essay_cohorts.store.cohort_folder import CohortFolder, cohort_ids


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
