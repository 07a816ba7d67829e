"""Which finished evaluations and which completed cohorts Airflow is to be told of: each once.

What a cohort's runs have announced is remembered below `cohorts/<cohort_id>/announced/`. Whatever a run itself
remembered does not count for it: its task may have died before Airflow learnt of its success, and is tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from include.cohorts.batching import Slice, rows_of_kind
from include.cohorts.cohort_folder import CohortFolder
from include.cohorts.gens_data_layer import GensDataLayer
from include.cohorts.model import Action, Stage
from include.cohorts.settings import Settings
from include.cohorts.steps import rows_of

log = logging.getLogger(__name__)

# Of each kind a run. Airflow takes about 2 ms for an event and books those of a task in one transaction, during which
# nobody else can write to an SQLite database; what is left out is in the counts of the cohort's own event.
MOST_EVENTS = 1_000


def announce_scored(settings: Settings, planned: Mapping[str, Any], part: Slice) -> list[str]:
    """The gen_ids of a slice that have a score by now, at most its share of MOST_EVENTS; remembers all of them."""
    store = GensDataLayer.from_root(settings.data_root)
    gen_ids = [row.member.gen_id for row in rows_of(settings, planned, part)]
    scored = [gen_id for gen_id in gen_ids if store.parsed_exists(Stage.EVALUATION, gen_id)]
    if scored:
        _folder(settings, planned).announcements().add(planned["run_key"], f"{part.kind}-{part.start}", scored)
    todo = planned[Action.CALL] + planned[Action.PARSE]
    return _first(scored, max(1, MOST_EVENTS * len(gen_ids) // max(MOST_EVENTS, todo)))


def announce_reused(settings: Settings, planned: Mapping[str, Any]) -> list[str]:
    """The gen_ids that the run reuses and no run of this cohort has announced, at most MOST_EVENTS of them.

    Remembers all of them.
    """
    folder = _folder(settings, planned)
    ledger, run_key = folder.announcements(), planned["run_key"]
    former = ledger.announced(but=run_key)
    evaluations = [row for row in folder.plan(run_key) if row.member.stage is Stage.EVALUATION]
    reused = (row.member.gen_id for row in rows_of_kind(evaluations, "reuse"))
    new = [gen_id for gen_id in reused if gen_id not in former]
    if new:
        ledger.add(run_key, "reuse", new)
    return _first(new, MOST_EVENTS)


def _first(gen_ids: list[str], most: int) -> list[str]:
    if len(gen_ids) > most:
        log.info("%d of %d evaluations get an asset event of their own", most, len(gen_ids))
    return gen_ids[:most]


def announce_completion(settings: Settings, planned: Mapping[str, Any]) -> bool:
    """True when the cohort's scores differ from those it was last announced with; remembers these."""
    folder = _folder(settings, planned)
    lines = sorted(f"{gen_id},{known.score}\n" for gen_id, known in folder.known_scores().items())
    scores = sha256("".join(lines).encode("utf-8")).hexdigest()
    ledger, run_key = folder.announcements(), planned["run_key"]
    former = ledger.completion()
    if former.get("scores_sha256") == scores and former.get("run_key") != run_key:
        return False
    ledger.set_completion({"run_key": run_key, "scores_sha256": scores})
    return True


def _folder(settings: Settings, planned: Mapping[str, Any]) -> CohortFolder:
    return CohortFolder(root=settings.data_root, cohort_id=planned["cohort_id"])
