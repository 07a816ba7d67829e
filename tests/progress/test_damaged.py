"""Progress files that are damaged or gone count as no progress."""

from __future__ import annotations

from pathlib import Path

from essay_cohorts.progress.records import read_progress


def test_a_file_in_place_of_the_folder_is_no_progress(tmp_path: Path) -> None:
    """The page of a cohort opens whatever lies where the progress should be."""
    (tmp_path / "progress").write_text("x")
    assert list(read_progress(tmp_path / "progress")) == []
    assert list(read_progress(tmp_path / "none")) == []


def test_a_record_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """A folder named like a record, and a link that leads nowhere, are passed over."""
    (tmp_path / "a.1.json").mkdir()
    (tmp_path / "b.1.json").symlink_to(tmp_path / "gone")
    assert list(read_progress(tmp_path)) == []
