"""The command `export`: one row per evaluation, the same in every format."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import polars
import pytest

from tests.cli.command import FinishedCommand, run_command
from tests.conftest import PlayedDag
from tests.store_builder import StoreBuilder


@pytest.fixture
def judged(store: StoreBuilder) -> StoreBuilder:
    """Return a store with an imported essay that has a score, a refused reply and a reply to come."""
    store.metadata("essay", "mine", {"title": "=Tides", "group": "humans"})
    store.write("gens/essay/mine/parsed.txt", "The moon pulls.")
    store.evaluation("v_1", "mine", reply="Good.\nSCORE: 6")
    store.evaluation("v_2", "mine", replicate=2, score=None, reply="no", refused="no score line")
    store.evaluation("v_3", "mine", replicate=3, score=None)
    store.write("gens/evaluation/v_9/metadata.json", "{")
    return store


def export(store: StoreBuilder, output: Path, *words: str) -> FinishedCommand:
    """Run `export`."""
    return run_command("export", output, *words, "--data-root", store.root)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of an exported file."""
    if path.suffix == ".parquet":
        return polars.read_parquet(path).to_dicts()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_every_evaluation_is_a_row(judged: StoreBuilder, tmp_path: Path, kind: str) -> None:
    """The row has the essay's title and group, the state, the score and the reason; damaged folders are left out."""
    done = export(judged, tmp_path / f"out.{kind}")
    assert done.stdout == f"Written: {tmp_path}/out.{kind}, 3 evaluations\n"
    rows = read(tmp_path / f"out.{kind}")
    assert [(row["gen_id"], row["state"]) for row in rows] == [
        ("v_1", "scored"),
        ("v_2", "unscored"),
        ("v_3", "no_reply"),
    ]
    title = "'=Tides" if kind == "csv" else "=Tides"
    assert (rows[0]["essay_title"], rows[0]["essay_group"], float(rows[0]["score"])) == (title, "humans", 6.0)
    assert rows[1]["reason"] == "no score line"
    assert rows[2]["score"] == ("" if kind == "csv" else None)
    assert "reply" not in rows[0]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_texts_come_on_request(judged: StoreBuilder, tmp_path: Path, kind: str) -> None:
    """With --texts each row has the essay and the reply as they are stored."""
    export(judged, tmp_path / f"out.{kind}", "--texts")
    row = read(tmp_path / f"out.{kind}")[0]
    assert (row["essay_text"], row["reply"]) == ("The moon pulls.", "Good.\nSCORE: 6")


def test_a_cohort_is_exported_alone(judged: StoreBuilder, dag: PlayedDag, tmp_path: Path) -> None:
    """With --cohort only the members of the cohort have rows."""
    dag.run({"cohort_id": "c", "essay_ids": ["mine"], "models": ["judge-a"], "templates": ["novelty"]})
    export(judged, tmp_path / "c.jsonl", "--cohort", "c")
    rows = read(tmp_path / "c.jsonl")
    assert (len(rows), {row["llm_model_id"] for row in rows}) == (4, {"judge-a"})
    assert rows[0].keys() == read_keys(judged, tmp_path)


def read_keys(store: StoreBuilder, folder: Path) -> Any:
    """Return the columns of an export of the whole store."""
    export(store, folder / "all.jsonl")
    return read(folder / "all.jsonl")[0].keys()


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        pytest.param("out.xlsx", (), '"xlsx" is not a format.', id="format"),
        pytest.param("out", ("--format", "json"), 'Did you mean "jsonl"?', id="format by option"),
        pytest.param("taken.csv", (), "it exists. --force replaces it.", id="a file that exists"),
        pytest.param("data/1_raw/out.csv", (), "it is inside the data root", id="in the data root"),
        pytest.param("link.csv", ("--force",), "it is not a plain file.", id="a link"),
        pytest.param("nowhere/out.csv", (), "its folder does not exist.", id="folder"),
        pytest.param("out.csv", ("--cohort", "../x"), "is not a valid cohort id", id="cohort"),
        pytest.param("out.csv", ("--cohort", "x"), "there is no cohort x", id="no cohort"),
    ],
)
def test_bad_input_is_one_message(
    judged: StoreBuilder, tmp_path: Path, name: str, words: tuple[str, ...], message: str
) -> None:
    """Nothing is written, and the message names the next step."""
    (tmp_path / "taken.csv").write_text("mine", "utf-8")
    (tmp_path / "link.csv").symlink_to(tmp_path / "taken.csv")
    done = export(judged, tmp_path / name, *words)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "link.csv", "taken.csv"]
    assert (tmp_path / "taken.csv").read_text("utf-8") == "mine"


def test_an_empty_store_gives_an_empty_table(store: StoreBuilder, tmp_path: Path) -> None:
    """The columns are there without a row, and --force replaces a file."""
    for kind in ("csv", "parquet", "jsonl"):
        (tmp_path / f"out.{kind}").write_text("old", "utf-8")
        assert export(store, tmp_path / f"out.{kind}", "--force").returncode == 0
        assert read(tmp_path / f"out.{kind}") == []
    assert "score" in polars.read_parquet(tmp_path / "out.parquet").columns
