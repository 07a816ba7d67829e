"""How long four processes take to claim, reserve, settle and give back an evaluation, in both kinds of ledger."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import Figure, in_turn
from devtools.cluster.postgresql import PostgreSQL, let_others_pass
from essay_cohorts.calls import CallEnd, Room
from essay_cohorts.domain import RunRef
from essay_cohorts.files.atomic import new_token
from essay_cohorts.ledger.budget import Budget
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.ledger.records import Request, Settlement, Told, Wanted
from essay_cohorts.settings import Settings

PROCESSES = 4
# 200 evaluations a second, by tasks whose workers share their transactions.
_LIMIT_MS = 5.0
_BUDGET = Budget(max_llm_calls=10_000_000, max_cost_usd=1e9)


def measure_claims(each: int, runs: int) -> list[Figure]:
    """Return the ms for an evaluation, when each process takes `each`: one at a time, and 25 in a transaction."""
    figures = []
    with tempfile.TemporaryDirectory() as folder, PostgreSQL(let_others_pass(Path(folder)) / "server") as server:
        for at_once in (1, 25):
            subjects = {
                name: _subject(Path(folder), url, each, at_once)
                for name, url in (("PostgreSQL", server.new_database), ("SQLite", lambda: ""))
            }
            ms = in_turn(subjects, runs, f"claims, {at_once} in a transaction")
            name = f"an evaluation in the ledger, {PROCESSES} processes, {at_once} in a transaction"
            figures.append(
                Figure(
                    name=f"{name}, PostgreSQL",
                    unit="ms",
                    runs=ms["PostgreSQL"],
                    limit=_LIMIT_MS if at_once > 1 else None,
                    others={"SQLite": ms["SQLite"]},
                )
            )
    return figures


def _subject(folder: Path, new_url: Callable[[], str], each: int, at_once: int) -> Callable[[], float]:
    def measure() -> float:
        settings = Settings(data_root=Path(tempfile.mkdtemp(dir=folder)), ledger=new_url())
        Ledger.of(settings)
        context = multiprocessing.get_context("fork")
        barrier = context.Barrier(PROCESSES + 1)
        processes = [
            context.Process(target=_work, args=(settings, number, each, at_once, barrier))
            for number in range(PROCESSES)
        ]
        for process in processes:
            process.start()
        barrier.wait()
        began = time.perf_counter()
        for process in processes:
            process.join()
            assert process.exitcode == 0
        return (time.perf_counter() - began) / (PROCESSES * each) * 1000

    return measure


def _work(settings: Settings, number: int, each: int, at_once: int, barrier: object) -> None:
    """Claim and reserve in one transaction, and tell the end of the former requests in it, as a task does."""
    ledger = Ledger.of(settings)
    with ledger.caller(f"process {number}") as caller:
        requests = ledger.requests(caller, "c", RunRef("d", "r"), _BUDGET)
        barrier.wait()  # type: ignore[attr-defined]
        told: list[Told] = []
        for start in range(0, each, at_once):
            wanted = [
                Wanted(gen_id=f"v_{number}_{start + place}", request=_request(f"v_{number}_{start + place}"))
                for place in range(at_once)
            ]
            answers = requests.exchange(told, wanted)
            assert all(answer.room is Room.YES for answer in answers)
            told = [
                Told(
                    settlement=Settlement(name=one.request.name, end=CallEnd.REPLY, cost_usd=0.01),
                    released=one.gen_id,
                )
                for one in wanted
                if one.request
            ]
        requests.exchange(told)


def _request(gen_id: str) -> Request:
    return Request(name=new_token(), gen_id=gen_id, template_id="t", model_id="m", worst_usd=0.02)
