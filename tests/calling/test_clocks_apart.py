"""Two processes whose clocks are ten minutes apart: leases go by the clock of the ledger's database."""

from __future__ import annotations

from pathlib import Path

import pytest

from essay_cohorts.ledger.ledger import Ledger
from tests.calling.test_calls_elsewhere import conf, result_of, run_beside
from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]


def shifted(offset: str) -> dict[str, str]:
    """Return the environment of a process whose clock is shifted; its monotonic clock is right."""
    [library] = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return {"LD_PRELOAD": str(library), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.parametrize("offset", ["+10m", "-10m"])
def test_no_call_is_made_twice_and_no_claim_is_lost(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, ledger_url: str, offset: str
) -> None:
    """Two cohorts with the same thirty evaluations pay for thirty calls, wherever each clock stands."""
    dag.ledger = ledger_url
    essays = [store.essay(number) for number in range(1, 31)]
    judge_server.faults({"fault": "latency", "seconds": 0.5})
    environment = {**shifted(offset), "PLAYED_LEDGER": ledger_url}
    with run_beside(store, judge_server, conf("left", essays), environment=environment) as beside:
        run = dag.run(conf("right", essays))
        told = result_of(beside)
    assert run.summary.complete, run.summary.message
    assert told["complete"], told["message"]
    assert judge_server.calls() == 30
    assert Ledger.of(dag.settings).holders() == {}
