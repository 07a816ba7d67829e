"""The environment of a private Airflow's processes."""

import os
from pathlib import Path

import pytest

from devtools.local_airflow.environment import Layout, airflow_environment
from devtools.local_airflow.keys import Keys
from devtools.supervision.environment import clean_environment

KEYS = Keys(fernet_key="the-fernet-key", api_secret_key="the-api-key", jwt_secret="the-jwt-secret")
LAYOUT = Layout(home=Path("/home/of airflow"), project=Path("/project"))


def environment(caller: dict[str, str] | None = None, extra: dict[str, str] | None = None) -> dict[str, str]:
    return airflow_environment(caller or {}, extra or {}, layout=LAYOUT, keys=KEYS, port=8123, schedules=False)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("AIRFLOW_HOME", id="another home"),
        pytest.param("AIRFLOW_CONFIG", id="another configuration file"),
        pytest.param("AIRFLOW__CORE__XCOM_BACKEND", id="a setting"),
        pytest.param("AIRFLOW_CONN_LLM_DEFAULT", id="a connection"),
        pytest.param("_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK", id="an internal switch"),
        pytest.param("OPENAI_API_KEY", id="a key of OpenAI"),
        pytest.param("OPENAI_BASE_URL", id="an address for the OpenAI client"),
        pytest.param("DD_DATA_ROOT", id="a data root"),
        pytest.param("DD_COHORT", id="a cohort"),
        pytest.param("OTEL_EXPORTER_OTLP_ENDPOINT", id="a place to send traces"),
        pytest.param("PYTHONSTARTUP", id="a start-up script"),
        pytest.param("DEV_MODE", id="Airflow's development mode"),
    ],
)
def test_the_caller_s_own_settings_do_not_leak_in(name: str) -> None:
    """A variable of the caller that would change the private Airflow is dropped."""
    found = environment({name: "the caller's", "LANG": "C"})
    assert found.get(name) != "the caller's"
    assert found["LANG"] == "C"


def test_explicit_variables_take_precedence() -> None:
    """The extra environment overrides both the dropped variables and the settings."""
    extra = {"AIRFLOW_CONN_LLM_DEFAULT": "{}", "AIRFLOW__CORE__PARALLELISM": "3"}
    assert environment({"AIRFLOW_CONN_LLM_DEFAULT": "other"}, extra).items() >= extra.items()


def test_every_path_is_below_the_home_or_the_project() -> None:
    """Logs, database and passwords are below the home; DAGs, plugins and imports are below the project."""
    found = environment()
    assert found["AIRFLOW_HOME"] == "/home/of airflow"
    assert found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "sqlite:////home/of%20airflow/airflow.db"
    assert found["AIRFLOW__CORE__DAGS_FOLDER"] == "/project/dags"
    assert found["AIRFLOW__CORE__PLUGINS_FOLDER"] == "/project/plugins"
    assert found["PYTHONPATH"] == "/project"
    paths = [value for name, value in found.items() if name.startswith("AIRFLOW__") and value.startswith("/")]
    assert all(Path(path).is_relative_to("/home/of airflow") or path.startswith("/project/") for path in paths)


def test_everything_listens_and_calls_on_the_loopback_address() -> None:
    """Host, web address and the tasks' API are all on 127.0.0.1, and no proxy is used for them."""
    found = environment({"NO_PROXY": "example.org"})
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8123"
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"
    assert found["NO_PROXY"] == found["no_proxy"] == "example.org,127.0.0.1,localhost"


def test_it_is_a_private_airflow_with_one_password() -> None:
    """Nobody is admin without the password, and the keys are those of the home."""
    found = environment()
    assert found["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"
    assert found["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "admin:admin"
    assert found["AIRFLOW__CORE__FERNET_KEY"] == "the-fernet-key"
    assert found["AIRFLOW__API__SECRET_KEY"] == "the-api-key"
    assert found["AIRFLOW__API_AUTH__JWT_SECRET"] == "the-jwt-secret"


def test_a_child_runs_in_utc_and_writes_plain_utf8() -> None:
    """Logs have times in UTC and no colours, whatever the caller's terminal is."""
    found = clean_environment({"FORCE_COLOR": "1", "TZ": "Asia/Tokyo"}, python_path=Path("/project"))
    assert (found["TZ"], found["NO_COLOR"], found["PYTHONUTF8"]) == ("UTC", "1", "1")
    assert "FORCE_COLOR" not in found


def test_the_programs_of_the_virtual_environment_come_first() -> None:
    """A task that calls `python` gets the Python that runs Airflow."""
    found = clean_environment({"PATH": "/usr/bin"}, python_path=Path("/project"))
    assert found["PATH"].split(os.pathsep)[-1] == "/usr/bin"
    assert len(found["PATH"].split(os.pathsep)) == 2
