"""Tests of the settings from the environment: the data root and the cohort."""

from __future__ import annotations

from pathlib import Path

import pytest

from essay_cohorts.errors import BadInput
from essay_cohorts.settings import read_settings

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="unset"),
        pytest.param({"DD_DATA_ROOT": ""}, id="empty"),
        pytest.param({"DD_DATA_ROOT": "  "}, id="blank"),
    ],
)
def test_the_default_root_is_the_projects_data(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without DD_DATA_ROOT the sample data of the project is used, wherever the process was started."""
    monkeypatch.chdir(tmp_path)
    assert read_settings(environment).data_root == PROJECT / "data"


def test_the_root_is_taken_as_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative DD_DATA_ROOT is resolved once, so that a later change of folder does not move it."""
    (tmp_path / "store").mkdir()
    monkeypatch.chdir(tmp_path)
    assert read_settings({"DD_DATA_ROOT": " store "}).data_root == (tmp_path / "store").resolve()


def test_the_process_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument, `read_settings` reads the environment of the process."""
    monkeypatch.setenv("DD_DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("DD_COHORT", "novelty_v2")
    settings = read_settings()
    assert (settings.data_root, settings.cohort_id) == (tmp_path.resolve(), "novelty_v2")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(
            pytest.param(word, None, id=f"unset: {word!r}")
            for word in ("", " ", "0", "false", "False", "none", "NONE", "null", " Null ")
        ),
        pytest.param("cohort-1", "cohort-1", id="an id"),
        pytest.param(" novelty_v2.backfill ", "novelty_v2.backfill", id="blanks around"),
        pytest.param("00", "00", id="two zeros are an id"),
        pytest.param("falsely", "falsely", id="begins with an unset word"),
        pytest.param("a" * 100, "a" * 100, id="the longest id"),
    ],
)
def test_cohort(tmp_path: Path, value: str, expected: str | None) -> None:
    """DD_COHORT names the cohort, unless its value is one of the words that count as unset."""
    assert read_settings({"DD_DATA_ROOT": str(tmp_path), "DD_COHORT": value}).cohort_id == expected


def test_cohort_is_unset_when_the_variable_is_missing(tmp_path: Path) -> None:
    """Without DD_COHORT the settings name no cohort."""
    assert read_settings({"DD_DATA_ROOT": str(tmp_path)}).cohort_id is None


@pytest.mark.parametrize(
    ("environment", "place", "finding", "next_step"),
    [
        pytest.param({"DD_SLICES": "0"}, "DD_SLICES", "'0' is not valid", "from 1 to 500", id="slices"),
        pytest.param({"DD_SLICES": "501"}, "DD_SLICES", "'501' is not valid", "from 1 to 500", id="too many slices"),
        pytest.param(
            {"DD_EVENTS": "none"},
            "DD_EVENTS",
            "'none' is not valid",
            "Write one of: cohort, first, evaluations",
            id="events",
        ),
        pytest.param(
            {"DD_DATA_ROOT": "/no/such/folder"}, "DD_DATA_ROOT", "no folder /no/such/folder", "1_raw/", id="no folder"
        ),
        pytest.param({"DD_DATA_ROOT": __file__}, "DD_DATA_ROOT", "test_settings.py", "Set it", id="a file as root"),
        pytest.param(
            {"DD_DATA_ROOT": "~no-such-user-here/data"},
            "DD_DATA_ROOT",
            "no-such-user-here",
            "Set it",
            id="home of nobody",
        ),
        pytest.param({"DD_COHORT": "../elsewhere"}, "DD_COHORT", "'../elsewhere'", "An id is", id="path as cohort"),
        pytest.param({"DD_COHORT": ".hidden"}, "DD_COHORT", "'.hidden'", "An id is", id="leading dot"),
        pytest.param({"DD_COHORT": "a b"}, "DD_COHORT", "'a b'", "An id is", id="blank inside"),
        pytest.param({"DD_COHORT": "a" * 101}, "DD_COHORT", "'aaa", "An id is", id="a character too long"),
    ],
)
def test_bad_environment(environment: dict[str, str], place: str, finding: str, next_step: str) -> None:
    """An invalid value is a BadInput that names the variable, the finding and the next step."""
    with pytest.raises(BadInput) as caught:
        read_settings(environment)
    [problem] = caught.value.problems
    assert problem.place == f"environment: {place}"
    assert finding in problem.finding
    assert next_step in problem.next_step


def test_both_mistakes_are_reported_together() -> None:
    """A wrong root and a wrong cohort are reported in one message."""
    with pytest.raises(BadInput, match="2 problems"):
        read_settings({"DD_DATA_ROOT": "/no/such/folder", "DD_COHORT": "a/b"})


def test_at_least_two_slices_run_side_by_side(tmp_path: Path) -> None:
    """The number of concurrent slices is between 2 and 8 on any machine."""
    assert 2 <= read_settings({"DD_DATA_ROOT": str(tmp_path)}).processes <= 8
