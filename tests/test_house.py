"""Checks that the project's files agree with each other: pinned versions, image, docs and sample data."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from essay_cohorts import VERSION
from essay_cohorts import __doc__ as package_map
from essay_cohorts.llm_client.client_settings import CallRules
from essay_cohorts.maintenance.verify import find_damage
from essay_cohorts.planning.request import KEYS
from essay_cohorts.store.gens_data_layer import GensDataLayer

PROJECT = Path(__file__).resolve().parents[1]


def _read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def _pins(name: str) -> dict[str, str]:
    lines = [line.split(";")[0].strip() for line in _read(name).splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def test_every_requirement_is_pinned() -> None:
    """Both lock files pin each package to one version, and agree on the packages that both name."""
    run, dev = _pins("requirements.txt"), _pins("requirements-dev.txt")
    assert run["apache-airflow"] == "3.3.2"
    assert {name: run[name] for name in dev.keys() & run.keys()} == {
        name: dev[name] for name in dev.keys() & run.keys()
    }


def _of_the_package() -> list[str]:
    project = tomllib.loads(_read("pyproject.toml"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["devtools"]]


@pytest.mark.parametrize(
    "name",
    [
        *("requirements.in", "requirements-dev.in", "requirements-fab.in", "requirements-litellm.in"),
        *("requirements-inspect.in", "requirements-cluster.in", "pyproject.toml"),
    ],
)
def test_what_is_asked_for_is_locked_and_in_the_changelog(name: str) -> None:
    """Each required package is in the lock file, and the changelog names it."""
    lines = _of_the_package() if name == "pyproject.toml" else _read(name).splitlines()
    asked = [re.split(r"[=<>\[ ]", line)[0] for line in lines if re.match(r"[a-z]", line)]
    locked = _pins("requirements.txt" if name == "pyproject.toml" else name.replace(".in", ".txt"))
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
    for folder in ("dags", "include"):
        assert f"COPY --chown=airflow:0 {folder} ./{folder}" in dockerfile
        assert (PROJECT / folder).is_dir()
    assert "devtools" in _read(".dockerignore").splitlines()
    assert "pip install --no-cache-dir -r requirements-cluster.txt" in dockerfile
    assert "pip install --no-cache-dir --no-deps ." in dockerfile
    assert f"AIRFLOW__CORE__DAGS_FOLDER={home.group(1)}/dags" in dockerfile
    assert "DD_DATA_ROOT=/data" in dockerfile
    assert dockerfile.strip().endswith("USER airflow")


def test_the_version_is_the_same_everywhere() -> None:
    """The package, the installed distribution and the changelog name the same version."""
    assert version("essay-judgements") == VERSION
    assert f"## {VERSION}" in _read("CHANGELOG.md")


def test_the_map_of_the_packages_is_whole() -> None:
    """The docstring of `essay_cohorts` lists exactly its packages, each with the package's own docstring."""
    shown = dict(re.findall(r"^    (\w+) +(.+)$", package_map or "", re.MULTILINE))
    packages = (path.parent for path in (PROJECT / "include" / "essay_cohorts").glob("*/__init__.py"))
    assert shown == {path.name: import_module(f"essay_cohorts.{path.name}").__doc__ for path in packages}


def test_no_folder_is_crowded() -> None:
    """A folder has at most 14 Python files, so that a newcomer finds a file quickly."""
    folders = [PROJECT / name for name in ("include", "dags", "plugins", "devtools")]
    files = [path.parent for folder in folders for path in folder.rglob("*.py")]
    assert {str(folder): count for folder, count in Counter(files).items() if count > 14} == {}


def test_no_module_and_no_function_is_long() -> None:
    """A module has at most 300 lines, and a function with its decorators at most 40."""
    files = [path for name in ("include", "dags", "plugins", "devtools") for path in (PROJECT / name).rglob("*.py")]
    texts = {str(path.relative_to(PROJECT)): path.read_text("utf-8") for path in files}
    assert {name for name, text in texts.items() if text.count("\n") > 300} == set()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {
        f"{name}: {node.name}": (node.end_lineno or 0) - min(each.lineno for each in (node, *node.decorator_list)) + 1
        for name, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, functions)
    }
    assert {name: lines for name, lines in found.items() if lines > 40} == {}


def test_the_docs_explain_every_setting() -> None:
    """The docs name each conf key and each setting of the Connection's extra."""
    for key in KEYS:
        assert f"`{key}`" in _read("docs/selection.md")
    for key in CallRules.__dataclass_fields__:
        assert f"`{key}`" in _read("docs/operations.md")


def test_the_links_of_the_docs_lead_somewhere() -> None:
    """Each relative link in the README, the changelog and the docs leads to a file of the project."""
    for page in [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_files_that_docs_name_are_there() -> None:
    """Each path of a test, a tool or a module that a page names exists in the project."""
    for page in [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]:
        named = re.findall(
            r"`((?:tests|devtools|include|benchmarks|plugins|dags)/[\w./-]*)`", page.read_text("utf-8")
        )
        assert [path for path in named if not (PROJECT / path).exists()] == [], page.name


def test_the_sample_data_is_sound_and_tracked() -> None:
    """`verify` finds no damage among the committed samples."""
    tracked = subprocess.run(
        ["git", "ls-files", "data/gens"], cwd=PROJECT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    damaged = {problem.place for problem in find_damage(GensDataLayer.from_root(PROJECT / "data"))}
    committed = {"/".join(name.split("/")[1:4]) for name in tracked}
    assert damaged & committed == set()


def test_importing_the_steps_needs_no_heavy_module() -> None:
    """The modules that every task imports load neither pandas nor the LLM client."""
    code = (
        "import essay_cohorts.backfill.plan_cohort, essay_cohorts.backfill.slice_tasks, sys; "
        "print([m for m in ('pandas', 'openai', 'tenacity') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("loading", "not_loaded"),
    [
        pytest.param(
            "import essay_cohorts.cli.app as app; app.app_of()", ("pandas", "numpy", "scipy"), id="a command"
        ),
        pytest.param("import essay_cohorts.backfill.summarise", ("scipy",), id="the end of a run"),
    ],
)
def test_only_statistics_wait_for_scipy(loading: str, not_loaded: tuple[str, ...]) -> None:
    """No other command loads pandas or scipy, and no task of the DAG loads scipy."""
    code = f"import sys; {loading}; print([m for m in {not_loaded} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
