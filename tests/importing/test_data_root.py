"""A new data root: everything that a first run needs but essays."""

from __future__ import annotations

from pathlib import Path

import pytest

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.errors import BadInput, StoreError
from essay_cohorts.importing.data_root import create_data_root
from essay_cohorts.judging.prompts import check_template


def test_a_new_data_root_is_complete(tmp_path: Path) -> None:
    """Its inputs are read without a problem; the template has a rubric, and a judge is still to be added."""
    root = tmp_path / "a" / "root"
    written = create_data_root(root)
    assert sorted(written) == sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    catalog = Catalog(root=root)
    [template] = catalog.templates().value
    assert (check_template(template), "SCORE:" in template.text) == ((), True)
    assert (catalog.replicates().value, catalog.offline_replies_allowed()) == (3, False)
    [problem] = catalog.models().problems
    assert "no model has for_evaluation true" in problem.finding


def test_a_data_root_for_practice_has_judges(tmp_path: Path) -> None:
    """Two judges are there, and made-up scores count."""
    create_data_root(tmp_path / "root", offline=True)
    catalog = Catalog(root=tmp_path / "root")
    assert [model.id for model in catalog.models().value] == ["offline-a", "offline-b"]
    assert catalog.offline_replies_allowed()


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    """Nothing of a person is overwritten; an empty folder is fine."""
    (tmp_path / "file").write_text("x")
    for folder, finding in ((tmp_path, "it is not empty."), (tmp_path / "file", "it is a file.")):
        with pytest.raises(BadInput, match=finding):
            create_data_root(folder)
    (tmp_path / "empty").mkdir()
    create_data_root(tmp_path / "empty")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The message has the folder and the reason."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="root cannot be created: Not a directory"):
        create_data_root(tmp_path / "file" / "root")
