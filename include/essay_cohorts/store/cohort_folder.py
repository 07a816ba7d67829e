"""Reads and writes a cohort's files: `cohorts/<cohort_id>/` and, for each planned run, `runs/<key>/` below it."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from essay_cohorts.calls import Stop
from essay_cohorts.domain import ID_RULE, CriterionScore, Member, PlanRow, RunRef, ScoreRow, is_id
from essay_cohorts.errors import Checked, Problem, StoreError
from essay_cohorts.files.atomic import (
    copy_former,
    json_text,
    make_folder,
    new_token,
    storing,
    write_text,
)
from essay_cohorts.files.csv_text import csv_text
from essay_cohorts.files.json_files import read_json, read_text
from essay_cohorts.records import run_of
from essay_cohorts.store.criteria_csv import criteria_text, read_criteria_csv
from essay_cohorts.store.membership_csv import MEMBER_COLUMNS, member_cells, member_of, plan_text, read_csv, read_plan
from essay_cohorts.store.scores_csv import KnownScore, pivot_text, read_known_scores, scores_text

_REPLAN = "Delete the file (its evaluations are safe in gens/) and plan the cohort again."


@dataclass(frozen=True, kw_only=True, slots=True)
class LatestRun:
    """The run that planned the cohort last; `planned_at` is in ns since 1970."""

    key: str
    run: RunRef
    planned_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortFolder:
    """The files of one cohort. Every write is atomic."""

    root: Path
    cohort_id: str

    def __post_init__(self) -> None:
        if not is_id(self.cohort_id):
            msg = f"{self.cohort_id!r} is not a valid cohort id. {ID_RULE}"
            raise StoreError(msg)

    @property
    def path(self) -> Path:
        """The cohort's folder."""
        return self.root / "cohorts" / self.cohort_id

    @property
    def scores_csv(self) -> Path:
        """The path of scores.csv."""
        return self.path / "scores.csv"

    @property
    def score_pivot_csv(self) -> Path:
        """The path of score_pivot.csv."""
        return self.path / "score_pivot.csv"

    @property
    def report_html(self) -> Path:
        """The path of report.html."""
        return self.path / "report.html"

    def members(self) -> Checked[tuple[Member, ...]]:
        """Return the rows of membership.csv; an empty tuple when there is no such file."""
        path = self.path / "membership.csv"
        place = f"cohorts/{self.cohort_id}/membership.csv"
        try:
            lines = read_csv(path)
        except FileNotFoundError:
            return Checked(value=())
        except UnicodeDecodeError:
            problem = Problem(place=place, finding="it is not UTF-8.", next_step=_REPLAN)
            return Checked(value=(), problems=(problem,))
        _, header = next(lines, (1, []))
        if tuple(header) != MEMBER_COLUMNS:
            finding = f"its header is not {','.join(MEMBER_COLUMNS)}."
            return Checked(value=(), problems=(Problem(place=f"{place}:1", finding=finding, next_step=_REPLAN),))
        members, problems = [], []
        for number, cells in lines:
            try:
                members.append(member_of(cells))
            except ValueError:
                finding = "the line is not a member."
                problems.append(Problem(place=f"{place}:{number}", finding=finding, next_step=_REPLAN))
        return Checked(value=tuple(members), problems=tuple(problems))

    def membership_stamp(self) -> tuple[int, int] | None:
        """Return a value that changes when membership.csv is replaced; None when there is no such file."""
        try:
            found = (self.path / "membership.csv").stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def write_membership(self, members: Sequence[Member]) -> None:
        """Write membership.csv; a former file that differs is kept as membership.<n>.csv."""
        path = self.path / "membership.csv"
        text = csv_text(MEMBER_COLUMNS, map(member_cells, members))
        if path.exists():
            if path.read_bytes() == text.encode("utf-8"):
                return
            with storing(path):
                copy_former(path)
        self._write(path, text)

    def selection(self) -> str | None:
        """Return selection.txt; None when there is no such file."""
        return read_text(self.path / "selection.txt")

    def write_selection(self, text: str) -> None:
        """Write selection.txt, the selection that the cohort was made from."""
        self._write(self.path / "selection.txt", text)

    def manifest(self) -> dict[str, Any]:
        """Return manifest.json; empty when there is no such file."""
        return read_json(self.path / "manifest.json") or {}

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write manifest.json."""
        self._write(self.path / "manifest.json", json_text(manifest))

    def write_plan(self, run_key: str, rows: Sequence[PlanRow]) -> None:
        """Write the run's own plan.csv, and a copy for people beside membership.csv."""
        text = plan_text(rows)
        self._write(self._run(run_key) / "plan.csv", text)
        self._write(self.path / "plan.csv", text)

    def write_slice(self, run_key: str, name: str, rows: Sequence[PlanRow]) -> None:
        """Write the part of the run's plan that one slice works on."""
        path = self._run(run_key) / "slices" / f"{name}.csv"
        path.with_suffix(".prompts").unlink(missing_ok=True)
        self._write(path, plan_text(rows))

    def mark_prompts(self, run_key: str, name: str) -> None:
        """Note that the prompts of a slice were written by this run."""
        self._write(self._run(run_key) / "slices" / f"{name}.prompts", "")

    def has_prompts(self, run_key: str, name: str) -> bool:
        """Return True if this run has written the prompts of a slice."""
        return (self._run(run_key) / "slices" / f"{name}.prompts").exists()

    def slice_plan(self, run_key: str, name: str) -> tuple[PlanRow, ...] | None:
        """Return the part of the run's plan that one slice works on. StoreError when the file is damaged.

        None when version 0.1.0 planned the run: then only the whole plan has the rows.
        """
        path = self._run(run_key) / "slices" / f"{name}.csv"
        return read_plan(path) if path.exists() else None

    def slice_names(self, run_key: str) -> list[str]:
        """Return the names of the run's slices; none when version 0.1.0 planned the run."""
        return sorted(path.stem for path in (self._run(run_key) / "slices").glob("*.csv"))

    def plan(self, run_key: str) -> tuple[PlanRow, ...]:
        """Return the run's own plan. StoreError when the file is missing or damaged."""
        return read_plan(self._run(run_key) / "plan.csv")

    def write_run(self, run_key: str, record: Mapping[str, Any]) -> None:
        """Write the run's run.json."""
        self._write(self._run(run_key) / "run.json", json_text(record))

    def run(self, run_key: str) -> dict[str, Any]:
        """Return the run's run.json; empty when there is no such file."""
        return read_json(self._run(run_key) / "run.json") or {}

    def progress_folder(self, run_key: str) -> Path:
        """Return the folder in which the calling tasks of a run say how far they are."""
        return self._run(run_key) / "progress"

    def latest_run(self) -> LatestRun | None:
        """Return the run whose planning ended last; a dry run writes no run.json and does not count."""
        found = []
        for path in (self.path / "runs").glob("*/run.json"):
            with suppress(FileNotFoundError):
                if is_id(path.parent.name):  # a person may have copied a folder under another name
                    found.append((path.stat().st_mtime_ns, path.parent.name))
        if not found:
            return None
        planned_at, key = max(found)
        return LatestRun(key=key, run=run_of(self.run(key)), planned_at=planned_at)

    def scores_written_at(self) -> int:
        """Return the time of scores.csv, in ns since 1970; 0 when there is no such file."""
        try:
            return self.scores_csv.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def known_scores(self) -> dict[str, KnownScore]:
        """Return the rows of scores.csv by gen_id; empty when another program changed the file."""
        return read_known_scores(self.scores_csv, self.score_pivot_csv)

    def known_criteria(self) -> dict[str, tuple[CriterionScore, ...]]:
        """Return the criteria of criteria.csv by gen_id; empty without the file."""
        return read_criteria_csv(self.path / "criteria.csv")

    def add_stop(self, run_key: str, stop: Stop) -> None:
        """Write a stop: every slice of the run reads it and stops calling."""
        self._write(self._run(run_key) / "stops" / f"{new_token()}.json", json_text(asdict(stop)))

    def stop_names(self, run_key: str) -> frozenset[str]:
        """Return the names of the stops so far; a run ignores those from before its planning."""
        folder = self._run(run_key) / "stops"
        try:
            return frozenset(name for name in os.listdir(folder) if name.endswith(".json") and name[0] != ".")  # noqa: PTH208
        except FileNotFoundError:
            return frozenset()

    def stops(self, run_key: str, ignored: Container[str] = ()) -> tuple[Stop, ...]:
        """Return the stops of the run, except those named in `ignored`."""
        names = sorted(name for name in self.stop_names(run_key) if name not in ignored)
        if not names:
            return ()
        folder = self._run(run_key) / "stops"
        return tuple(_stop(read_json(folder / name) or {}, name) for name in names)

    def write_scores(self, rows: Iterable[ScoreRow], as_of: int | None = None) -> None:
        """Write scores.csv and set its time to `as_of` (ns since 1970), when the reading of the scores began."""
        self._write(self.scores_csv, scores_text(rows), as_of)

    def write_criteria(self, rows: Sequence[ScoreRow]) -> None:
        """Write criteria.csv if an evaluation has criteria, or if the file exists from a former plan."""
        path = self.path / "criteria.csv"
        if path.exists() or any(row.criteria for row in rows):
            self._write(path, criteria_text(rows))

    def write_score_pivot(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write score_pivot.csv."""
        self._write(self.score_pivot_csv, pivot_text(columns, rows))

    def write_report(self, html: str) -> None:
        """Write report.html."""
        self._write(self.report_html, html)

    def _write(self, path: Path, text: str, as_of: int | None = None) -> None:
        make_folder(self.root, path.parent)
        write_text(path, text, as_of=as_of)

    def _run(self, run_key: str) -> Path:
        if not is_id(run_key):
            msg = f"{run_key!r} is not a valid run key."
            raise StoreError(msg)
        return self.path / "runs" / run_key


def cohorts_with(root: Path, gen_ids: Container[str]) -> list[str]:
    """Return the sorted ids of the cohorts with one of these members; a damaged membership.csv counts as empty."""
    found = []
    for cohort_id in cohort_ids(root):
        with suppress(OSError, UnicodeDecodeError):
            lines = read_csv(root / "cohorts" / cohort_id / "membership.csv")
            if any(len(cells) > 1 and cells[1] in gen_ids for _, cells in lines):
                found.append(cohort_id)
    return found


def cohort_ids(root: Path) -> list[str]:
    """Return the sorted ids of the cohorts with a membership.csv; a dry run writes none."""
    return sorted(path.parent.name for path in (root / "cohorts").glob("*/membership.csv"))


def _stop(record: Mapping[str, Any], name: str) -> Stop:
    try:
        return Stop(**record)
    except TypeError:
        # The file exists, so the calls must stop, even when the reason is lost.
        return Stop(
            model_id=None, kind="unreadable_stop", message=f"the run was stopped, and stops/{name} is damaged"
        )
