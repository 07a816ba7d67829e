"""The user's connections and settings, from the environment or a .env file."""

from pathlib import Path

import pytest

from devtools.errors import LocalAirflowError
from devtools.local_airflow.user_settings import LLM_VARIABLE, read_env_file, read_user_settings


@pytest.mark.parametrize(
    ("line", "value"),
    [
        pytest.param('NAME={"host": "http://h/v1", "password": "a$b"}', '{"host": "http://h/v1", "password": "a$b"}'),
        pytest.param("""NAME='{"host": "h"}'""", '{"host": "h"}', id="in quotes"),
        pytest.param("export NAME=value", "value", id="as for a shell"),
        pytest.param("NAME = value ", "value", id="with blanks"),
        pytest.param("\ufeff# first\n\nNAME=value\r", "value", id="after a BOM, a comment and a blank line"),
    ],
)
def test_a_line_of_the_file(tmp_path: Path, line: str, value: str) -> None:
    """A value keeps its JSON and its dollar signs, and loses its quotes."""
    (tmp_path / ".env").write_text(line + "\n", encoding="utf-8")
    assert read_env_file(tmp_path / ".env") == {"NAME": value}


def test_a_line_without_a_value_is_named(tmp_path: Path) -> None:
    """A line without a value is an error that quotes the line."""
    (tmp_path / ".env").write_text("AIRFLOW_CONN_LLM_DEFAULT\n")
    with pytest.raises(LocalAirflowError, match="AIRFLOW_CONN_LLM_DEFAULT"):
        read_env_file(tmp_path / ".env")


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    """The environment takes precedence, and only connections and DD_ settings are passed on."""
    (tmp_path / ".env").write_text(f"{LLM_VARIABLE}=file\nDD_COHORT=c\nOPENAI_API_KEY=k\n")
    settings = read_user_settings(tmp_path, {LLM_VARIABLE: "caller", "HOME": "/root", "OPENAI_API_KEY": "k"})
    assert settings.environment == {LLM_VARIABLE: "caller", "DD_COHORT": "c"}
    assert settings.llm_source == "the environment"


def test_a_blank_connection_counts_as_missing(tmp_path: Path) -> None:
    """A variable with a blank value counts as not set."""
    assert read_user_settings(tmp_path, {LLM_VARIABLE: " "}).llm_source is None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param("DD_COHORT=c", False, id="none"),
        pytest.param(f"{LLM_VARIABLE}=x", True, id="the default one"),
        pytest.param("AIRFLOW_CONN_VLLM=x", True, id="another one"),
        pytest.param("AIRFLOW_CONN_VLLM=", False, id="a blank one"),
    ],
)
def test_the_judges_may_have_another_connection_than_the_default(tmp_path: Path, line: str, found: bool) -> None:
    """Any Connection is enough here, because planning checks which ones the judges need."""
    (tmp_path / ".env").write_text(f"{line}\n")
    assert read_user_settings(tmp_path, {}).has_connection is found


def test_a_relative_data_root_is_below_the_project(tmp_path: Path) -> None:
    """A relative data root is relative to the project folder."""
    (tmp_path / ".env").write_text("DD_DATA_ROOT=store\n")
    settings = read_user_settings(tmp_path, {})
    assert settings.data_root == tmp_path / "store"
    assert settings.environment["DD_DATA_ROOT"] == str(tmp_path / "store")
    assert settings.names_data_root


def test_without_a_data_root_it_is_the_sample(tmp_path: Path) -> None:
    """Without a data root the project's own sample is used."""
    settings = read_user_settings(tmp_path, {})
    assert (settings.data_root, settings.names_data_root) == (tmp_path / "data", False)
