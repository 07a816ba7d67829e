"""Reads what version 0.1.0 recorded in `cohorts/<cohort_id>/announced/`; today the ledger holds the announcements.

`<run key>.<part>.txt` has one gen_id per line; `completion.json` has the last announcement of the whole cohort.
"""

from __future__ import annotations

from pathlib import Path

from essay_cohorts.files.json_files import read_json, read_text
from essay_cohorts.ledger.ledger import Announcement, FormerAnnouncements
from essay_cohorts.records import text_of


def read_announced_files(cohort_id: str, cohort_folder: Path) -> FormerAnnouncements | None:
    """Return the announcements of a cohort; None if it has no such files."""
    folder = cohort_folder / "announced"
    if not folder.is_dir():
        return None
    evaluations = []
    for path in sorted(folder.glob("*.txt")):
        run_key, _, part = path.stem.rpartition(".")
        gen_ids = (read_text(path) or "").splitlines()
        evaluations.append((Announcement(cohort_id=cohort_id, run_key=run_key, task=part), tuple(gen_ids)))
    completion = read_json(folder / "completion.json") or {}
    return FormerAnnouncements(
        evaluations=tuple(evaluations),
        completed_by=text_of(completion, "run_key"),
        scores_sha256=text_of(completion, "scores_sha256"),
    )
