"""Tests of aggregated_scores.csv: each evaluation has a row, and only changed evaluations are read again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from essay_cohorts.errors import BadInput
from essay_cohorts.selecting import aggregated_scores
from essay_cohorts.selecting.aggregated_scores import AGGREGATED, COLUMNS, aggregate_scores, read_aggregated
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.evaluation_state import EvaluationState, read_state
from tests.store_builder import StoreBuilder

# The record of a reply, and its columns in the file: a name that a spreadsheet would compute is written as a text.
RECORD = {
    "response_model": "=judge",
    "system_fingerprint": "=fp_1",
    "model": "v/a",
    "temperature": 0.5,
    "max_tokens": None,
    "prompt_sha256": "ab12",
}
COLUMNS_OF_RECORD = {
    "response_model": "'=judge",
    "settings": "model=v/a temperature=0.5",
    "prompt_sha256": "ab12",
    "system_fingerprint": "'=fp_1",
}


@pytest.fixture
def filled(store: StoreBuilder) -> StoreBuilder:
    """Return a store with scored, refused, failed and unanswered evaluations of an essay, and damaged folders."""
    essay = store.essay(1)
    store.evaluation("v_scored", essay, score=6.5, origin="old")
    store.json("gens/evaluation/v_scored/raw_metadata.json", {"created_at": "2026-01-02T03:04:05Z", **RECORD})
    store.evaluation("v_refused", essay, model="judge-b", score=None, reply="no", refused="states no number,\nnone")
    store.evaluation("v_open", essay, replicate=2, score=None)
    store.evaluation("v_failed", essay, replicate=3, score=None)
    store.json("gens/evaluation/v_failed/failure.json", {"message": "the server said 422", "attempts": 1})
    store.evaluation("v_orphan", "e_gone", score=1.0)
    store.write("gens/evaluation/v_torn/metadata.json", "{")
    store.write("gens/evaluation/v_torn/parsed.txt", "5.0\n")
    store.evaluation("v_loop", essay, replicate=4)
    loop = store.root / "gens/evaluation/v_loop/parsed.txt"
    loop.unlink()
    loop.symlink_to("parsed.txt")
    return store


def rows_of(store: StoreBuilder) -> dict[str, dict[str, str]]:
    """Return the file's rows by gen_id."""
    return {row["gen_id"]: row for row in store.rows(AGGREGATED)}


def test_every_evaluation_has_a_row_and_a_damaged_one_changes_no_other(filled: StoreBuilder) -> None:
    """Each row has a score or the reason why there is none, and the evaluation's origin."""
    done = aggregate_scores(filled.root)
    rows = rows_of(filled)
    assert list(rows) == sorted(rows)
    assert filled.read(AGGREGATED).splitlines()[0] == ",".join(COLUMNS)
    assert rows["v_scored"] == {
        "parent_gen_id": "e_essay1",
        "gen_id": "v_scored",
        "evaluation_template": "novelty",
        "evaluation_llm_model": "judge-a",
        "score": "6.5",
        "error": "",
        "origin_cohort_id": "old",
        "combo_id": "combo-1",
        "draft_template": "draft-a",
        "generation_template": "essay-x",
        "generation_model": "writer",
        "replicate": "1",
        "evaluation_response_path": "gens/evaluation/v_scored/raw.txt",
        "generation_response_path": "gens/essay/e_essay1/parsed.txt",
        "created_at": "2026-01-02T03:04:05Z",
        **COLUMNS_OF_RECORD,
        "score_min": "0",
        "score_max": "9",
    }
    errors = {gen_id: row["error"] for gen_id, row in rows.items() if row["error"]}
    assert errors.pop("v_loop").startswith("damaged: ")
    assert errors == {
        "v_refused": "unscored: states no number,\nnone",
        "v_open": "no_reply: no call was made yet",
        "v_failed": "failed: the server said 422 (attempts: 1)",
        "v_torn": "damaged: its metadata.json is missing or unusable",
    }
    assert rows["v_orphan"]["score"] == "1.0"
    assert (done.rows, done.scored, done.taken_over) == (7, 2, 0)
    assert done.errors == {"unscored": 1, "no_reply": 1, "failed": 1, "damaged": 2}


def test_a_judge_whose_accent_is_written_in_two_ways_is_one_judge(store: StoreBuilder) -> None:
    """Two spellings of an accent count as one judge, also in the rows of a file that an older program wrote."""
    composed, decomposed = "mod\u00e8le", "mode\u0300le"
    for number, model in enumerate((composed, decomposed), start=1):
        store.evaluation(f"v_{number}", store.essay(1), model=model, replicate=number)
    aggregate_scores(store.root)
    assert {row["evaluation_llm_model"] for row in rows_of(store).values()} == {composed}
    store.write(AGGREGATED, store.read(AGGREGATED).replace(composed, decomposed))
    later = time.time() + 120
    os.utime(store.root / AGGREGATED, (later, later))
    assert {row.cell.model_id for row in read_aggregated(store.root / AGGREGATED, made_up_counts=True)} == {composed}
    assert aggregate_scores(store.root).taken_over == 2
    assert {row["evaluation_llm_model"] for row in rows_of(store).values()} == {composed}


def test_only_what_changed_is_read_again(filled: StoreBuilder) -> None:
    """A row is taken over when its score is older than the file, and read again when the score changed since."""
    aggregate_scores(filled.root)
    before = filled.read(AGGREGATED)
    later = time.time() + 120
    os.utime(filled.root / AGGREGATED, (later, later))
    filled.write("gens/evaluation/v_scored/metadata.json", "unreadable now, and not read")
    assert aggregate_scores(filled.root).taken_over == 2
    assert filled.read(AGGREGATED) == before
    (filled.root / "gens/evaluation/v_orphan/parsed.txt").write_text("2.0\n")
    done = aggregate_scores(filled.root)
    assert done.taken_over == 0
    assert rows_of(filled)["v_orphan"]["score"] == "2.0"
    assert rows_of(filled)["v_scored"]["error"].startswith("damaged")


def test_the_time_of_the_file_is_the_start_of_its_reading(
    filled: StoreBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A score that changes while the store is read is younger than the file, so the next run reads it again."""
    readings: list[int] = []

    def read_later(evaluation: EvaluationFolder) -> EvaluationState:
        readings.append(time.time_ns())
        time.sleep(0.01)
        return read_state(evaluation)

    monkeypatch.setattr(aggregated_scores, "read_state", read_later)
    aggregate_scores(filled.root)
    assert (filled.root / AGGREGATED).stat().st_mtime_ns <= readings[0]


@pytest.mark.parametrize("content", [b"", b"\xff", b"gen_id,score\nv_scored,9\n"], ids=["empty", "no-text", "older"])
def test_a_former_file_of_another_form_is_replaced(filled: StoreBuilder, content: bytes) -> None:
    """A former file that cannot be used is written again from the store."""
    aggregate_scores(filled.root)
    good = filled.read(AGGREGATED)
    filled.write(AGGREGATED, content)
    os.utime(filled.root / AGGREGATED, (4e9, 4e9))
    assert aggregate_scores(filled.root).taken_over == 0
    assert filled.read(AGGREGATED) == good


def test_written_rows_are_read_back(filled: StoreBuilder) -> None:
    """Scores are read as numbers, and a refused reply is recognised."""
    aggregate_scores(filled.root)
    found = {row.gen_id: row for row in read_aggregated(filled.root / AGGREGATED, made_up_counts=True)}
    assert found["v_scored"].score == 6.5
    assert {gen_id for gen_id, row in found.items() if row.is_refused} == {"v_refused"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "there is no such file. Write it: cohorts aggregate", id="missing"),
        pytest.param(
            "gen_id,parent_gen_id,evaluation_template,evaluation_llm_model\n", '"score" is missing', id="column"
        ),
        pytest.param(f"{','.join(COLUMNS)}\nv_1,short\n", "row 2", id="short-row"),
        pytest.param(
            f"{','.join(COLUMNS)}\n{'12,' * (len(COLUMNS) - 2)}0,9\n", "not a number from 0 to 9", id="score"
        ),
        pytest.param(
            f"{','.join(COLUMNS)}\n{'7,' * (len(COLUMNS) - 2)}1,5\n", "not a number from 1 to 5", id="scale"
        ),
    ],
)
def test_an_invalid_file_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    """The error has the place, the finding and the next step."""
    path = tmp_path / "scores.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadInput, match=message.replace("(", r"\(")):
        read_aggregated(path, made_up_counts=True)
