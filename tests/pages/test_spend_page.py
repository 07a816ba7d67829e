"""The page Spend: the bill of all runs, with what is in doubt, and judges without a price."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import PlayedDag
from tests.ledger_reading import lose_ledger
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from starlette.testclient import TestClient


@pytest.mark.parametrize(
    ("by", "shown"),
    [
        pytest.param("day", "20", id="day"),
        pytest.param("cohort", '<a href="/c/pilot">pilot</a>', id="cohort"),
        pytest.param("model", "judge-a", id="model"),
        pytest.param("template", "novelty", id="template"),
        pytest.param("run", "pilot evaluation_backfill run-pilot", id="run"),
        pytest.param("nonsense", "by day", id="unknown"),
    ],
)
def test_the_bill_is_broken_down(pages: TestClient, played: PlayedDag, by: str, shown: str) -> None:
    """Each breakdown names its keys; the judges of the sample have no price, which is said."""
    html = pages.get(f"/spend?by={by}").text
    assert shown in html
    assert "judge-a, judge-b are not in these sums: the judge has no price in 1_raw/llm_models.csv." in html


def test_without_requests_the_page_says_what_to_do(pages: TestClient, store: StoreBuilder) -> None:
    """The page leads to the plan, and a day that is none is ignored."""
    html = pages.get("/spend?since=<script>").text
    assert "No request was made here yet." in html
    assert "<script>" not in html.replace('<script src="', "")


def test_a_lost_ledger_begins_a_new_bill(pages: TestClient, played: PlayedDag) -> None:
    """Without its ledger the cohort still has its scores, and no cost."""
    lose_ledger(played.root)
    assert "No request was made here yet." in pages.get("/spend").text
    assert 'data-count="scored">' in pages.get("/c/pilot/progress").text


def test_the_plan_says_what_is_left_below_a_cap(
    pages: TestClient, played: PlayedDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page Spend and the plan have the same line."""
    monkeypatch.setenv("DD_MAX_USD_PER_DAY", "2.5")
    line = "DD_MAX_USD_PER_DAY 2.5: $0.0000 spent today (UTC), $2.5000 left."
    assert line in pages.get("/spend").text
    assert f"{line} Calls beyond the cap are deferred." in pages.get("/plan?cohort=pilot").text
