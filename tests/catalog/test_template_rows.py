"""The scale, the criteria and the form of replies in a template's row."""

from __future__ import annotations

import pytest

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.rubric import DEFAULT_RUBRIC, Rubric, Scale
from tests.store_builder import StoreBuilder

PLACE = "1_raw/evaluation_templates.csv"
HEADER = "template_id,active,parser,score_min,score_max,criteria,overall,response_format"


def templates(store: StoreBuilder, cells: str) -> Catalog:
    """Write a table with one active template and return the catalog over it."""
    store.write(PLACE, f"{HEADER}\na,1,{cells}\n")
    store.write("1_raw/templates/evaluation/a.txt", "{{ response }}")
    return Catalog(root=store.root)


@pytest.mark.parametrize(
    ("cells", "rubric", "response_format"),
    [
        pytest.param(",,,,,", DEFAULT_RUBRIC, "text", id="empty"),
        pytest.param(",1,5,,,", Rubric(scale=Scale(1, 5)), "text", id="a scale"),
        pytest.param(",,10,,,", Rubric(scale=Scale(0, 10)), "text", id="only the highest"),
        pytest.param(",1,,,,", Rubric(scale=Scale(1, 9)), "text", id="only the lowest"),
        pytest.param(",0.5,1.5,,,", Rubric(scale=Scale(0.5, 1.5)), "text", id="decimals"),
        pytest.param(",0,1000,,,", Rubric(scale=Scale(0, 1000)), "text", id="the widest"),
        pytest.param(",,,a; b c ;,,", Rubric(criteria=("a", "b c")), "text", id="criteria"),
        pytest.param(",,,a,mean,", Rubric(criteria=("a",), overall="mean"), "text", id="their mean"),
        pytest.param(",,,a,reply,text", Rubric(criteria=("a",)), "text", id="the default words"),
        pytest.param("json,,,,,json_schema", DEFAULT_RUBRIC, "json_schema", id="structured output"),
    ],
)
def test_a_rubric_is_read(store: StoreBuilder, cells: str, rubric: Rubric, response_format: str) -> None:
    """Empty cells mean a score from 0 to 9 that the reply states, in any form."""
    read = templates(store, cells).templates()
    assert read.problems == ()
    assert [(t.rubric, t.response_format) for t in read.value] == [(rubric, response_format)]


@pytest.mark.parametrize(
    ("cells", "column", "finding"),
    [
        pytest.param(",5,1,,,", "score_min", "the lowest score is 5 and the highest is 1.", id="turned round"),
        pytest.param(",5,5,,,", "score_min", "the lowest score is 5 and the highest is 5.", id="equal"),
        pytest.param(",9,,,,", "score_min", "the lowest score is 9 and the highest is 9.", id="the default top"),
        pytest.param(",,0,,,", "score_max", "the lowest score is 0 and the highest is 0.", id="the default low end"),
        pytest.param(",-1,,,,", "score_min", '"-1" is not valid.', id="negative"),
        pytest.param(",,1001,,,", "score_max", '"1001" is not valid.', id="too high"),
        pytest.param(",,five,,,", "score_max", '"five" is not valid.', id="a word"),
        pytest.param(",,nan,,,", "score_max", '"nan" is not valid.', id="no number"),
        pytest.param(
            ",,,score,,",
            "criteria",
            '"score" is the overall score, which every template has, not a criterion.',
            id="a criterion",
        ),
        pytest.param(",,,a;A,,", "criteria", '"A" is named twice.', id="a criterion twice"),
        pytest.param(",,,,mean,", "overall", "the mean of the criteria is asked for", id="a mean of nothing"),
        pytest.param(",,,a,median,", "overall", '"median" is not valid.', id="another overall"),
        pytest.param(",,,,,json_schema", "response_format", "json_schema asks for JSON replies", id="no JSON parser"),
        pytest.param("json,,,,,json", "response_format", '"json" is not valid.', id="another form"),
    ],
)
def test_a_wrong_rubric_is_an_error(store: StoreBuilder, cells: str, column: str, finding: str) -> None:
    """Each mistake is reported with the line and the column, also in a row that is not active."""
    for read in (templates(store, cells).templates(), templates(store, cells).template_rows()):
        [problem] = read.problems
        assert problem.place == f"{PLACE}:2, column {column}"
        assert problem.finding.startswith(finding)
        assert problem.next_step


def test_all_mistakes_of_a_row_are_reported(store: StoreBuilder) -> None:
    """A person corrects a row once."""
    problems = templates(store, ",x,y,1;2,z,w").templates().problems
    assert len(problems) == 6
