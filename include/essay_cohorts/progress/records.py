"""How far the calling tasks of a run are: a small file for each try of a slice, written while the task calls.

The files are in `cohorts/<cohort_id>/runs/<key>/progress/`, one for each try, so that no two processes write the same
file. They only inform people: a run decides nothing by them. A file that is missing or damaged counts as no progress.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from essay_cohorts.files.atomic import check_inside, json_text, storing, write_text
from essay_cohorts.files.json_files import read_json
from essay_cohorts.progress.counts import COUNT_NAMES, CallCounts
from essay_cohorts.records import count_of, price_of, text_of

_SUFFIX = ".json"
_FRACTIONS = ("spent_usd", "per_second")


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceProgress:
    """The counts of one try of a slice by judge. `is_over`: the try makes no further call.

    The calls that an earlier try has made count as done. All other counts are of this try alone. `written_at` is the
    time of the file, in ns since 1970.
    """

    slice_name: str
    try_number: int
    by_judge: Mapping[str, CallCounts]
    is_over: bool = False
    written_at: int = field(default=0, compare=False)


def write_progress(root: Path, folder: Path, progress: SliceProgress) -> None:
    """Write the progress of one try to the folder, which is made in the run's folder if it is missing.

    StoreError if there is no folder of the run, because its disk is not mounted any more. A power cut may lose the
    file, because nothing depends on it.
    """
    check_inside(root, folder)
    with storing(folder):
        folder.mkdir(exist_ok=True)
    judges = {judge: asdict(counts) for judge, counts in progress.by_judge.items()}
    record = {
        "slice": progress.slice_name,
        "try_number": progress.try_number,
        "is_over": progress.is_over,
        "judges": judges,
    }
    path = folder / f"{progress.slice_name}.{progress.try_number}{_SUFFIX}"
    write_text(path, json_text(record), durable=False)


def read_progress(folder: Path) -> Iterator[SliceProgress]:
    """Yield the progress of each try of each slice, in no order."""
    try:
        names = [name for name in os.listdir(folder) if name.endswith(_SUFFIX) and name[0] != "."]  # noqa: PTH208
    except OSError:
        return
    for name in names:
        path = folder / name
        try:
            record, written_at = read_json(path), path.stat().st_mtime_ns
        except OSError:  # removed meanwhile, or not to be read: progress is only shown
            continue
        if record is None:
            continue
        judges = record.get("judges")
        yield SliceProgress(
            slice_name=text_of(record, "slice"),
            try_number=count_of(record, "try_number"),
            is_over=record.get("is_over") is True,
            by_judge={judge: _counts_of(each) for judge, each in judges.items()} if isinstance(judges, dict) else {},
            written_at=written_at,
        )


def _counts_of(record: object) -> CallCounts:
    """Return the counts in a record; a field that is missing or not a number from 0 upward is 0."""
    given: Mapping[str, Any] = record if isinstance(record, dict) else {}
    numbers: dict[str, Any] = {name: count_of(given, name) for name in COUNT_NAMES}
    numbers |= {name: price_of(given, name) or 0.0 for name in _FRACTIONS}
    return CallCounts(**numbers)
