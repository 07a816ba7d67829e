"""The command `spend`: what all runs have cost, and what is left below the caps."""

from __future__ import annotations

import json

import pytest

from essay_cohorts.ledger.records import BillBy
from tests.cli.command import run_command
from tests.conftest import PlayedDag
from tests.store_builder import StoreBuilder

PRICED = (
    "id,model,for_evaluation,max_tokens,input_usd_per_mtok,output_usd_per_mtok\n"
    "judge-a,example/judge-a,true,1000,1,2\n"
    "judge-b,example/judge-b,true,1000,,\n"
)
CONF = {"templates": ["novelty"], "replicates": 1}


@pytest.fixture
def spent(store: StoreBuilder, dag: PlayedDag) -> StoreBuilder:
    """Run two cohorts: one with the priced judge, and one with both."""
    store.write("1_raw/llm_models.csv", PRICED)
    essays = [store.essay(number) for number in (1, 2)]
    dag.run({**CONF, "cohort_id": "first", "essay_ids": essays, "models": ["judge-a"]}, run_id="run-1")
    dag.run({**CONF, "cohort_id": "second", "essay_ids": essays}, run_id="run-2")
    return store


def test_the_bill_by_cohort(spent: StoreBuilder) -> None:
    """Each cohort has its requests and its cost; judges without a price are named beside the total."""
    done = run_command("spend", "--by", "cohort", "--data-root", spent.root)
    assert done.returncode == 0
    head, first, second, total, unpriced = done.stdout.splitlines()
    assert head.split() == ["cohort", "requests", "settled", "in", "flight", "in", "doubt"]
    assert [line.split()[:2] for line in (first, second, total)] == [["first", "2"], ["second", "2"], ["all", "4"]]
    assert first.split()[2] == total.split()[2] != "$0.0000"
    assert second.split()[2] == "$0.0000"
    assert unpriced == "Not in these sums: 2 requests to judge-b, without a price in 1_raw/llm_models.csv."


@pytest.mark.parametrize("by", list(BillBy))
def test_each_bill_has_the_same_total(spent: StoreBuilder, by: BillBy) -> None:
    """The rows of the JSON add up to its total, whatever the bill is broken down by."""
    found = json.loads(run_command("spend", "--by", by, "--json", "--data-root", spent.root).stdout)
    assert found["total"]["calls"] == 4 == sum(row["calls"] for row in found["rows"])
    assert found["total"]["settled_usd"] == pytest.approx(sum(row["settled_usd"] for row in found["rows"]))
    assert all(by.value in row for row in found["rows"])
    assert found["unpriced_models"] == ["judge-b"]


def test_without_requests_there_is_nothing_to_pay(store: StoreBuilder) -> None:
    """An untouched data root has an empty bill, and reading it writes nothing."""
    before = store.tree_hash()
    done = run_command("spend", "--data-root", store.root)
    assert done.stdout.splitlines()[-1].split() == ["all", "0", "$0.0000", "$0.0000", "$0.0000"]
    assert store.tree_hash() == before


def test_what_is_left_below_the_caps(spent: StoreBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cap has a line; a cap that is no amount is an error that names the variable."""
    (spent.root / ".env").write_text("", encoding="utf-8")
    from essay_cohorts.ledger.ledger import left_below_caps
    from essay_cohorts.settings import Settings

    settings = Settings(data_root=spent.root, max_usd_per_day=5.0, max_usd_per_month=0.0001)
    day, month = left_below_caps(settings)
    assert day.startswith("DD_MAX_USD_PER_DAY 5: $0.00")
    assert "spent today (UTC), $4.99" in day
    assert month.endswith("spent this month (UTC), $0.0000 left.")


@pytest.mark.parametrize("since", ["yesterday", "2026-1-1", "2026-02-30"])
def test_a_day_that_is_none(store: StoreBuilder, since: str) -> None:
    """The message names the option and an example."""
    done = run_command("spend", "--since", since, "--data-root", store.root)
    assert done.returncode == 2
    assert f"--since: '{since}' is not a day. Write a day such as 2026-01-31." in done.stderr
