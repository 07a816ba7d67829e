"""compose.yaml, the image, the values for Kubernetes and `make cluster` agree about an Airflow on many machines."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from devtools.cluster.settings import SETTINGS_FILE, addresses, shared_settings
from devtools.local_airflow.user_settings import read_env_file
from tests.test_house import PROJECT, _pins

COMPOSE = yaml.safe_load((PROJECT / "compose.yaml").read_text("utf-8"))
VALUES = yaml.safe_load((PROJECT / "deploy/kubernetes/values.yaml").read_text("utf-8"))
SETTINGS = read_env_file(SETTINGS_FILE)
COMPONENTS = ("migrate", "api-server", "scheduler", "dag-processor", "triggerer", "worker")
# The keys of the official chart, as its page "Parameters reference" documents them for 1.19 to 1.22.
CHART_KEYS: dict[str, type | set[str]] = {
    "executor": {"CeleryExecutor", "KubernetesExecutor"},
    "airflowVersion": str,
    "defaultAirflowTag": str,
    "images": {"airflow"},
    "env": list,
    "extraEnvFrom": str,
    "volumes": list,
    "volumeMounts": list,
    "workers": {"replicas", "terminationGracePeriodSeconds"},
    "scheduler": {"replicas"},
    "triggerer": {"enabled"},
    "dagProcessor": {"enabled"},
    "logs": {"persistence"},
    "postgresql": {"enabled"},
    "data": {"metadataSecretName"},
    "redis": {"enabled"},
}


def variables(value: Any) -> set[str]:
    """Return the names of the variables that a part of compose.yaml takes from .env."""
    return set(re.findall(r"(?<!\$)\$\{(\w+)", yaml.safe_dump(value)))


def test_compose_starts_every_part_of_airflow() -> None:
    """All components, PostgreSQL and Redis start by default, and the offline judge only when asked for."""
    assert set(COMPOSE["services"]) == {*COMPONENTS, "postgres", "redis", "judge"}
    assert [name for name, service in COMPOSE["services"].items() if "profiles" in service] == ["judge"]


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_has_the_image_the_settings_and_the_data_root(name: str) -> None:
    """Each runs the image of the Dockerfile with the settings of `make cluster`, and sees the data root."""
    service = COMPOSE["services"][name]
    assert (service["build"], service["image"]) == (".", "essay-judgements")
    assert service["env_file"] == ["deploy/cluster.env", ".env"]
    assert any(volume.endswith(":/data") for volume in service["volumes"])
    assert service["environment"]["DD_DATA_ROOT"] == "/data"
    assert "logs:/opt/airflow/logs" in service["volumes"]


def test_each_server_says_when_it_is_healthy() -> None:
    """Every service that stays has a check, and what needs another one waits for it."""
    services = COMPOSE["services"]
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"migrate", "judge"}
    for service in services.values():
        for other, how in service.get("depends_on", {}).items():
            is_healthy = how["condition"] == "service_healthy"
            assert is_healthy == ("healthcheck" in services[other])


def test_compose_sets_the_addresses_that_the_cluster_sets() -> None:
    """The two databases, the broker and the ledger have the drivers of `make cluster`, and so have the results."""
    names = addresses(metadata="m", results="r", broker="b", ledger="l")
    given = COMPOSE["services"]["worker"]["environment"]
    assert set(names) <= set(given)
    assert given["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://")
    assert given["AIRFLOW__CELERY__RESULT_BACKEND"].startswith("db+postgresql+psycopg2://")
    assert given["DD_LEDGER"].startswith("postgresql+psycopg://")
    assert not set(SETTINGS) & set(given), "a setting of deploy/cluster.env would be overridden"


def test_every_secret_comes_from_env() -> None:
    """No password is written down, a missing one is an error, and .env.example names each variable."""
    text = (PROJECT / "compose.yaml").read_text("utf-8")
    needed = {name for name in variables(COMPOSE) if "${" + name + ":?set it in .env}" in text}
    assert variables(COMPOSE) - needed == {"PORT", "AIRFLOW_UID"}
    example = (PROJECT / ".env.example").read_text("utf-8")
    assert all(f"\n#{name}=" in example for name in needed)
    assert {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET"} <= needed


def test_only_this_machine_reaches_the_page() -> None:
    """No server but the page has a port outside, and that is on the loopback."""
    ports = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert ports == {"api-server": ["127.0.0.1:${PORT:-8080}:8080"]}


def test_kubernetes_has_the_same_settings() -> None:
    """The values set what deploy/cluster.env sets; the executor has a key of its own."""
    env = {each["name"]: each["value"] for each in VALUES["env"]}
    assert env | {"AIRFLOW__CORE__EXECUTOR": VALUES["executor"]} == SETTINGS | {"DD_DATA_ROOT": "/data"}
    assert VALUES["airflowVersion"] == VALUES["defaultAirflowTag"] == _pins("requirements.txt")["apache-airflow"]


def test_the_values_are_keys_of_the_chart() -> None:
    """A misspelt key would be ignored, or refused by the chart's schema."""
    assert set(VALUES) <= set(CHART_KEYS)
    for key, value in VALUES.items():
        allowed = CHART_KEYS[key]
        if isinstance(allowed, type):
            assert isinstance(value, allowed)
        else:
            assert (set(value) if isinstance(value, dict) else {value}) <= allowed


def test_as_many_tasks_run_at_once_as_the_workers_have_slots() -> None:
    """The file is for four workers of four cores; `make cluster` divides the cores of one machine."""
    slots = int(SETTINGS["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    assert int(SETTINGS["AIRFLOW__CORE__PARALLELISM"]) == VALUES["workers"]["replicas"] * slots
    assert SETTINGS["AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG"] == SETTINGS["AIRFLOW__CORE__PARALLELISM"]
    names = ("AIRFLOW__CELERY__WORKER_CONCURRENCY", "AIRFLOW__CORE__PARALLELISM")
    assert [shared_settings(4, cores=16)[name] for name in names] == ["4", "16"]
    assert [shared_settings(4, cores=2)[name] for name in names] == ["1", "4"]


def test_the_cluster_has_the_versions_of_one_machine() -> None:
    """The environment with Celery holds to every pin of requirements.txt, and to a Celery that the provider knows."""
    cluster = _pins("requirements-cluster.txt")
    assert {name: cluster.get(name) for name in _pins("requirements.txt")} == _pins("requirements.txt")
    assert tuple(map(int, cluster["celery"].split(".")[:2])) < (5, 7)
    assert {"apache-airflow-providers-celery", "apache-airflow-providers-postgres", "redis"} <= set(cluster)


def test_the_dashboard_shows_the_metrics_that_are_sent() -> None:
    """Every metric of ours in the dashboard is one that a slice sends, and each that it sends is explained."""
    sent = {"calls", "failed", "requests", "refused", "retried", "tokens", "cost_microusd", "in_flight"}
    board = json.loads((PROJECT / "deploy/grafana-dashboard.json").read_text("utf-8"))
    text = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    shown = set(re.findall(r"airflow_essay_cohorts_(\w+)", text))
    assert {name.removesuffix("_total") for name in shown} <= sent
    page = (PROJECT / "docs/several-machines.md").read_text("utf-8")
    assert all(f".{name}`" in page for name in sent)
