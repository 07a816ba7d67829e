"""Selects the finished evaluations and the completed cohorts that a run announces to Airflow, each only once.

An announcement is an asset event. The tasks of a cohort's runs record what they announce in the ledger. A task leaves
out what other tasks have recorded, but not what it has recorded itself: Airflow gets the events only when the task
succeeds, so a task that died after it wrote to the ledger has announced nothing, and its next try must announce the
same evaluations again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from hashlib import sha256

from essay_cohorts.amounts import counted
from essay_cohorts.judging.parsers import parse_score_text
from essay_cohorts.ledger.ledger import Announcement, Ledger
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import evaluation_rows, rows_of_slice
from essay_cohorts.planning.slices import Slice, rows_of_kind
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

log = logging.getLogger(__name__)


def announce_scored(settings: Settings, planned: PlannedRun, part: Slice) -> list[str]:
    """Return the gen_ids of a slice that have a score now and were not announced before.

    Records all of them as announced, but returns at most the slice's share of `Events.most`. The others are still in
    the counts of the cohort's event.
    """
    most = settings.events.most
    if not most:
        return []
    store = GensDataLayer.from_root(settings.data_root)
    gen_ids = [row.member.gen_id for row in rows_of_slice(settings, planned, part)]
    scored = (gen_id for gen_id in gen_ids if store.evaluation(gen_id).is_parsed())
    new = _new(settings, planned, f"{part.kind}-{part.start}", scored)
    todo = planned.call + planned.parse
    return _first(new, max(1, most * len(gen_ids) // max(most, todo)))


def announce_reused(settings: Settings, planned: PlannedRun) -> list[str]:
    """Return the gen_ids that the run reuses and that were not announced before.

    Records all of them as announced, but returns at most `Events.most`.
    """
    if not settings.events.most:
        return []
    reused = (row.member.gen_id for row in rows_of_kind(evaluation_rows(settings, planned), "reuse"))
    return _first(_new(settings, planned, "reuse", reused), settings.events.most)


def announce_completion(settings: Settings, planned: PlannedRun) -> bool:
    """Return True if the cohort's scores differ from those of its last announcement, and record the new scores.

    Return True also if the last announcement is recorded under this run, because Airflow may not have received it.
    """
    scores = _hash_of_scores(settings, planned)
    return Ledger.of(settings).complete(planned.cohort_id, planned.run_key, scores)


def _new(settings: Settings, planned: PlannedRun, part: str, gen_ids: Iterable[str]) -> list[str]:
    """Return the gen_ids that no other task of the cohort has announced, and record them for this task."""
    by = Announcement(cohort_id=planned.cohort_id, run_key=planned.run_key, task=part)
    return Ledger.of(settings).announce(by, gen_ids)


def _hash_of_scores(settings: Settings, planned: PlannedRun) -> str:
    """Return a hash of the run's members and their scores.

    The scores come from scores.csv, or from the store if scores.csv was changed after the run wrote it.
    """
    store, known = GensDataLayer.from_root(settings.data_root), _folder(settings, planned).known_scores()
    digest = sha256()
    for gen_id in sorted(row.member.gen_id for row in evaluation_rows(settings, planned)):
        if gen_id in known:
            score = known[gen_id].score
        else:
            evaluation = store.evaluation(gen_id)
            score = parse_score_text(evaluation.parsed_text() or "", evaluation.verdict_record().rubric.scale)
        digest.update(f"{gen_id},{score}\n".encode())
    return digest.hexdigest()


def _first(gen_ids: list[str], limit: int) -> list[str]:
    if len(gen_ids) > limit:
        log.info("%d of %s get their own asset event", limit, counted(len(gen_ids), "evaluation"))
    return gen_ids[:limit]


def _folder(settings: Settings, planned: PlannedRun) -> CohortFolder:
    return CohortFolder(root=settings.data_root, cohort_id=planned.cohort_id)
