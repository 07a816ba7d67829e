"""A process that is frozen while it calls, as in a suspended machine, and wakes up after others took over."""

from __future__ import annotations

import signal
import time

import pytest
from sqlalchemy import update

from essay_cohorts.ledger import schema
from essay_cohorts.ledger.database import open_database
from essay_cohorts.ledger.ledger import Ledger
from tests.calling.test_calls_elsewhere import conf, result_of, run_beside
from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

pytestmark = pytest.mark.slow

EVALUATIONS, AT_ONCE = 12, 4


def let_time_pass(dag: PlayedDag) -> None:
    """Let the callers of the ledger be silent for longer than the lease, and for longer than PostgreSQL has run."""
    silent_s = 10 * schema.LEASE_S
    open_database(dag.root, dag.ledger).run(
        lambda connection: connection.execute(update(schema.callers).values(seen_at=schema.clock() - silent_s))
    )


def test_a_frozen_process_loses_its_claims_and_pays_for_nothing_that_others_have(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, ledger_url: str
) -> None:
    """Only the calls in flight are made twice; when the process wakes up, its replies are kept beside the others."""
    dag.ledger = ledger_url
    essays = [store.essay(number) for number in range(1, EVALUATIONS + 1)]
    judge_server.faults({"fault": "latency", "seconds": 2})
    environment = {"PLAYED_LEDGER": ledger_url}
    with run_beside(store, judge_server, conf("left", essays), environment=environment) as frozen:
        time.sleep(0.5)  # all calls of the first second are on their way, and none has an answer
        frozen.send_signal(signal.SIGSTOP)
        in_flight = judge_server.calls()
        assert in_flight == AT_ONCE
        judge_server.faults()
        let_time_pass(dag)
        run = dag.run(conf("right", essays))
        assert run.summary.complete, run.summary.message
        frozen.send_signal(signal.SIGCONT)
        told = result_of(frozen)
    assert told["complete"], told["message"]
    assert judge_server.calls() == EVALUATIONS + AT_ONCE
    assert len(list((store.root / "gens/evaluation").glob("*/raw*.txt"))) == EVALUATIONS + AT_ONCE
    assert Ledger.of(dag.settings).unsettled() == []
