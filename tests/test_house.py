"""What the files at the top promise of each other: pins, image, docs, sample data."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from include.cohorts import VERSION
from include.cohorts import __doc__ as layers
from include.cohorts.call_rules import CallRules
from include.cohorts.gens_data_layer import GensDataLayer
from include.cohorts.request import KEYS
from include.cohorts.verification import find_damage

PROJECT = Path(__file__).resolve().parents[1]


def _read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def _pins(name: str) -> dict[str, str]:
    lines = [line.split(";")[0].strip() for line in _read(name).splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def test_every_requirement_is_pinned() -> None:
    """Both lock files pin each package to one version, and agree where both name it."""
    run, dev = _pins("requirements.txt"), _pins("requirements-dev.txt")
    assert run["apache-airflow"] == "3.3.2"
    assert {name: run[name] for name in dev.keys() & run.keys()} == {
        name: dev[name] for name in dev.keys() & run.keys()
    }


@pytest.mark.parametrize("name", ["requirements.in", "requirements-dev.in", "requirements-fab.in"])
def test_what_is_asked_for_is_locked_and_in_the_changelog(name: str) -> None:
    """Each package that is asked for stands in the lock file beside it, and the changelog names it."""
    asked = [re.split(r"[=<>\[ ]", line)[0] for line in _read(name).splitlines() if re.match(r"[a-z]", line)]
    locked = _pins(name.replace(".in", ".txt"))
    changelog = _read("CHANGELOG.md")
    for package in asked:
        assert package in locked
        short = package.removeprefix("apache-airflow-providers-")
        assert short in changelog, f"CHANGELOG.md does not name {package}"


def test_the_image_is_of_the_pinned_airflow_and_copies_what_the_dags_need() -> None:
    """The Dockerfile's base, copied paths, variables and user agree with the project."""
    dockerfile = _read("Dockerfile")
    assert f"FROM apache/airflow:{_pins('requirements.txt')['apache-airflow']}-python3.11" in dockerfile
    home = re.search(r"WORKDIR (\S+)", dockerfile)
    assert home is not None
    for folder in ("dags", "include", "plugins"):
        assert f"COPY --chown=airflow:0 {folder} ./{folder}" in dockerfile
        assert (PROJECT / folder).is_dir()
    assert "pip install --no-cache-dir -r requirements.txt" in dockerfile
    assert f"PYTHONPATH={home.group(1)}" in dockerfile
    assert f"AIRFLOW__CORE__DAGS_FOLDER={home.group(1)}/dags" in dockerfile
    assert f"AIRFLOW__CORE__PLUGINS_FOLDER={home.group(1)}/plugins" in dockerfile
    assert "DD_DATA_ROOT=/data" in dockerfile
    assert dockerfile.strip().endswith("USER airflow")


def test_the_version_is_the_same_everywhere() -> None:
    """The package, pyproject.toml and the changelog name one version."""
    assert tomllib.loads(_read("pyproject.toml"))["project"]["version"] == VERSION
    assert f"## {VERSION}" in _read("CHANGELOG.md")


def test_the_map_of_the_layers_is_whole() -> None:
    """The package's docstring shows every module, and no other."""
    shown = set(re.findall(r"\w+\.py", layers or ""))
    present = {path.name for path in (PROJECT / "include" / "cohorts").glob("*.py")} - {"__init__.py"}
    assert shown == present


def test_the_docs_explain_every_setting() -> None:
    """Each conf key and each setting of the Connection's extra stands in the docs."""
    for key in KEYS:
        assert f"`{key}`" in _read("docs/selection.md")
    for key in CallRules.__dataclass_fields__:
        assert f"`{key}`" in _read("docs/operations.md")


def test_the_links_of_the_docs_lead_somewhere() -> None:
    """Each relative link in README, changelog and docs names a file of the project."""
    for page in [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_sample_data_is_sound_and_tracked() -> None:
    """`verify` finds no damage among the committed samples."""
    tracked = subprocess.run(
        ["git", "ls-files", "data/gens"], cwd=PROJECT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    damaged = {problem.place for problem in find_damage(GensDataLayer.from_root(PROJECT / "data"))}
    committed = {"/".join(name.split("/")[1:4]) for name in tracked}
    assert damaged & committed == set()


def test_importing_the_steps_needs_no_heavy_module() -> None:
    """What every task imports brings neither pandas nor the LLM client along; those who need them import them."""
    code = (
        "import include.cohorts.planning_step, include.cohorts.steps, sys; "
        "print([m for m in ('pandas', 'openai', 'tenacity') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        pytest.param("include.cohorts.__main__", ("pandas", "numpy", "scipy"), id="a command"),
        pytest.param("include.cohorts.summary", ("scipy",), id="the end of a run"),
    ],
)
def test_only_statistics_wait_for_scipy(module: str, spared: tuple[str, ...]) -> None:
    """No other command loads pandas or scipy, and no task of the DAG loads scipy."""
    code = f"import {module}, sys; print([m for m in {spared} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
