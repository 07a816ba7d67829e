"""Tests of a cohort's files: their formats, the former files that are kept, and the errors about damaged files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.calls import Stop
from essay_cohorts.domain import Action, Member, Outcome, PlanRow, RunRef, ScoreRow, Stage
from essay_cohorts.errors import StoreError
from essay_cohorts.provenance import UNKNOWN, Provenance
from essay_cohorts.store.cohort_folder import CohortFolder, LatestRun, cohort_ids
from essay_cohorts.store.scores_csv import SCORE_COLUMNS, KnownScore, scores_text
from tests.conftest import killed_before

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
HEADER = "stage,gen_id,cohort_id,parent_gen_id,combo_id,template_id,llm_model_id,replicate"
RUN = "0123456789ab"


def member(stage: Stage, gen_id: str, **more: object) -> Member:
    """Return a member of novelty_v2."""
    values: dict[str, Any] = {
        "parent_gen_id": "e_essay1",
        "combo_id": "combo-1",
        "template_id": "novelty",
        "llm_model_id": "judge-a",
        "replicate": 1,
        **more,
    }
    return Member(stage=stage, gen_id=gen_id, cohort_id="novelty_v2", **values)


DRAFT = member(Stage.DRAFT, "d_draft1", parent_gen_id="", template_id="draft-a", llm_model_id="writer")
ESSAY = member(
    Stage.ESSAY, "e_essay1", parent_gen_id="d_draft1", template_id="essay-x", llm_model_id="writer", replicate=2
)
FIRST = member(Stage.EVALUATION, "43ftibqi56628az1", combo_id='a "combo", é', llm_model_id="provider/judge:a")
SECOND = member(Stage.EVALUATION, "v_1i6m1c7p4o18cct", template_id="007", llm_model_id="judge, b", replicate=12)
MEMBERS = (DRAFT, ESSAY, FIRST, SECOND)
ROWS = (
    PlanRow(member=DRAFT, action=Action.REUSE, reason="draft of a selected essay"),
    PlanRow(member=ESSAY, action=Action.REUSE, reason="selected"),
    PlanRow(member=FIRST, action=Action.UNSCORED, reason='reply refused: none, of "them"'),
    PlanRow(member=SECOND, action=Action.CALL, reason="missing: 1 of 2 are in the store"),
)


@pytest.fixture
def folder(tmp_path: Path) -> CohortFolder:
    """Return the folder of the cohort novelty_v2, which does not exist yet."""
    return CohortFolder(root=tmp_path, cohort_id="novelty_v2")


def golden(name: str) -> bytes:
    """Return a golden file's bytes."""
    return (GOLDEN / f"cohort_folder_{name}").read_bytes()


def files(folder: CohortFolder) -> list[str]:
    """Return the path of every file in the cohort's folder."""
    return sorted(str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "cohort_id", [pytest.param(text, id=repr(text)) for text in ("..", "../x", "a/b", "", ".x", "/tmp", "a b")]
)
def test_an_invalid_cohort_id_is_refused(tmp_path: Path, cohort_id: str) -> None:
    """An invalid cohort id never becomes a path."""
    with pytest.raises(StoreError, match="is not a valid cohort id"):
        CohortFolder(root=tmp_path, cohort_id=cohort_id)


@pytest.mark.parametrize("key", [pytest.param(text, id=repr(text)) for text in ("..", "../x", "a/b", "")])
def test_an_invalid_run_key_is_refused(folder: CohortFolder, key: str) -> None:
    """An invalid run key never becomes a path."""
    with pytest.raises(StoreError, match="is not a valid run key"):
        folder.write_run(key, {})


def test_paths(tmp_path: Path) -> None:
    """The cohort's folder is in cohorts/ of the data root and holds the scores and the report."""
    folder = CohortFolder(root=tmp_path, cohort_id="c")
    assert folder.path == tmp_path / "cohorts" / "c"
    assert (folder.scores_csv.name, folder.report_html.name) == ("scores.csv", "report.html")


# ---------------------------------------------------------------- formats


def test_membership_is_as_the_format_says(folder: CohortFolder) -> None:
    """membership.csv equals the golden file byte for byte, because other programs read it."""
    folder.write_membership(MEMBERS)
    assert (folder.path / "membership.csv").read_bytes() == golden("membership.csv")


def test_plan_is_as_the_format_says(folder: CohortFolder) -> None:
    """plan.csv has two more columns than membership.csv; the run has it, and the cohort's folder has a copy."""
    folder.write_plan(RUN, ROWS)
    assert (folder.path / "runs" / RUN / "plan.csv").read_bytes() == golden("plan.csv")
    assert (folder.path / "plan.csv").read_bytes() == golden("plan.csv")
    assert files(folder) == ["plan.csv", f"runs/{RUN}/plan.csv"]


def test_scores_are_as_the_format_says(folder: CohortFolder) -> None:
    """scores.csv has one row for each member; unknown values are empty, and a score of 0 is written as 0.0."""
    row = ScoreRow(
        member=SECOND,
        outcome=Outcome.SCORED,
        score=0.0,
        reason="",
        origin_cohort_id="novelty_v2",
        cost_usd=None,
        called=True,
        provenance=Provenance("provider/judge-2026", "model=judge temperature=0.5", "ab12", "fp_7"),
    )
    refused = "the score line uses another scale: '7/10, é'"
    first = replace(
        row, member=FIRST, outcome=Outcome.UNSCORED, score=None, reason=refused, origin_cohort_id="", cost_usd=0.0125
    )
    first = replace(first, provenance=UNKNOWN)
    folder.write_scores([first, row])
    assert folder.scores_csv.read_bytes() == golden("scores.csv")


def test_a_stop_is_as_the_format_says(folder: CohortFolder) -> None:
    """Each stop is a separate JSON file in the run's folder."""
    folder.add_stop(
        RUN, Stop(model_id=None, kind="http_401", message="the server said 401: no such key. é", status=401)
    )
    [path] = (folder.path / "runs" / RUN / "stops").iterdir()
    assert path.suffix == ".json"
    assert path.read_bytes() == golden("stop.json")


def test_texts_are_written_as_they_are(folder: CohortFolder) -> None:
    """The selection and the report are written unchanged."""
    folder.write_selection("\ufeff# mode: x\r\ne_1\n")
    folder.write_report("<p>é</p>")
    assert (folder.path / "selection.txt").read_bytes() == "\ufeff# mode: x\r\ne_1\n".encode()
    assert folder.report_html.read_bytes() == "<p>é</p>".encode()


def test_records(folder: CohortFolder) -> None:
    """The manifest and the run record are read back as written; a missing or torn file gives an empty record."""
    assert folder.manifest() == folder.run(RUN) == {}
    folder.write_manifest({"b": 1, "a": "é"})
    folder.write_run(RUN, {"conf": {}})
    assert (folder.path / "manifest.json").read_text(encoding="utf-8") == '{\n  "b": 1,\n  "a": "é"\n}\n'
    assert folder.run(RUN) == {"conf": {}}
    (folder.path / "manifest.json").write_text("{", encoding="utf-8")
    assert folder.manifest() == {}


# ---------------------------------------------------------------- reading back


def test_members_are_read_back(folder: CohortFolder) -> None:
    """The members that are read equal the members that were written."""
    folder.write_membership(MEMBERS)
    assert folder.members().value == MEMBERS
    assert folder.members().problems == ()


def test_without_a_membership_there_are_no_members(folder: CohortFolder) -> None:
    """A cohort that was never planned has no members, and this is not an error."""
    assert folder.members().value == ()
    assert folder.members().problems == ()


def test_a_membership_saved_by_a_spreadsheet_program(folder: CohortFolder) -> None:
    """A BOM and CRLF line ends do not change the members."""
    folder.write_membership(MEMBERS)
    path = folder.path / "membership.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert folder.members().value == MEMBERS


def test_a_plan_is_read_back(folder: CohortFolder) -> None:
    """A run reads exactly the plan that it wrote."""
    folder.write_plan(RUN, ROWS)
    assert folder.plan(RUN) == ROWS


ODD_TEXTS = [
    pytest.param("", id="empty"),
    pytest.param(" x ", id="blanks around"),
    pytest.param('a,"b"', id="comma and quotes"),
    pytest.param("a\nb", id="LF"),
    pytest.param("a\r\nb", id="CRLF"),
    pytest.param("a\u2028b\x85c\x0cd", id="other line ends"),
    pytest.param("007", id="digits"),
    pytest.param("a\x00b", id="NUL"),
    pytest.param("x" * 200_000, id="longer than csv reads by default"),
    pytest.param(
        "a\rb",
        id="CR",
    ),
]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_texts_in_a_plan(folder: CohortFolder, text: str) -> None:
    """The plan is read back unchanged, whatever text another program stored as combo or as reason of a refusal."""
    row = PlanRow(member=replace(FIRST, combo_id=text), action=Action.UNSCORED, reason=text)
    folder.write_plan(RUN, [row, ROWS[3]])
    assert folder.plan(RUN) == (row, ROWS[3])


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_texts_in_a_membership(folder: CohortFolder, text: str) -> None:
    """The membership is read back unchanged, whatever text another program stored as combo."""
    members = (replace(FIRST, combo_id=text), SECOND)
    folder.write_membership(members)
    assert folder.members().value == members
    assert folder.members().problems == ()


def test_a_missing_plan_stops_the_run(folder: CohortFolder) -> None:
    """If a run's plan was deleted, the run stops with an error that says what to do."""
    with pytest.raises(StoreError, match=r"is gone.*: the run cannot go on without its plan") as caught:
        folder.plan(RUN)
    assert f"runs/{RUN}/plan.csv" in str(caught.value)
    assert "Clear the whole run" in str(caught.value)


def test_the_runs_own_plan_is_read(folder: CohortFolder) -> None:
    """A run reads its own plan, even after another run wrote a plan or the copy was deleted."""
    folder.write_plan(RUN, ROWS)
    folder.write_plan("fedcba987654", ROWS[:1])
    (folder.path / "plan.csv").unlink()
    assert folder.plan(RUN) == ROWS


BEHIND_A_LONG_CELL = f'{HEADER}\nevaluation,v_1,c,e_1,"two\nlines",t,m,1\nnonsense\n'


@pytest.mark.parametrize(
    ("text", "places", "finding"),
    [
        pytest.param("", ["membership.csv:1"], "its header is not", id="an empty file"),
        pytest.param("gen_id,stage\n", ["membership.csv:1"], "its header is not", id="another header"),
        pytest.param(f"{HEADER},action\n", ["membership.csv:1"], "its header is not", id="a plan in its place"),
        pytest.param(b"\xff\xfe", ["membership.csv"], "UTF-8", id="not UTF-8"),
        pytest.param(f"{HEADER}\nevaluation,v_1\n", ["membership.csv:2"], "not a member", id="a torn line"),
        pytest.param(
            f"{HEADER}\nevaluation,v_1,c,e_1,combo,t,m,1,more\n",
            ["membership.csv:2"],
            "not a member",
            id="a long line",
        ),
        pytest.param(
            f"{HEADER}\nevaluation,v_1,c,e_1,combo,t,m,1\nreview,v_2,c,e_1,combo,t,m,2\n",
            ["membership.csv:3"],
            "not a member",
            id="an unknown stage",
        ),
        pytest.param(
            f"{HEADER}\nevaluation,v_1,c,e_1,combo,t,m,one\nx\nevaluation,v_2,c,e_1,combo,t,m,\n",
            ["membership.csv:2", "membership.csv:3", "membership.csv:4"],
            "not a member",
            id="every broken line is named",
        ),
        pytest.param(
            BEHIND_A_LONG_CELL,
            ["membership.csv:4"],
            "not a member",
            id="behind a cell of two lines",
        ),
    ],
)
def test_a_broken_membership(folder: CohortFolder, text: str | bytes, places: list[str], finding: str) -> None:
    """Each unreadable line of the membership is a problem with a next step."""
    folder.path.mkdir(parents=True)
    (folder.path / "membership.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    problems = folder.members().problems
    assert [problem.place for problem in problems] == [f"cohorts/novelty_v2/{place}" for place in places]
    assert all(finding in problem.finding for problem in problems)
    assert all("plan the cohort again" in problem.next_step for problem in problems)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: text.rsplit(",", 2)[0], id="torn"),
        pytest.param(lambda text: text.replace("unscored", "undecided"), id="an unknown action"),
        pytest.param(lambda text: "", id="empty"),
    ],
)
def test_a_damaged_plan_stops_the_run(folder: CohortFolder, damage: Callable[[str], str]) -> None:
    """A damaged plan is a StoreError that names the file; it is never read as an empty plan."""
    folder.write_plan(RUN, ROWS)
    path = folder.path / "runs" / RUN / "plan.csv"
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(StoreError, match=r"plan\.csv"):
        folder.plan(RUN)


# ---------------------------------------------------------------- former memberships


def test_a_former_membership_is_kept(folder: CohortFolder) -> None:
    """Each membership that is replaced is kept under the next number."""
    for end in (1, 2, 3):
        folder.write_membership(MEMBERS[:end])
    assert files(folder) == ["membership.1.csv", "membership.2.csv", "membership.csv"]
    assert (folder.path / "membership.1.csv").read_text(encoding="utf-8").count("\n") == 2
    assert folder.members().value == MEMBERS[:3]


def test_the_same_membership_is_not_written_again(folder: CohortFolder) -> None:
    """Writing the same membership again changes neither the file nor its time."""
    folder.write_membership(MEMBERS)
    before = (folder.path / "membership.csv").stat()
    folder.write_membership(MEMBERS)
    after = (folder.path / "membership.csv").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert files(folder) == ["membership.csv"]


def test_killed_at_any_point_there_is_a_membership(tmp_path: Path) -> None:
    """If the writer is killed at any point, the membership is either the former one or the complete new one."""
    for point in count(1):
        folder = CohortFolder(root=tmp_path / f"point {point}", cohort_id="c")
        folder.root.mkdir()
        folder.write_membership(MEMBERS[:2])
        died = killed_before(point, folder.path, partial(folder.write_membership, MEMBERS))
        assert folder.members().value in (MEMBERS[:2], MEMBERS), f"killed before call {point}"
        if not died:
            break


# ---------------------------------------------------------------- stops


def stop(kind: str, model_id: str | None = None) -> Stop:
    """Return a stop of this kind."""
    return Stop(model_id=model_id, kind=kind, message=f"said {kind}")


def test_stops_of_a_run(folder: CohortFolder) -> None:
    """Every slice of a run reads all stops of the run, and other runs read none of them."""
    assert folder.stops(RUN) == ()
    assert folder.stop_names(RUN) == frozenset()
    folder.add_stop(RUN, stop("http_401"))
    folder.add_stop(RUN, stop("http_404", "judge-a"))
    assert sorted(one.kind for one in folder.stops(RUN)) == ["http_401", "http_404"]
    assert folder.stops("fedcba987654") == ()


def test_former_stops_can_be_ignored(folder: CohortFolder) -> None:
    """A later try can ignore the stops of earlier tries and read only newer stops."""
    folder.add_stop(RUN, stop("http_401"))
    former = folder.stop_names(RUN)
    assert folder.stops(RUN, ignored=former) == ()
    folder.add_stop(RUN, stop("http_402"))
    assert [one.kind for one in folder.stops(RUN, ignored=former)] == ["http_402"]


@pytest.mark.parametrize(
    ("model_id", "concerned"),
    [
        pytest.param(None, {"judge-a", "judge-b"}, id="the run"),
        pytest.param("judge-a", {"judge-a"}, id="a model"),
    ],
)
def test_which_models_a_stop_concerns(folder: CohortFolder, model_id: str | None, concerned: set[str]) -> None:
    """A stop without a model concerns every model, and a stop with a model only this model."""
    folder.add_stop(RUN, stop("x", model_id))
    [read] = folder.stops(RUN)
    assert {name for name in ("judge-a", "judge-b") if read.concerns(name)} == concerned


def test_a_stop_that_is_just_being_written_is_not_read(folder: CohortFolder) -> None:
    """If the writer of a stop is killed at any point, other slices read only complete stops."""
    folder.add_stop(RUN, stop("http_401"))
    point = 1
    while killed_before(point, folder.path, lambda: folder.add_stop(RUN, stop("http_402"))):
        assert {one.kind for one in folder.stops(RUN)} <= {"http_401", "http_402"}
        point += 1
    assert "http_402" in [one.kind for one in folder.stops(RUN)]


def test_cohort_ids(tmp_path: Path) -> None:
    """The cohorts of a data root are the folders in cohorts/ with a membership, sorted by name."""
    assert cohort_ids(tmp_path) == []
    for name in ("b", "a"):
        CohortFolder(root=tmp_path, cohort_id=name).write_membership([])
    CohortFolder(root=tmp_path, cohort_id="only_tried_out").write_selection("")
    (tmp_path / "cohorts" / "notes.txt").write_text("", encoding="utf-8")
    assert cohort_ids(tmp_path) == ["a", "b"]


@pytest.mark.parametrize(
    "content",
    [pytest.param("[]", id="a list"), pytest.param("{", id="torn"), pytest.param('{"x": 1}', id="another object")],
)
def test_a_damaged_stop_stops_the_whole_run(folder: CohortFolder, content: str) -> None:
    """A damaged stop stops all calls, because its writer wanted calls to stop."""
    stops = folder.path / "runs" / RUN / "stops"
    stops.mkdir(parents=True)
    (stops / "x.json").write_text(content)
    (stop,) = folder.stops(RUN)
    assert stop.concerns("any model")
    assert "x.json" in stop.message


# ---------------------------------------------------------------- the scores that are known


def scored(gen_id: str = "v_1", **more: object) -> ScoreRow:
    """Return a row with a score of 7."""
    values: dict[str, Any] = {
        "outcome": Outcome.SCORED,
        "score": 7.0,
        "reason": "",
        "origin_cohort_id": "c",
        "cost_usd": 0.25,
        "called": True,
    }
    return ScoreRow(member=member(Stage.EVALUATION, gen_id), **{**values, **more})


SCORES_HEADER = ",".join(SCORE_COLUMNS) + "\n"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10) | st.sampled_from(
    ["=1", "'=1", "'", "a\rb", "\n"]
)
score_rows = st.builds(
    scored,
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True),
    outcome=st.sampled_from(Outcome),
    score=st.none() | st.floats(0, 9),
    reason=texts,
    origin_cohort_id=st.sampled_from(["", "old", "novelty_v2"]),
    cost_usd=st.none() | st.floats(0, 1e6),
    provenance=st.builds(
        Provenance,
        st.sampled_from(["", "v/a", "=1"]),
        st.sampled_from(["", "model=v/a"]),
        st.just("ab"),
        st.sampled_from(["", "fp_1", "=1"]),
    ),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(score_rows, max_size=8, unique_by=lambda row: row.member.gen_id))
def test_scores_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[ScoreRow]) -> None:
    """Every score in scores.csv is read back to the last digit, whatever text the reasons hold."""
    folder = CohortFolder(root=tmp_path_factory.mktemp("data"), cohort_id="c")
    folder.write_scores(rows)
    folder.write_score_pivot([], [])
    assert folder.scores_csv.read_bytes() == scores_text(rows).encode()
    as_of = folder.scores_csv.stat().st_mtime_ns
    assert folder.known_scores() == {
        row.member.gen_id: KnownScore(
            score=row.score,
            reused=row.outcome is Outcome.REUSED,
            origin_cohort_id=row.origin_cohort_id,
            cost_usd=row.cost_usd,
            as_of=as_of,
            provenance=row.provenance,
        )
        for row in rows
    }


@pytest.mark.parametrize(
    "origin", [pytest.param(text, id=repr(text)) for text in ("=1+1", "-x", "@x", "'x", "''", "+", "\t")]
)
def test_an_origin_that_looks_like_a_formula_reads_back(folder: CohortFolder, origin: str) -> None:
    """Only the apostrophe that keeps a spreadsheet from computing the cell is removed again."""
    folder.write_scores([scored(origin_cohort_id=origin)])
    folder.write_score_pivot([], [])
    assert folder.known_scores()["v_1"].origin_cohort_id == origin


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(SCORES_HEADER.encode(), id="no rows"),
        pytest.param(b"gen_id,score\nv_1,7.0\n", id="other columns"),
        pytest.param(b"\xff\n", id="not text"),
        pytest.param(f"{SCORES_HEADER}v_1,e\n".encode(), id="a torn line"),
        pytest.param(f"{SCORES_HEADER}\n".encode(), id="a blank line"),
        pytest.param(f"{SCORES_HEADER}v_1,e,t,m,1,scored,seven,,c,,,,\n".encode(), id="a score that is not a number"),
        pytest.param(
            f"{SCORES_HEADER}v_1,e,t,m,1,scored,7.0,,c,dear,,,\n".encode(), id="a cost that is not a number"
        ),
    ],
)
def test_scores_that_cannot_be_read_are_not_known(folder: CohortFolder, content: bytes | None) -> None:
    """An invalid scores.csv gives no scores, so that the scores are read from the store instead."""
    if content is not None:
        folder.path.mkdir(parents=True)
        folder.scores_csv.write_bytes(content)
    assert folder.known_scores() == {}


def test_scores_that_a_person_saved_are_not_relied_on(folder: CohortFolder) -> None:
    """A scores.csv newer than score_pivot.csv was changed after the run, so its scores are not used."""
    folder.write_scores([scored()])
    folder.write_score_pivot([], [])
    pivot = folder.score_pivot_csv.stat().st_mtime_ns
    os.utime(folder.scores_csv, ns=(pivot, pivot))
    assert folder.known_scores()["v_1"].score == 7.0
    os.utime(folder.scores_csv, ns=(pivot + 1, pivot + 1))
    assert folder.known_scores() == {}


@pytest.mark.parametrize("score", ["9.1", "-1", "nan", "inf", "seven"])
def test_with_one_score_off_the_scale_none_is_used(folder: CohortFolder, score: str) -> None:
    """A file with one invalid score was not written by this program, so none of its scores is used."""
    folder.write_scores([scored(), scored(gen_id="v_2")])
    folder.scores_csv.write_text(folder.scores_csv.read_text().replace(",7.0,", f",{score},", 1))
    folder.write_score_pivot([], [])
    assert folder.known_scores() == {}


# ---------------------------------------------------------------- the latest run


def add_run(folder: CohortFolder, key: str, planned_at: int, record: dict[str, object] | None = None) -> None:
    """Add a run that was planned at this time."""
    folder.write_run(key, {"dag_id": "dag", "run_id": f"run {key}"} if record is None else record)
    os.utime(folder.path / "runs" / key / "run.json", ns=(planned_at, planned_at))


def test_the_latest_run_is_the_one_planned_last(folder: CohortFolder) -> None:
    """Only the time of run.json decides which run is the latest; a run without run.json was not planned."""
    assert folder.latest_run() is None
    add_run(folder, "b", 2000)
    add_run(folder, "c", 1000)
    add_run(folder, "a", 1999)
    folder.write_plan("z", ROWS)
    assert folder.latest_run() == LatestRun(key="b", run=RunRef("dag", "run b"), planned_at=2000)
    add_run(folder, "c", 3000)
    assert folder.latest_run() == LatestRun(key="c", run=RunRef("dag", "run c"), planned_at=3000)


@pytest.mark.parametrize(
    "content",
    [pytest.param("{", id="torn"), pytest.param("[]", id="a list"), pytest.param('{"run_id": 5}', id="odd values")],
)
def test_a_damaged_run_is_a_run_without_a_name(folder: CohortFolder, content: str) -> None:
    """A damaged run.json still counts as the latest plan, but its DagRun is unknown."""
    add_run(folder, "a", 1000)
    (folder.path / "runs" / "a" / "run.json").write_text(content)
    latest = folder.latest_run()
    assert latest is not None
    assert (latest.key, latest.run) == ("a", RunRef("", ""))


def test_a_folder_that_is_not_a_run_is_not_the_latest(folder: CohortFolder) -> None:
    """A copied folder with a name that is not a run key is ignored."""
    add_run(folder, "a", 1000)
    for name in ("a (copy)", ".trash"):
        copy = folder.path / "runs" / name / "run.json"
        copy.parent.mkdir()
        copy.write_text(json.dumps({"dag_id": "dag", "run_id": name}))
    latest = folder.latest_run()
    assert latest is not None
    assert latest.key == "a"
