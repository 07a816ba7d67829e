"""Stores in `cohorts/<cohort_id>/announced/` what a cohort's runs have announced, so that nothing is announced twice.

`<run_key>.<part>.txt` has one gen_id per line, in the order of the announcements of one task. `completion.json` holds
the last announcement of the whole cohort.
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
        """Return the gen_ids that other tasks have announced; `run_key` and `part` name the calling task."""
        own = _name(run_key, part)
        files = (path for path in self._folder.glob("*.txt") if path.name != own)
        return frozenset(line for path in files for line in (read_text(path) or "").splitlines())

    def add(self, run_key: str, part: str, gen_ids: Iterable[str]) -> None:
        """Record the gen_ids that one task of a run announces; `part` distinguishes the tasks of the run."""
        self._write(_name(run_key, part), "".join(f"{gen_id}\n" for gen_id in gen_ids))

    def completion(self) -> dict[str, Any]:
        """Return the record of the cohort's last announced completion; empty if no completion was announced."""
        return read_json(self._folder / "completion.json") or {}

    def set_completion(self, record: Mapping[str, Any]) -> None:
        """Record what the cohort's completion is announced with."""
        self._write("completion.json", json_text(record))

    @property
    def _folder(self) -> Path:
        return self.cohort / "announced"

    def _write(self, name: str, text: str) -> None:
        write_text(make_folder(self.root, self._folder) / name, text)


def _name(run_key: str, part: str) -> str:
    return f"{run_key}.{part}.txt"
