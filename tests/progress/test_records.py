"""Tests of the files in which calling tasks say how far they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from essay_cohorts.errors import StoreError
from essay_cohorts.progress.counts import CallCounts
from essay_cohorts.progress.records import SliceProgress, read_progress, write_progress

COUNTS = CallCounts(
    calls=9, done=8, failed=1, requests=12, refused=2, retried=3, spent_usd=0.125, unpriced=1, per_second=1.5
)


def progress(try_number: int = 1, *, is_over: bool = False) -> SliceProgress:
    """Return the progress of a slice with two judges."""
    by_judge = {"judge-a": COUNTS, "judge-b": CallCounts(calls=3)}
    return SliceProgress(slice_name="todo-0-12", try_number=try_number, is_over=is_over, by_judge=by_judge)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Each try of a slice has a file of its own, which replaces its former content."""
    folder = tmp_path / "progress"
    write_progress(tmp_path, folder, progress())
    write_progress(tmp_path, folder, progress(is_over=True))
    write_progress(tmp_path, folder, progress(2))
    found = sorted(read_progress(folder), key=lambda each: each.try_number)
    assert found == [progress(is_over=True), progress(2)]
    assert sorted(path.name for path in folder.iterdir()) == ["todo-0-12.1.json", "todo-0-12.2.json"]
    assert all(each.written_at == (folder / f"todo-0-12.{each.try_number}.json").stat().st_mtime_ns for each in found)


def test_no_folder_is_made_below_a_disk_that_is_gone(tmp_path: Path) -> None:
    """A task whose disk was unmounted must not write into the empty folder that is left."""
    with pytest.raises(StoreError, match=r"is gone\. Check that the data root is still mounted"):
        write_progress(tmp_path, tmp_path / "cohorts/c/runs/key/progress", progress())
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_the_folder_has_no_progress(tmp_path: Path) -> None:
    """A run of an earlier version wrote no such files."""
    assert list(read_progress(tmp_path / "progress")) == []


@pytest.mark.parametrize(
    ("content", "by_judge"),
    [
        pytest.param("{", None, id="torn"),
        pytest.param("[]", None, id="not an object"),
        pytest.param("{}", {}, id="empty"),
        pytest.param('{"judges": 7}', {}, id="no judges"),
        pytest.param('{"judges": {"a": 7}}', {"a": CallCounts()}, id="a judge without counts"),
        pytest.param(
            '{"judges": {"a": {"calls": 2, "done": -1, "failed": "x", "spent_usd": NaN, "per_second": true}}}',
            {"a": CallCounts(calls=2)},
            id="odd counts",
        ),
    ],
)
def test_a_damaged_file_is_read_as_far_as_it_can_be(
    content: str, by_judge: dict[str, CallCounts] | None, tmp_path: Path
) -> None:
    """A field that is no number counts as 0, and a file that is no JSON object is left out; nothing is raised."""
    (tmp_path / "todo-0-1.1.json").write_text(content)
    (tmp_path / ".todo-0-1.1.json.0123456789ab.tmp").write_text("{}")
    assert [each.by_judge for each in read_progress(tmp_path)] == ([] if by_judge is None else [by_judge])
