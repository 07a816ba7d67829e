"""Computes gen_ids, cohort ids and run keys. Each id is a hash, so that equal parts always give the same id."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import blake2b, blake2s
from typing import Any

# The ids of the cohorts in which `cohorts drift` judges essays again begin with this.
DRIFT = "drift-"
_DRIFT_COHORT = re.compile(rf"{DRIFT}.+-[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}")
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")
_LONGEST_NAMES = 80
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def evaluation_gen_id(essay_gen_id: str, template_id: str, model_id: str, replicate: int) -> str:
    """Return the gen_id of an evaluation: `v_` and up to 16 base36 digits. ValueError if a part is empty."""
    return "v_" + _digest(essay_gen_id, template_id, model_id, replicate=replicate)


def essay_gen_id(draft_gen_id: str, template_id: str, replicate: int) -> str:
    """Return the gen_id of an essay: `e_` and up to 16 base36 digits. ValueError if a part is empty."""
    return "e_" + _digest(draft_gen_id, template_id, replicate=replicate)


def draft_gen_id(combo_id: str, template_id: str, model_id: str, replicate: int) -> str:
    """Return the gen_id of a draft: `d_` and up to 16 base36 digits. ValueError if a part is empty."""
    return "d_" + _digest(combo_id, template_id, model_id, replicate=replicate)


def cohort_id(inputs: Mapping[str, Any]) -> str:
    """Return the id of a cohort from its inputs: `cohort-` and 12 hex digits, a hash of their canonical JSON."""
    return "cohort-" + _short_hash(canonical_json(inputs))


def is_drift_cohort(cohort_id: str) -> bool:
    """Return True for an id that `drift_cohort_id` may have made."""
    return _DRIFT_COHORT.fullmatch(cohort_id) is not None


def drift_cohort_id(model_id: str, template_id: str | None, day: str) -> str:
    """Return the id of the cohort in which `cohorts drift` judges again on one day.

    The names are spelled out where they fit into an id; otherwise a hash replaces them.
    """
    names = "-".join(name for name in (model_id, template_id) if name)
    if len(names) > _LONGEST_NAMES or not _PLAIN.fullmatch(names):
        names = _short_hash(names)
    return f"{DRIFT}{names}-{day}"


def run_key(dag_id: str, run_id: str, try_number: int) -> str:
    """Return the folder name for one planning of a DagRun: 12 hex digits, so that no run_id is part of a path."""
    return _short_hash(f"{dag_id}|{run_id}|{try_number}")


def canonical_json(value: Mapping[str, Any]) -> str:
    """Return JSON with sorted keys and no spaces between its parts, so that equal values give equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _short_hash(text: str) -> str:
    return blake2s(text.encode("utf-8"), digest_size=6).hexdigest()


def _digest(*texts: str, replicate: int) -> str:
    parts = [text.strip().lower() for text in texts]
    if not all(parts):
        msg = f"a gen_id needs non-empty parts, got {texts!r}"
        raise ValueError(msg)
    joined = "|".join([*parts, str(int(replicate))])
    number = int.from_bytes(blake2b(joined.encode("utf-8"), digest_size=10).digest(), "big")
    return _base36(number)


def _base36(number: int) -> str:
    digits = ""
    while number or not digits:
        number, remainder = divmod(number, 36)
        digits = _DIGITS[remainder] + digits
    return digits
