"""Tests of score_pivot.csv: its bytes, its column names, and cells that are safe in a spreadsheet."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from essay_cohorts.domain import ScoreRow
from essay_cohorts.selecting.aggregated_scores import STORE_PIVOT, aggregate_scores
from essay_cohorts.statistics.frame import cohort_frame
from essay_cohorts.statistics.pivot import column_name, pivot_scores
from essay_cohorts.store.scores_csv import pivot_text
from tests.conftest import PlayedDag
from tests.score_rows import score_rows
from tests.store_builder import StoreBuilder

ROWS = score_rows(
    {
        ("e_2", "novelty", "judge-a"): [6.0, 8.0, 6.0],
        ("e_2", "novelty", "judge-b"): [5.5, None],
        ("e_1", "novelty", "judge-a"): [7.0],
        ("e_3", "novelty", "judge-a"): [None],
    }
)
GOLDEN = """\
essay,novelty__judge-a:mean,novelty__judge-a:n,novelty__judge-a:min,novelty__judge-a:max,\
novelty__judge-b:mean,novelty__judge-b:n,novelty__judge-b:min,novelty__judge-b:max
e_2,6.666666667,3,6.0,8.0,5.5,1,5.5,5.5
e_1,7.0,1,7.0,7.0,,0,,
e_3,,0,,,,0,,
"""
FORMATS = Path(__file__).resolve().parents[2] / "docs" / "file-formats.md"
ids = st.text(alphabet="ab_%5F:", min_size=1, max_size=5)


def text_of(rows: list[ScoreRow]) -> str:
    """Return the text of the file for these rows."""
    pivot = pivot_scores(cohort_frame(rows))
    return pivot_text(pivot.columns, pivot.rows)


def test_the_file_to_the_byte() -> None:
    """Essays and columns are in the order of the rows; without a score n is 0 and the other cells are empty."""
    assert text_of(ROWS) == GOLDEN


def test_the_recipe_for_pandas_takes_the_means_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe in docs/file-formats.md selects only the means, even if a judge's id contains ":mean"."""
    (recipe,) = re.findall(r"```python\n(table = .*?)```", FORMATS.read_text(), flags=re.DOTALL)
    (tmp_path / "score_pivot.csv").write_text(text_of(score_rows({("e_1", "novelty", "a:mean-b"): [6.0, 8.0]})))
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {"pandas": pd}
    exec(recipe, found)  # noqa: S102 -- the docs are this repository's own
    assert found["means"].to_dict() == {"novelty__a:mean-b": {"e_1": 7.0}}
    assert (found["template"], found["model"]) == ("novelty", "a:mean-b")


def test_a_file_of_nothing() -> None:
    """Without rows the file has only the header."""
    assert text_of([]) == "essay\n"


@pytest.mark.parametrize(
    ("template", "model", "name"),
    [
        pytest.param("novelty", "judge-a", "novelty__judge-a", id="plain"),
        pytest.param("novelty_v2", "m__n", "novelty_v2__m__n", id="underscores in the model"),
        pytest.param("a__b", "c", "a%5F%5Fb__c", id="two underscores in the template"),
        pytest.param("a_", "c", "a%5F__c", id="one at its end"),
        pytest.param("a", "_c", "a___c", id="one at the model's start"),
    ],
)
def test_the_name_of_a_column(template: str, model: str, name: str) -> None:
    """The part before the first two underscores is the template, with its underscores escaped."""
    assert column_name(template, model) == name


@given(ids, ids)
def test_a_column_s_name_leads_back_to_its_ids(template: str, model: str) -> None:
    """A column's name, split at the first two underscores and URL-decoded, gives the ids again."""
    first, second = column_name(template, model).split("__", 1)
    assert (unquote(first), second) == (template, model)


def test_pandas_reads_it_as_the_docs_say() -> None:
    """Numbers are read as numbers, an empty cell as NaN, and n as a whole number."""
    frame = pd.read_csv(io.StringIO(text_of(ROWS)), index_col="essay")
    assert frame.loc["e_2", "novelty__judge-a:mean"] == pytest.approx(20 / 3)
    assert frame["novelty__judge-a:mean"].isna().to_dict()["e_3"]
    assert frame["novelty__judge-b:n"].tolist() == [1, 0, 0]


def test_no_cell_runs_in_a_spreadsheet() -> None:
    """An id that begins like a formula gets a leading apostrophe."""
    text = text_of(score_rows({("=1+1", "@t", "m"): [5.0]}))
    assert text.splitlines()[0].startswith("essay,'@t__m:mean,")
    assert text.splitlines()[1].startswith("'=1+1,")


def test_aggregate_writes_the_pivot_of_the_store(store: StoreBuilder) -> None:
    """`aggregate` writes the pivot next to aggregated_scores.csv, ordered by ids, without a damaged folder."""
    for number in (2, 1):
        store.evaluation(f"v_{number}", store.essay(number), model=f"judge-{number}", score=float(number))
    store.write("gens/evaluation/v_0/metadata.json", "{")
    aggregate_scores(store.root)
    head, *lines = store.read(STORE_PIVOT).splitlines()
    assert head.split(",")[1::4] == ["novelty__judge-1:mean", "novelty__judge-2:mean"]
    assert lines == ["e_essay1,1.0,1,1.0,1.0,,0,,", "e_essay2,,0,,,2.0,1,2.0,2.0"]


def test_a_run_writes_the_pivot_of_its_cohort(store: StoreBuilder, dag: PlayedDag) -> None:
    """A run writes the pivot next to scores.csv, with the same scores."""
    dag.run({"cohort_id": "c", "essay_ids": [store.essay(1)], "templates": ["novelty"], "replicates": 2})
    (row,) = store.rows("cohorts/c/score_pivot.csv")
    for model in ("judge-a", "judge-b"):
        scores = [float(one["score"]) for one in store.rows("cohorts/c/scores.csv") if one["llm_model_id"] == model]
        assert len(scores) == 2
        assert float(row[f"novelty__{model}:mean"]) == pytest.approx(sum(scores) / 2)
        assert (int(row[f"novelty__{model}:n"]), float(row[f"novelty__{model}:min"])) == (2, min(scores))
