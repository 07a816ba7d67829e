"""Measure the promised speed of the package, with limits and alternatives: `make bench`.

Because a machine is noisy, the compared programs run in turn, and their ratio is the figure to quote. Writes
results.json and growth.svg into --output.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.call_path import measure_calls
from benchmarks.claims import measure_claims
from benchmarks.dag_runs import ALL, QUICK, measure_dag_runs
from benchmarks.figures import Figure, in_turn, table_of
from benchmarks.fresh_process import run_fresh
from benchmarks.growth_plot import draw, slopes
from benchmarks.pages import measure_pages
from benchmarks.planning import Growth, measure_planning
from benchmarks.rate_limit import Pace, ask_a_limited_server
from benchmarks.results import results, write_results
from benchmarks.score_statistics import measure_statistics
from benchmarks.summarising import measure_summary

HERE = Path(__file__).resolve().parent
# Names of figures are long, and a table that wraps them is hard to read.
_WIDTH = 190
# Planning comes last, because the disk stays busy for a while after a store of millions of files was removed.
PARTS = (
    "parse",
    "calls",
    "claims",
    "summary",
    "statistics",
    "dag-runs",
    "rate-limit",
    "pages",
    "planning",
)


class Report:
    """The figures that were measured so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.figures: list[Figure] = []
        self.growth: Growth = {}
        self.paces: list[Pace] = []

    def parse(self) -> None:
        """Measure a fresh process that imports the DAG file, compared with one that imports only `airflow.sdk`."""
        dag = "import sys; sys.path.insert(0, 'dags'); import evaluation_backfill"
        subjects = {
            "dag": lambda: run_fresh("-c", dag).wall_s,
            "import airflow.sdk": lambda: run_fresh("-c", "import airflow.sdk").wall_s,
        }
        seconds = in_turn(subjects, self.options.runs, "parse the DAG file")
        runs = seconds.pop("dag")
        self.figures.append(Figure(name="parse the DAG file", unit="s", runs=runs, others=seconds))

    def planning(self) -> None:
        """Measure planning over stores of growing size."""
        sizes = [1_000, 10_000]
        if not self.options.quick:
            sizes += [100_000] if self.options.skip_million else [100_000, 1_000_000]
        figures, self.growth = measure_planning(sizes, self.options.runs)
        self.figures += figures

    def summary(self) -> None:
        """Measure `summarise_cohort` of 10,000 scored evaluations (with --quick: 1,000)."""
        self.figures += measure_summary(1_000 if self.options.quick else 10_000, self.options.runs)

    def statistics(self) -> None:
        """Measure pivot and statistics of 10,000 evaluations (with --quick: 1,000)."""
        self.figures += measure_statistics(1_000 if self.options.quick else 10_000, self.options.runs)

    def calls(self) -> None:
        """Measure a slice's calls, compared with those of a bare script."""
        calls, latency_s = (200, 0.2) if self.options.quick else (1_000, 1.0)
        self.figures += measure_calls(calls, self.options.runs, latency_s)

    def claims(self) -> None:
        """Measure claims and requests of four processes in the ledger, in PostgreSQL and in SQLite."""
        self.figures += measure_claims(100 if self.options.quick else 500, self.options.runs)

    def dag_runs(self) -> None:
        """Measure DagRuns in a real Airflow."""
        quick = self.options.quick
        self.figures += measure_dag_runs(QUICK if quick else ALL, self.options.runs, defaults=not quick)

    def rate_limit(self) -> None:
        """Measure how well a run keeps to the rate that a server allows."""
        cases = [(100, 0.5, 16)] if self.options.quick else [(300, 0.0, 16), (300, 0.5, 16), (300, 0.5, 50)]
        tracked = track(cases, description="ask a server of 10 requests/s")
        self.paces = [ask_a_limited_server(*case) for case in tracked]

    def pages(self) -> None:
        """Measure the cohort pages in a browser."""
        cells, cohorts = (5_000, 50) if self.options.quick else (100_000, 500)
        self.figures += measure_pages(cells, cohorts, self.options.runs)

    def show(self, console: Console) -> None:
        """Print the tables."""
        console.print(table_of(self.figures))
        for name, slope in slopes(self.growth).items():
            console.print(f"plan, {name}: grows with the number of evaluations to the power of {slope:.2f}")
        if self.paces:
            console.print(_table_of_paces(self.paces))


def _table_of_paces(paces: list[Pace]) -> Table:
    table = Table(
        "calls", "latency s", "at once", "slices", "calls lost", "of the allowed rate", "answered 429", box=None
    )
    for pace in paces:
        figures = (str(pace.slices), str(pace.lost), f"{pace.used:.0%}", f"{pace.refused:.1%}")
        table.add_row(str(pace.calls), str(pace.latency_s), str(pace.max_concurrency), *figures)
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small stores, one run each, under 3 minutes")
    parser.add_argument("--runs", type=int, default=None, help="counted runs each (default: 3; with --quick: 1)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the parts to measure")
    parser.add_argument("--skip-million", action="store_true", help="leave out the largest store (13 GB on disk)")
    parser.add_argument(
        "--output", type=Path, help=f"folder of the results (default: {HERE.name}/; with --quick: none)"
    )
    options = parser.parse_args()
    options.runs = options.runs or (1 if options.quick else 3)
    options.output = options.output or (None if options.quick else HERE)
    return options


def main() -> None:
    """Measure, print and write the results."""
    options = _options()
    report, console = Report(options), Console(width=_WIDTH)
    for part in options.only:
        measure: Callable[[], None] = getattr(report, part.replace("-", "_"))
        measure()
    report.show(console)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        write_results(options.output / "results.json", results(report.figures, report.growth, report.paces))
        if report.growth:
            draw(report.growth, options.output / "growth.svg")
        console.print(f"Written: {options.output / 'results.json'}")


if __name__ == "__main__":
    main()
