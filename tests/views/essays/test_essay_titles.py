"""The title of an essay: its first line that is not blank, cut to fit a table."""

from __future__ import annotations

import pytest

from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_titles import essay_titles
from tests.store_builder import StoreBuilder


@pytest.mark.parametrize(
    ("text", "title"),
    [
        pytest.param("On Tides\n\nWater.\n", "On Tides", id="first line"),
        pytest.param("\n \t\n  On Tides \r\nWater.", "On Tides", id="blank lines before it"),
        pytest.param("", "", id="empty"),
        pytest.param(" \n\n", "", id="blank"),
        pytest.param("x" * 80, "x" * 80, id="as long as may be"),
        pytest.param("x" * 81, "x" * 77 + "...", id="too long"),
        pytest.param("<b>Über</b>", "<b>Über</b>", id="as it is"),
    ],
)
def test_the_title_of_an_essay(store: StoreBuilder, text: str, title: str) -> None:
    """The title has at most 80 characters and no space around it."""
    essay = store.essay(1, text)
    assert essay_titles(GensDataLayer.from_root(store.root), [essay]) == {essay: title}


def test_bytes_that_are_no_text_are_replaced(store: StoreBuilder) -> None:
    """An essay that is not UTF-8 has a title too."""
    store.write("gens/essay/e_1/parsed.txt", b"Caf\xe9\n")
    assert essay_titles(GensDataLayer.from_root(store.root), ["e_1"]) == {"e_1": "Caf\ufffd"}


def test_every_id_has_a_title_once_in_the_given_order(store: StoreBuilder) -> None:
    """An essay that is missing, or whose id is invalid, has an empty title; no id is used as a path."""
    store.write("gens/secret.txt/parsed.txt", "secret")
    second, first = store.essay(2), store.essay(1)
    titles = essay_titles(GensDataLayer.from_root(store.root), [first, "gone", second, "../secret.txt", "", first])
    assert list(titles.items()) == [
        (first, "Essay number 1."),
        ("gone", ""),
        (second, "Essay number 2."),
        ("../secret.txt", ""),
        ("", ""),
    ]
