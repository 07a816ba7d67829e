"""The command `sample-for-raters`, and the way of a sheet from there through people's hands into the store."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from essay_cohorts.files.csv_text import csv_text
from tests.cli.command import FinishedCommand, run_command
from tests.store_builder import StoreBuilder

HEADER = ["essay", "title", "text", "template", "rater", "score", "criterion", "note"]
TEXTS = ["=1+1", "- a list\n- of things", 'Quotes " and, commas;\r\nand lines', "@home", "'tis plain", "Ümläute ✓"]


def run(store: StoreBuilder, *words: str | Path) -> FinishedCommand:
    """Run the command on this data root."""
    return run_command("sample-for-raters", *words, "--data-root", store.root)


def rows_of(text: str) -> list[dict[str, str]]:
    """Return the rows of a sheet."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def judged(store: StoreBuilder) -> StoreBuilder:
    """Return a store with six essays of odd texts, judged by two judges."""
    for number, text in enumerate(TEXTS):
        essay = store.essay(number, text)
        store.evaluation(f"v_{number}a", essay, score=float(number))
        store.evaluation(f"v_{number}b", essay, model="judge-b", score=float(number + number % 2))
    return store


def test_a_sheet_is_blind(judged: StoreBuilder) -> None:
    """It has the texts and empty cells; no score, no judge, and not the order of the scores."""
    done = run(judged, "--template", "novelty")
    assert done.returncode == 0, done.stderr
    rows = rows_of(done.stdout)
    assert [*rows[0]] == HEADER
    assert {row["essay"] for row in rows} == {f"e_essay{number}" for number in range(6)}
    for row in rows:
        assert (row["template"], row["rater"], row["score"], row["criterion"], row["note"]) == (
            "novelty",
            "",
            "",
            "",
            "",
        )
    assert "judge" not in done.stdout
    assert [row["essay"] for row in rows] != sorted(row["essay"] for row in rows)
    assert run(judged, "--template", "novelty").stdout == done.stdout


def test_a_spreadsheet_runs_no_text_as_a_formula(judged: StoreBuilder) -> None:
    """Texts and titles that begin like a formula have an apostrophe in front."""
    shown = {row["essay"]: row for row in rows_of(run(judged, "--template", "novelty").stdout)}
    assert (shown["e_essay0"]["text"], shown["e_essay0"]["title"]) == ("'=1+1", "'=1+1")
    assert shown["e_essay1"]["text"] == "'- a list\n- of things"
    assert shown["e_essay3"]["text"] == "'@home"
    assert (shown["e_essay2"]["text"], shown["e_essay4"]["text"]) == (TEXTS[2], TEXTS[4])


def test_a_filled_sheet_is_imported_as_it_is(judged: StoreBuilder, tmp_path: Path) -> None:
    """Sheet, ratings, import and the next sheet, which begins with the essays that are left."""
    sheet = tmp_path / "to rate.csv"
    done = run(judged, "--template", "novelty", "--size", "4", "--output", sheet)
    assert done.stdout.splitlines()[0] == f"Written: {sheet}, 4 essays"
    assert "(from 0 to 9)" in done.stdout
    assert f"import scores '{sheet}'" in done.stdout
    rows = rows_of(sheet.read_text("utf-8-sig"))
    for number, row in enumerate(rows[:3]):
        row |= {"rater": "anna", "score": str(number), "note": "=risky" if number else ""}
    sheet.write_text(csv_text(HEADER, [list(row.values()) for row in rows]), "utf-8")
    imported = run_command("import", "scores", sheet, "--json", "--data-root", judged.root)
    assert json.loads(imported.stdout) == {"new": 3, "updated": 0, "replaced": 0, "known": 0, "unrated": 1}
    found = json.loads(run_command("agreement", "--with-humans", "--json", "--data-root", judged.root).stdout)
    assert {each["essays"] for each in found["judges"]} == {3}
    again = run(judged, "--template", "novelty", "--size", "3", "--output", tmp_path / "next.csv")
    rated = {row["essay"] for row in rows[:3]}
    assert rated.isdisjoint(row["essay"] for row in rows_of((tmp_path / "next.csv").read_text("utf-8-sig")))
    assert "have rated" not in again.stdout
    more = run(judged, "--template", "novelty", "--size", "5", "--output", tmp_path / "more.csv")
    assert "5 essays, of which people have rated 2 before" in more.stdout


def test_notes_of_raters_come_back_unescaped(judged: StoreBuilder, tmp_path: Path) -> None:
    """A note that was escaped as the sheet is reads as it was written."""
    sheet = tmp_path / "s.csv"
    sheet.write_text(csv_text(HEADER, [["e_essay1", "", "", "novelty", "anna", "7", "", "'=1+1"]]), "utf-8")
    assert run_command("import", "scores", sheet, "--data-root", judged.root).returncode == 0
    [folder] = [path for path in (judged.root / "gens/evaluation").iterdir() if not (path / "raw.txt").exists()]
    assert json.loads((folder / "parsed_metadata.json").read_text("utf-8"))["note"] == "=1+1"


@pytest.mark.parametrize(
    ("overall", "criteria"),
    [pytest.param("", ["", "flow", "order"], id="overall too"), pytest.param("mean", ["flow", "order"], id="mean")],
)
def test_each_criterion_has_a_row(judged: StoreBuilder, tmp_path: Path, overall: str, criteria: list[str]) -> None:
    """A template with criteria asks for each of them, and for the overall score unless that is their mean."""
    header = "template_id,active,criteria,overall\n"
    judged.write("1_raw/evaluation_templates.csv", f"{header}novelty,true,flow;order,{overall}\n")
    rows = rows_of(run(judged, "--template", "novelty", "--size", "2").stdout)
    assert [row["criterion"] for row in rows] == 2 * criteria
    for row in rows:
        row |= {"rater": "bo", "score": "5"}
    (tmp_path / "s.csv").write_text(csv_text(HEADER, [list(row.values()) for row in rows]), "utf-8")
    done = run_command("import", "scores", tmp_path / "s.csv", "--data-root", judged.root)
    assert "2 imported" in done.stdout, done.stderr


def test_a_sheet_of_a_cohort_has_its_essays_only(judged: StoreBuilder) -> None:
    """The essays and the judges' scores are those of the cohort."""
    judged.backfill("e_essay1", "e_essay2")
    assert run_command("plan", "--write", "--cohort", "c", "--data-root", judged.root).returncode == 0
    rows = rows_of(run(judged, "--template", "novelty", "--cohort", "c").stdout)
    assert {row["essay"] for row in rows} == {"e_essay1", "e_essay2"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["--template", "novelt"], 'is not in 1_raw/evaluation_templates.csv. Did you mean "novelty"?', id="x"
        ),
        pytest.param(["--template", "coherence"], "no judge has scored an essay by the template", id="not judged"),
        pytest.param(["--template", "novelty", "--cohort", "nope"], "there is no cohort nope", id="no cohort"),
        pytest.param(["--template", "novelty", "--cohort", "a/b"], "a/b", id="not an id"),
        pytest.param(
            ["--template", "novelty", "--output", "no/where/s.csv"], "its folder does not exist.", id="folder"
        ),
    ],
)
def test_what_cannot_be_sampled_is_a_message(judged: StoreBuilder, words: list[str], message: str) -> None:
    """A mistake ends with exit status 2, the next step, and no traceback."""
    done = run(judged, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_filled_sheet_is_never_overwritten(judged: StoreBuilder, tmp_path: Path) -> None:
    """A file that exists, or one in the data root, is refused; --force replaces it."""
    sheet = tmp_path / "s.csv"
    sheet.write_text("filled in", "utf-8")
    words = ("--template", "novelty", "--output", sheet)
    assert "it exists. --force replaces it." in run(judged, *words).stderr
    assert sheet.read_text("utf-8") == "filled in"
    assert run(judged, *words, "--force").returncode == 0
    inside = run(judged, "--template", "novelty", "--output", judged.root / "s.csv")
    assert "it is inside the data root" in inside.stderr
