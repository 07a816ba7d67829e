"""The queries of requests: an odd field gets its default and never raises an error."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from essay_cohorts.views.coverage import CellState
from essay_cohorts.views.matrix import MatrixQuery, Sort


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param("essay_ids=e_1%0A%20e_2,e_3&existing=yes", {
            "essay_ids": ["e_1", "e_2", "e_3"], "include_existing_evaluations": True}, id="ids-of-any-form"),
        pytest.param("existing=no", {"include_existing_evaluations": False}, id="pay-again"),
        pytest.param("existing=perhaps", {}, id="odd-choice"),
        pytest.param("replicates=%204%20&cohort_id=+c+", {"replicates": 4, "cohort_id": "c"}, id="blanks"),
        pytest.param("replicates=-1", {"replicates": "-1"}, id="left-for-the-check"),
        pytest.param("max_llm_calls=50&max_cost_usd=0.5&max_concurrency=4", {
            "max_concurrency": 4, "max_llm_calls": 50, "max_cost_usd": 0.5}, id="limits"),
        pytest.param("max_cost_usd=2&max_llm_calls=1.5", {"max_cost_usd": 2, "max_llm_calls": "1.5"}, id="amounts"),
        pytest.param("max_cost_usd=nan&replicates=%C2%B2", {
            "max_cost_usd": "nan", "replicates": "\u00b2"}, id="not-numbers"),
        pytest.param("templates=a&templates=b&models=", {"templates": ["a", "b"]}, id="lists"),
        pytest.param("retry_unscored=1", {"retry_unscored": True}, id="retry"),
    ],
)  # fmt: skip
def test_the_form_of_a_plan_is_a_conf(query: str, expected: dict[str, Any]) -> None:
    """The conf has only the fields that were filled in."""
    from essay_cohorts_airflow.pages.forms import plan_conf

    assert plan_conf(QueryParams(query)) == expected


def test_a_matrix_query_and_its_fields_are_inverse() -> None:
    """A link made from a query asks for the same part of the matrix again."""
    from essay_cohorts_airflow.pages.forms import matrix_fields, matrix_query

    query = MatrixQuery(
        templates=frozenset({"a", "b"}),
        models=frozenset({"m/1"}),
        states=frozenset({CellState.MISSING}),
        text="tides & more",
        sort=Sort.SCORE,
        descending=True,
        column=2,
    )
    fields = {name: value for name, value in matrix_fields(query).items() if value is not None}
    assert matrix_query(QueryParams(urlencode(fields, doseq=True))) == query


@pytest.mark.parametrize(
    ("fields", "descending"),
    [
        pytest.param("sort=missing", True, id="most missing first"),
        pytest.param("sort=missing&order=asc", False, id="fewest missing first"),
        pytest.param("sort=disagreement&order=desc", True, id="an order that is usual anyway"),
        pytest.param("sort=essay", False, id="ids from the first"),
        pytest.param("sort=essay&order=desc", True, id="ids from the last"),
        pytest.param("order=x", False, id="no such order"),
    ],
)
def test_the_usual_order_depends_on_the_sort(fields: str, descending: bool) -> None:
    """Without an order, the rows that people look for come first."""
    from essay_cohorts_airflow.pages.forms import matrix_fields, matrix_query

    query = matrix_query(QueryParams(fields))
    assert query.descending is descending
    again = {name: value for name, value in matrix_fields(query).items() if value}
    assert matrix_query(QueryParams(urlencode(again, doseq=True))) == query


@example({"page": "0"})
@given(st.dictionaries(st.sampled_from(["page", "sort", "state", "column", "order", "text", "template"]), st.text()))
def test_any_query_can_be_read(fields: dict[str, str]) -> None:
    """No query raises an error, whatever a person types."""
    from essay_cohorts_airflow.pages.forms import matrix_query, page_number

    query = matrix_query(QueryParams(list(fields.items())))
    assert query.page >= 1
    assert page_number(QueryParams(list(fields.items()))) == query.page
