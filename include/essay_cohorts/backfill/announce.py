"""Which finished evaluations and which completed cohorts Airflow is to be told of: each once.

What a cohort's runs have announced is remembered below `cohorts/<cohort_id>/announced/`. What a task itself has
remembered does not count for it: it may have died before Airflow learnt of its success, and is tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from hashlib import sha256

from essay_cohorts.backfill.announced import AnnouncementLedger
from essay_cohorts.judging.parsers import parse_score_text
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import evaluation_rows, rows_of_slice
from essay_cohorts.planning.slices import Slice, rows_of_kind
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

log = logging.getLogger(__name__)

# Of each kind a run. Airflow takes about 2 ms for an event and books those of a task in one transaction, during which
# nobody else can write to an SQLite database; what is left out is in the counts of the cohort's own event.
MOST_EVENTS = 1_000


def announce_scored(settings: Settings, planned: PlannedRun, part: Slice) -> list[str]:
    """Return the gen_ids of a slice that have a score by now and were not announced.

    At most its share of MOST_EVENTS.

    Remembers all of them.
    """
    store = GensDataLayer.from_root(settings.data_root)
    gen_ids = [row.member.gen_id for row in rows_of_slice(settings, planned, part)]
    scored = (gen_id for gen_id in gen_ids if store.evaluation(gen_id).is_parsed())
    new = _new(settings, planned, f"{part.kind}-{part.start}", scored)
    todo = planned.call + planned.parse
    return _first(new, max(1, MOST_EVENTS * len(gen_ids) // max(MOST_EVENTS, todo)))


def announce_reused(settings: Settings, planned: PlannedRun) -> list[str]:
    """Return the gen_ids that the run reuses and that were not announced, at most MOST_EVENTS of them.

    Remembers all of them.
    """
    reused = (row.member.gen_id for row in rows_of_kind(evaluation_rows(settings, planned), "reuse"))
    return _first(_new(settings, planned, "reuse", reused), MOST_EVENTS)


def announce_completion(settings: Settings, planned: PlannedRun) -> bool:
    """Return True when the cohort's scores differ from those it was last announced with; remembers these."""
    scores = _hash_of_scores(settings, planned)
    ledger, run_key = _ledger(settings, planned), planned.run_key
    former = ledger.completion()
    if former.get("scores_sha256") == scores and former.get("run_key") != run_key:
        return False
    ledger.set_completion({"run_key": run_key, "scores_sha256": scores})
    return True


def _new(settings: Settings, planned: PlannedRun, part: str, gen_ids: Iterable[str]) -> list[str]:
    """Return those that no other task of the cohort has announced, remembered as this one's."""
    ledger, run_key = _ledger(settings, planned), planned.run_key
    former = ledger.announced(run_key, part)
    new = [gen_id for gen_id in gen_ids if gen_id not in former]
    if new:
        ledger.add(run_key, part, new)
    return new


def _hash_of_scores(settings: Settings, planned: PlannedRun) -> str:
    """Return a hash of the run's members and scores: by scores.csv, or by the store when the file was changed."""
    store, known = GensDataLayer.from_root(settings.data_root), _folder(settings, planned).known_scores()
    digest = sha256()
    for gen_id in sorted(row.member.gen_id for row in evaluation_rows(settings, planned)):
        if gen_id in known:
            score = known[gen_id].score
        else:
            score = parse_score_text(store.evaluation(gen_id).parsed_text() or "")
        digest.update(f"{gen_id},{score}\n".encode())
    return digest.hexdigest()


def _first(gen_ids: list[str], most: int) -> list[str]:
    if len(gen_ids) > most:
        log.info("%d of %d evaluations get an asset event of their own", most, len(gen_ids))
    return gen_ids[:most]


def _ledger(settings: Settings, planned: PlannedRun) -> AnnouncementLedger:
    return AnnouncementLedger(root=settings.data_root, cohort=_folder(settings, planned).path)


def _folder(settings: Settings, planned: PlannedRun) -> CohortFolder:
    return CohortFolder(root=settings.data_root, cohort_id=planned.cohort_id)
