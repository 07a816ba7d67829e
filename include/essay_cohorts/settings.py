"""The settings of the environment, read once into one typed value. `.env.example` lists the variables."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from essay_cohorts.domain import ID_RULE, ChangedInputs, is_id
from essay_cohorts.errors import BadInput, Problem

# The top folder of the checkout if this file is part of one. It holds the sample data and a .env.
PROJECT_ROOT = Path(__file__).resolve().parents[2]
# Airflow maps over 1,024 slices at most, and reused evaluations have slices of their own.
_MOST_SLICES = 500
Choice = TypeVar("Choice", bound=StrEnum)
_UNSET = {"", "0", "false", "none", "null"}


class Events(StrEnum):
    """Which evaluations of a run get an asset event of their own: none, the first ones, or all of a common run.

    Each costs Airflow 2 ms with SQLite and 9 ms with PostgreSQL, during which the run waits.
    """

    COHORT = "cohort"
    FIRST = "first"
    EVALUATIONS = "evaluations"

    @property
    def most(self) -> int:
        """The most scored, and the most reused evaluations of a run that get an event."""
        return {Events.COHORT: 0, Events.FIRST: 100, Events.EVALUATIONS: 1_000}[self]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of a deployment.

    `data_root` is the folder of all files that are read and written. `cohort_id` and `changed_inputs` are used if the
    conf does not set them. `processes` is the number of slices that this machine can usefully run at once, and
    `slices` the number that an operator wants instead, on one machine or on several. `ledger`
    is the URL of the ledger's database, which may hold a password; "" is a file in the data root. `max_usd_per_day`
    and `max_usd_per_month` cap what all runs together may spend in a day and a month of UTC; None means no cap.
    `events` says which evaluations of a run get an asset event.
    """

    data_root: Path
    cohort_id: str | None = None
    changed_inputs: ChangedInputs = ChangedInputs.REFUSE
    processes: int = 2
    ledger: str = field(default="", repr=False)
    max_usd_per_day: float | None = None
    max_usd_per_month: float | None = None
    events: Events = Events.FIRST
    slices: int | None = None


def airflow_command() -> str:
    """Return what to type in the checkout to run Airflow's command line with the home that `make up` uses."""
    home = PROJECT_ROOT / ".airflow"
    return f"AIRFLOW_HOME={home} .venv/bin/airflow" if home.is_dir() else "airflow"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the variables DD_* that `.env.example` lists. BadInput if a value is not valid."""
    # os.path.expanduser leaves an unknown ~user unchanged, while Path.expanduser raises.
    given = environment.get("DD_DATA_ROOT", "").strip()
    root = Path(os.path.expanduser(given or PROJECT_ROOT / "data"))  # noqa: PTH111
    problems = []
    if not root.is_dir():
        place, next_step = "environment: DD_DATA_ROOT", "Set it to the data root that holds 1_raw/ and gens/"
        if given:
            finding, next_step = f"there is no folder {root}.", f"{next_step}, or leave it out for the sample data."
        else:
            finding, next_step = "it is not set, and there is no sample data here.", f"{next_step}."
        problems.append(Problem(place=place, finding=finding, next_step=next_step))
    cohort = environment.get("DD_COHORT", "").strip()
    cohort_id = None if cohort.lower() in _UNSET else cohort
    if cohort_id is not None and not is_id(cohort_id):
        problems.append(_invalid("DD_COHORT", cohort, ID_RULE))
    changed = _one_of(ChangedInputs, environment, "DD_CHANGED_INPUTS", problems) or ChangedInputs.REFUSE
    events = _one_of(Events, environment, "DD_EVENTS", problems) or Events.FIRST
    slices = _whole_number(environment, "DD_SLICES", problems)
    caps = [_usd(environment, name, problems) for name in ("DD_MAX_USD_PER_DAY", "DD_MAX_USD_PER_MONTH")]
    if problems:
        raise BadInput(problems)
    return Settings(
        data_root=root.resolve(),
        cohort_id=cohort_id,
        changed_inputs=changed,
        processes=_processes(),
        ledger=environment.get("DD_LEDGER", "").strip(),
        max_usd_per_day=caps[0],
        max_usd_per_month=caps[1],
        events=events,
        slices=slices,
    )


def _one_of(
    choices: type[Choice], environment: Mapping[str, str], name: str, problems: list[Problem]
) -> Choice | None:
    """Return the choice that a variable names, None if it is not set; add a problem if there is no such choice."""
    text = environment.get(name, "").strip()
    if text in list(choices):
        return choices(text)
    if text:
        next_step = f"Write one of: {', '.join(choices)}."
        problems.append(_invalid(name, text, next_step))
    return None


def _usd(environment: Mapping[str, str], name: str, problems: list[Problem]) -> float | None:
    """Return an amount of USD, None if it is not set; add a problem if it is not a number of 0 or more."""
    text = environment.get(name, "").strip()
    if not text:
        return None
    try:
        usd = float(text)
    except ValueError:
        usd = -1.0
    if not 0 <= usd < math.inf:
        next_step = "Write a number of USD such as 5 or 2.50, or leave it out for no cap."
        problems.append(_invalid(name, text, next_step))
    return usd


def _whole_number(environment: Mapping[str, str], name: str, problems: list[Problem]) -> int | None:
    """Return a number from 1, None if it is not set; add a problem if it is not such a number."""
    text = environment.get(name, "").strip()
    if not text:
        return None
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= _MOST_SLICES:
        return int(text)
    next_step = f"Write a whole number from 1 to {_MOST_SLICES}, or leave it out."
    problems.append(_invalid(name, text, next_step))
    return None


def _invalid(name: str, text: str, next_step: str) -> Problem:
    return Problem(place=f"environment: {name}", finding=f"{text!r} is not valid.", next_step=next_step)


def _processes() -> int:
    return min(8, max(2, os.cpu_count() or 2))
