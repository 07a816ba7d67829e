"""`cohorts/<cohort_id>/announced/`: what the cohort's runs have told Airflow of, so that nothing is told twice.

`<run_key>.<part>.txt` has a gen_id a line, in the order of announcing; `completion.json` is of the cohort as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from essay_cohorts.files.atomic import json_text, make_folder, write_text
from essay_cohorts.files.json_files import read_json, read_text


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnouncementLedger:
    """The ledger of one cohort; `cohort` is its folder below the data root `root`."""

    root: Path
    cohort: Path

    def announced(self, run_key: str, part: str) -> frozenset[str]:
        """Return the gen_ids that were announced by any task but this one."""
        own = _name(run_key, part)
        files = (path for path in self._folder.glob("*.txt") if path.name != own)
        return frozenset(line for path in files for line in (read_text(path) or "").splitlines())

    def add(self, run_key: str, part: str, gen_ids: Iterable[str]) -> None:
        """Remembers what a run announces; `part` tells its tasks apart."""
        self._write(_name(run_key, part), "".join(f"{gen_id}\n" for gen_id in gen_ids))

    def completion(self) -> dict[str, Any]:
        """Return what the cohort's completion was last announced with; empty when it never was."""
        return read_json(self._folder / "completion.json") or {}

    def set_completion(self, record: Mapping[str, Any]) -> None:
        """Remembers with what the cohort's completion is announced."""
        self._write("completion.json", json_text(record))

    @property
    def _folder(self) -> Path:
        return self.cohort / "announced"

    def _write(self, name: str, text: str) -> None:
        write_text(make_folder(self.root, self._folder) / name, text)


def _name(run_key: str, part: str) -> str:
    return f"{run_key}.{part}.txt"
