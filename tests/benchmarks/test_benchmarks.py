"""The results of the benchmarks: medians, limits, plots and files; the benchmarks themselves measure the speed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import Figure, in_turn
from benchmarks.growth_plot import draw, slopes
from benchmarks.page_cohorts import CohortWriter
from benchmarks.planning import Growth
from benchmarks.results import merged, results, write_results
from benchmarks.stores import PER_ESSAY, Grid, Store, generate_store
from essay_cohorts.domain import Outcome
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.views.cohort_list import list_cohorts
from essay_cohorts.views.snapshot import read_snapshot

LINEAR: Growth = {size: {"no index": size / 1e5, "with an index": 0.5} for size in (1_000, 10_000, 100_000)}


def figure(**changes: Any) -> Figure:
    """Return three runs of a measured thing, with three runs of another thing to compare."""
    given: dict[str, Any] = {
        "name": "a plan",
        "unit": "s",
        "runs": [3.0, 1.0, 2.0],
        "others": {"a loop": [4.0, 4.0, 9.0]},
    }
    return Figure(**given | changes)


def files(root: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder, by path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("limit", "holds"),
    [
        pytest.param(None, None, id="nothing is promised"),
        pytest.param(2.0, True, id="at the limit"),
        pytest.param(1.99, False, id="beyond it"),
    ],
)
def test_the_median_is_compared_with_the_limit(limit: float | None, holds: bool | None) -> None:
    """The median decides, not the best run and not the worst."""
    assert figure(limit=limit).holds is holds


@pytest.mark.parametrize(
    ("other", "ratio"),
    [pytest.param([4.0, 4.0, 9.0], 0.5, id="half"), pytest.param([0.0, 0.0], None, id="of nothing")],
)
def test_the_ratio_is_one_of_medians(other: list[float], ratio: float | None) -> None:
    """The ratio divides the figure's median by the other's median."""
    assert figure(others={"a loop": other}).ratio("a loop") == ratio


def test_what_is_compared_takes_turns() -> None:
    """Each round runs one after the other, after a warm-up round that is not counted."""
    order: list[str] = []

    def noted(name: str) -> int:
        order.append(name)
        return len(order)

    runs = in_turn({"a": lambda: noted("a"), "b": lambda: noted("b")}, 2, "noted")
    assert order == ["a", "b"] * 3
    assert runs == {"a": [3, 5], "b": [4, 6]}


def test_a_store_is_the_same_each_time(tmp_path: Path) -> None:
    """The same arguments make the same bytes; the counts are the requested ones, in whole essays."""
    made = [generate_store(tmp_path / name, evaluations=2 * PER_ESSAY, fresh=3, whole=True) for name in ("a", "b")]
    left, right = (files(store.root) for store in made)
    assert left == right
    assert len([name for name in left if name.endswith("/raw.txt")]) == 2 * PER_ESSAY
    assert [len(made[0].judged), len(made[0].fresh)] == [2, 3]


@pytest.mark.parametrize(
    ("count", "essays"), [(2, ["e0", "e5"]), (3, ["e0", "e3", "e6"]), (99, [f"e{number}" for number in range(10)])]
)
def test_selected_essays_are_spread_over_the_store(count: int, essays: list[str]) -> None:
    """The selection takes essays from the whole store, not the first essays, which may be stored close together."""
    store = Store(root=Path(), judged=tuple(f"e{number}" for number in range(10)), fresh=())
    assert store.spread(count) == essays


def test_a_generated_cohort_reads_like_the_cohort_of_a_run(tmp_path: Path) -> None:
    """The pages are measured with realistic cohorts: known scores, and evaluations that were only seeded."""
    grid = Grid(templates=("novelty",), models=("judge-a", "judge-b"), replicates=3, scored=0.5)
    store = generate_store(tmp_path / "data", evaluations=60, grid=grid)
    CohortWriter.of(store, grid).write("listed", store.judged[:5])
    snapshot = read_snapshot(Settings(data_root=store.root), "listed")
    assert [len(store.judged), len(snapshot.rows), len(snapshot.cells)] == [10, 30, 10]
    assert set(snapshot.counts) == {Outcome.REUSED, Outcome.NOT_RUN}
    assert 0 < len(snapshot.rows) - snapshot.missing == snapshot.with_score
    assert len(CohortFolder(root=store.root, cohort_id="listed").known_scores()) == 30
    assert [each.includes_existing for each in list_cohorts(store.root)] == [True]


def test_growth_is_an_exponent() -> None:
    """The exponent is 1 for a time that doubles with the store and 0 for a constant; small stores are left out."""
    assert slopes(LINEAR) == {"no index": 1.0, "with an index": 0.0}
    assert slopes({1_000: {"no index": 1.0}, 10_000: {"no index": 2.0}}) == {}


def test_the_plot_shows_each_series_and_its_growth(tmp_path: Path) -> None:
    """The SVG has each series with its growth as text, and the same figures give the same file."""
    for name in ("a.svg", "b.svg"):
        draw(LINEAR, tmp_path / name)
    svg = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "no index (grows with n^1.00)" in svg
    assert "with an index (grows with n^0.00)" in svg
    assert svg == (tmp_path / "b.svg").read_text(encoding="utf-8")


def test_results_keep_what_was_not_measured_again(tmp_path: Path) -> None:
    """A benchmark that runs alone replaces its own figures and nothing else."""
    path = tmp_path / "results.json"
    write_results(path, results([figure(limit=2.0), figure(name="a summary")], LINEAR, []))
    write_results(path, results([figure(runs=[9.0])], {}, []))
    written: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert {name: each["median"] for name, each in written["figures"].items()} == {"a plan": 9.0, "a summary": 2.0}
    assert written["growth"]["100000"] == {"no index": 1.0, "with an index": 0.5}
    assert written["growth_exponents"] == {"no index": 1.0, "with an index": 0.0}


def test_the_first_results_need_no_former_results() -> None:
    """Without former results the merged results are the new results."""
    now = results([figure()], {}, [])
    assert merged({}, now) == now


def test_the_results_in_the_repository_name_their_limits() -> None:
    """results.json says for each limit whether it is kept."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "results.json"
    figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
    promised = {name: each for name, each in figures.items() if each["limit"] is not None}
    assert promised
    for name, each in promised.items():
        assert each["holds"] == (each["median"] <= each["limit"]), name
