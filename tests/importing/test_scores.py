"""People's scores in the store: written once, never overwritten silently, and refused with all conflicts at once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars
import pytest
from sqlalchemy import select

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.errors import BadInput, StoreError
from essay_cohorts.exporting.tables import export_rows
from essay_cohorts.ids import evaluation_gen_id
from essay_cohorts.importing.score_rows import ScoreColumns
from essay_cohorts.importing.score_sources import Rating, read_ratings
from essay_cohorts.importing.scores import ScoreImport, import_scores
from essay_cohorts.ledger.database import open_database
from essay_cohorts.ledger.schema import turns
from essay_cohorts.maintenance.verify import find_damage
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer
from tests.cli.command import run_command
from tests.store_builder import StoreBuilder

HEADER = "essay,template,rater,score,criterion,note\n"
GEN_ID = evaluation_gen_id("e_essay1", "novelty", "human-anna", 1)
FOLDER = f"gens/evaluation/{GEN_ID}"
SEVEN = "e_essay1,novelty,anna,7,,\n"


@pytest.fixture
def rated(store: StoreBuilder) -> StoreBuilder:
    """Return a store with two essays; the template coherence has a scale and criteria."""
    store.essay(1)
    store.essay(2)
    store.write(
        "1_raw/evaluation_templates.csv",
        "template_id,active,score_min,score_max,criteria,overall\n"
        "novelty,true,,,,\ncoherence,true,1,5,flow;order,mean\n",
    )
    return store


def take(store: StoreBuilder, rows: str, *, replace: bool = False) -> ScoreImport:
    """Import these rows."""
    source = store.root.parent / "scores.csv"
    source.write_text(HEADER + rows, "utf-8")
    templates, essays = Catalog(root=store.root).template_rows().value, {"e_essay1", "e_essay2"}
    return import_scores(
        Settings(data_root=store.root), read_ratings(source, ScoreColumns(), templates, essays), replace=replace
    )


def verdict(store: StoreBuilder, folder: str = FOLDER) -> dict[str, Any]:
    """Return the parsed_metadata.json of an evaluation."""
    found: dict[str, Any] = json.loads(store.read(f"{folder}/parsed_metadata.json"))
    return found


def test_a_rating_is_an_evaluation_without_a_reply(rated: StoreBuilder) -> None:
    """The folder has three files, and its gen_id follows from essay, template and rater."""
    take(rated, "e_essay1,novelty,anna,7.5,,Fresh.\n")
    assert sorted(path.name for path in (rated.root / FOLDER).iterdir()) == [
        "metadata.json",
        "parsed.txt",
        "parsed_metadata.json",
    ]
    assert json.loads(rated.read(f"{FOLDER}/metadata.json")) == {
        "stage": "evaluation",
        "gen_id": GEN_ID,
        "origin_cohort_id": "human",
        "mode": "human",
        "template_id": "novelty",
        "combo_id": "combo-1",
        "parent_gen_id": "e_essay1",
        "llm_model_id": "human-anna",
        "replicate": 1,
    }
    assert rated.read(f"{FOLDER}/parsed.txt") == "7.5\n"
    assert verdict(rated) == {
        "parser_name": "human",
        "parser_version": "1",
        "success": True,
        "score": 7.5,
        "reason": "",
        "note": "Fresh.",
    }
    assert list(find_damage(GensDataLayer.from_root(rated.root))) == []


def test_scale_criteria_and_their_notes_are_kept(rated: StoreBuilder) -> None:
    """The verdict names the rubric, so that the scale of the score is known whatever the template says later."""
    take(rated, "e_essay1,coherence,anna,2,flow,Choppy.\ne_essay1,coherence,anna,5,order,\n")
    found = GensDataLayer.from_root(rated.root).evaluation(
        evaluation_gen_id("e_essay1", "coherence", "human-anna", 1)
    )
    record = found.verdict_record()
    assert (record.score, record.parser.version) == (3.5, "1+scale=1..5+criteria=flow;order+overall=mean")
    assert [(each.criterion, each.score) for each in record.criteria] == [("flow", 2.0), ("order", 5.0)]
    assert record.fields["criteria"]["flow"] == {"score": 2.0, "note": "Choppy."}


def test_importing_again_changes_nothing(rated: StoreBuilder) -> None:
    """The same file, the same scores in other words, and a file without the notes leave the store as it is."""
    assert take(rated, "e_essay1,novelty,anna,7,,Fresh.\n") == ScoreImport(
        new=1, updated=0, replaced=0, known=0, unrated=0
    )
    tree = rated.tree_hash()
    for rows in ("e_essay1,novelty,anna,7,,Fresh.\n", SEVEN, "e_essay1,novelty,anna,7.00,,\n"):
        assert take(rated, rows) == ScoreImport(new=0, updated=0, replaced=0, known=1, unrated=0)
        assert rated.tree_hash() == tree


def test_another_note_is_an_update_that_keeps_the_former_one(rated: StoreBuilder) -> None:
    """A note is no score: it changes without --replace, and the former record stays as a former file."""
    take(rated, "e_essay1,novelty,anna,7,,Fresh.\n")
    assert take(rated, "e_essay1,novelty,anna,7,,Very fresh.\n").updated == 1
    assert verdict(rated)["note"] == "Very fresh."
    assert json.loads(rated.read(f"{FOLDER}/parsed_metadata.1.json"))["note"] == "Fresh."
    assert not (rated.root / FOLDER / "parsed.1.txt").exists()


def test_a_criterion_s_note_is_kept_too(rated: StoreBuilder) -> None:
    """A file without the note changes nothing, and another note of one criterion leaves the other one."""
    rows = "e_essay1,coherence,anna,2,flow,{}\ne_essay1,coherence,anna,5,order,{}\n"
    take(rated, rows.format("Choppy.", "Neat."))
    tree = rated.tree_hash()
    assert take(rated, rows.format("", "")).known == 1
    assert rated.tree_hash() == tree
    assert take(rated, rows.format("Very choppy.", "")).updated == 1
    [folder] = (rated.root / "gens/evaluation").iterdir()
    criteria = json.loads((folder / "parsed_metadata.json").read_text("utf-8"))["criteria"]
    assert [each["note"] for each in criteria.values()] == ["Very choppy.", "Neat."]


def test_a_replaced_rating_has_its_own_notes_only(rated: StoreBuilder) -> None:
    """The former remark belongs to the former score, and stays in the former version."""
    take(rated, "e_essay1,novelty,anna,7,,Fresh.\n")
    take(rated, "e_essay1,novelty,anna,2,,\n", replace=True)
    assert "note" not in verdict(rated)
    assert json.loads(rated.read(f"{FOLDER}/parsed_metadata.1.json"))["note"] == "Fresh."


@pytest.mark.parametrize(
    ("known", "other", "finding"),
    [
        pytest.param(
            SEVEN, "e_essay1,novelty,anna,8,,\n", "differs: score 7 in the store, 8 in this file.", id="score"
        ),
        pytest.param(
            "e_essay1,coherence,anna,2,flow,\ne_essay1,coherence,anna,4,order,\n",
            "e_essay1,coherence,anna,3,flow,\ne_essay1,coherence,anna,3,order,\n",
            "differs: flow 2 in the store, 3 in this file; order 4 in the store, 3 in this file.",
            id="criteria with the same mean",
        ),
        pytest.param(
            "e_essay1,coherence,anna,3,,\n",
            "e_essay1,coherence,anna,3,,\ne_essay1,coherence,anna,3,flow,\n",
            "differs: flow none in the store, 3 in this file.",
            id="one more criterion",
        ),
    ],
)
def test_another_score_is_refused_and_taken_on_request(
    rated: StoreBuilder, known: str, other: str, finding: str
) -> None:
    """Nothing is written without --replace; with it the former verdict is kept."""
    take(rated, known)
    tree = rated.tree_hash()
    with pytest.raises(BadInput) as error:
        take(rated, other)
    [problem] = error.value.problems
    assert problem.place == "scores.csv:2"
    assert finding in problem.finding
    assert "--replace" in problem.next_step
    assert rated.tree_hash() == tree
    assert take(rated, other, replace=True).replaced == 1
    folder = next(path for path in (rated.root / "gens/evaluation").iterdir())
    assert (folder / "parsed_metadata.1.json").exists()
    assert take(rated, other).known == 1


def test_all_conflicts_are_one_message_and_nothing_is_written(rated: StoreBuilder) -> None:
    """Conflicts with the store and bad rows are told together, and the new rating of the file is not written."""
    take(rated, SEVEN + "e_essay2,novelty,anna,6,,\n")
    tree = rated.tree_hash()
    rows = "e_essay1,novelty,anna,1,,\ne_essay2,novelty,anna,2,,\ne_essay2,novelty,bo,3,,\n"
    for more, problems in (("", 2), ("e_essay3,novelty,anna,3,,\n", 3)):
        with pytest.raises(BadInput) as error:
            take(rated, rows + more)
        assert len(error.value.problems) == problems
        assert rated.tree_hash() == tree


def test_a_score_on_a_former_scale_is_a_conflict(rated: StoreBuilder) -> None:
    """A 3 from 0 to 9 is not a 3 from 1 to 5."""
    take(rated, "e_essay1,novelty,anna,3,,\n")
    rated.write("1_raw/evaluation_templates.csv", "template_id,active,score_min,score_max\nnovelty,true,1,5\n")
    with pytest.raises(BadInput, match=r"differs: scale 0 to 9 in the store, 1 to 5 in this file"):
        take(rated, "e_essay1,novelty,anna,3,,\n")


def test_a_score_that_was_corrected_by_hand_is_not_lost(rated: StoreBuilder) -> None:
    """The store's parsed.txt decides what is known."""
    take(rated, SEVEN)
    rated.write(f"{FOLDER}/parsed.txt", "4.0\n")
    with pytest.raises(BadInput, match="score 4 in the store, 7 in this file"):
        take(rated, SEVEN)
    take(rated, SEVEN, replace=True)
    assert (rated.read(f"{FOLDER}/parsed.txt"), rated.read(f"{FOLDER}/parsed.1.txt")) == ("7.0\n", "4.0\n")


@pytest.mark.parametrize(
    ("metadata", "finding"),
    [
        pytest.param({"llm_model_id": "human-Anna"}, '"e_essay1 novelty anna" differs only by case', id="case"),
        pytest.param({"llm_model_id": "judge-a"}, "belongs to another evaluation", id="a judge's"),
        pytest.param({"parent_gen_id": ""}, "is missing or unusable", id="damaged"),
    ],
)
def test_a_folder_that_is_taken(rated: StoreBuilder, metadata: dict[str, Any], finding: str) -> None:
    """An evaluation that is not this rating is never written to, not even with --replace."""
    rated.evaluation(GEN_ID, "e_essay1", model="human-anna", more=metadata)
    tree = rated.tree_hash()
    with pytest.raises(BadInput, match=finding):
        take(rated, SEVEN, replace=True)
    assert rated.tree_hash() == tree


def test_a_folder_without_a_verdict_is_completed(rated: StoreBuilder) -> None:
    """A person who deleted both files of a verdict gets them back."""
    take(rated, SEVEN)
    for name in ("parsed.txt", "parsed_metadata.json"):
        (rated.root / FOLDER / name).unlink()
    assert [problem.finding for problem in find_damage(GensDataLayer.from_root(rated.root))] != []
    assert take(rated, SEVEN).updated == 1
    assert (rated.read(f"{FOLDER}/parsed.txt"), verdict(rated)["score"]) == ("7.0\n", 7.0)


def test_an_import_that_died_is_completed_by_the_next_one(
    rated: StoreBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rating appears with all its files; a full disk leaves whole ratings, and the lock is given back."""
    rename = os.rename
    renamed: list[Path] = []

    def full_disk(source: Path, target: Path) -> None:
        if "gens/evaluation" in str(target):
            if renamed:
                raise OSError(28, "No space left on device")
            renamed.append(target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", full_disk)
    with pytest.raises(StoreError, match="No space left"):
        take(rated, SEVEN + "e_essay2,novelty,anna,6,,\n")
    monkeypatch.undo()
    assert len(list((rated.root / "gens/evaluation").iterdir())) == 1
    assert not is_taken(rated)
    assert take(rated, SEVEN + "e_essay2,novelty,anna,6,,\n") == ScoreImport(
        new=1, updated=0, replaced=0, known=1, unrated=0
    )


def is_taken(store: StoreBuilder) -> bool:
    """Return whether somebody has the turn to plan."""
    database = open_database(store.root)
    return database.run(lambda connection: connection.execute(select(turns)).first()) is not None


def test_planners_wait_while_ratings_are_written(rated: StoreBuilder) -> None:
    """The turn to plan is taken from the comparison to the last folder, and then given back."""
    source = rated.root.parent / "scores.csv"
    source.write_text(HEADER + SEVEN, "utf-8")
    templates = Catalog(root=rated.root).template_rows().value
    found, held = read_ratings(source, ScoreColumns(), templates, {"e_essay1"}), []

    def watch(written: Iterator[Rating], total: int) -> Iterator[Rating]:
        for each in written:
            held.append((is_taken(rated), total))
            yield each

    import_scores(Settings(data_root=rated.root), found, progress=watch)
    assert held == [(True, 1)]
    assert not is_taken(rated)


def test_the_command_counts(rated: StoreBuilder, tmp_path: Path) -> None:
    """The command says what it did, as text and as JSON; options name the columns."""
    (tmp_path / "s.csv").write_text("id,template,who,score\ne_essay1,novelty,anna,7\ne_essay2,novelty,,\n", "utf-8")
    words = ("import", "scores", tmp_path / "s.csv", "--essay-column", "id", "--rater-column", "who")
    done = run_command(*words, "--data-root", rated.root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"Ratings in {rated.root}: 1 imported, 0 updated, 0 replaced, 0 unchanged.",
        "1 row is not rated yet.",
    ]
    again = run_command("--json", "--data-root", rated.root, *words)
    assert json.loads(again.stdout) == {"new": 0, "updated": 0, "replaced": 0, "known": 1, "unrated": 1}


def test_bad_rows_are_one_message_of_the_command(rated: StoreBuilder, tmp_path: Path) -> None:
    """Exit status 2, all problems, no traceback, and nothing written; the sample data is not filled."""
    (tmp_path / "s.csv").write_text(HEADER + "e_essay9,novelty,a,77,,\ne_essay1,novelty,a b,1,x,\n", "utf-8")
    tree = rated.tree_hash()
    done = run_command("import", "scores", tmp_path / "s.csv", "--data-root", rated.root)
    assert (done.returncode, done.stdout, done.stderr.count("\n  - ")) == (2, "", 4)
    assert "Traceback" not in done.stderr
    assert rated.tree_hash() == tree
    assert "the sample data is not yours to change" in run_command("import", "scores", tmp_path / "s.csv").stderr


def test_a_replacement_that_died_does_not_mix_two_ratings(rated: StoreBuilder, tmp_path: Path) -> None:
    """The former rating counts everywhere until the import is repeated, and `verify` names the state."""
    rows = "e_essay1,coherence,anna,{},flow,\ne_essay1,coherence,anna,{},order,\n"
    take(rated, rows.format(1, 2))
    gen_id = evaluation_gen_id("e_essay1", "coherence", "human-anna", 1)
    child = os.fork()
    if not child:  # the child dies between the two files of the new verdict

        def die(event: str, _: object) -> None:
            if event == "essay_cohorts.between_verdict_renames":
                os._exit(0)

        sys.addaudithook(die)
        take(rated, rows.format(5, 5), replace=True)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    row = next(export_rows(rated.root, [gen_id]))
    assert (row.score, json.loads(row.criteria)) == (1.5, {"flow": 1.0, "order": 2.0})
    [problem] = find_damage(GensDataLayer.from_root(rated.root))
    assert "a crash left the replacement of its score half done" in problem.finding
    assert take(rated, rows.format(1, 2)).known == 1
    assert take(rated, rows.format(5, 5), replace=True).replaced == 1
    assert next(export_rows(rated.root, [gen_id])).score == 5.0
    assert list(find_damage(GensDataLayer.from_root(rated.root))) == []


def test_a_rater_has_one_spelling(rated: StoreBuilder) -> None:
    """A rater's name in another case would be another person, also on another essay."""
    with pytest.raises(BadInput, match='the rater "Anna" differs only by case from "anna"'):
        take(rated, SEVEN + "e_essay2,novelty,Anna,6,,\n")
    assert not (rated.root / "gens/evaluation").exists()


def test_a_score_of_32_bits_is_the_number_that_a_person_wrote(rated: StoreBuilder) -> None:
    """Parquet may hold 8.9 in 32 bits, which is not 8.899999618530273."""
    source = rated.root.parent / "scores.parquet"
    row = {"essay": ["e_essay1"], "template": ["novelty"], "rater": ["anna"], "score": [8.9]}
    polars.DataFrame(row, schema_overrides={"score": polars.Float32}).write_parquet(source)
    templates = Catalog(root=rated.root).template_rows().value
    [rating] = read_ratings(source, ScoreColumns(), templates, {"e_essay1"}).value.ratings
    assert rating.verdict.score == 8.9
