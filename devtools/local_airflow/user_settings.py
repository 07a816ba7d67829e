"""The user's settings for a live Airflow: connections and the data root, from the environment or the file .env."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dotenv import dotenv_values

from devtools.errors import LocalAirflowError

LLM_VARIABLE = "AIRFLOW_CONN_LLM_DEFAULT"
DATA_ROOT_VARIABLE = "DD_DATA_ROOT"
ENV_FILE = ".env"
HOW_TO_SET_LLM = (
    f"{LLM_VARIABLE} is not set, so nothing can be judged. Write it into {ENV_FILE} (.env.example shows how):\n"
    f'    {LLM_VARIABLE}=\'{{"conn_type": "openai", "host": "https://api.example.com/v1", "password": "<API key>"}}\''
)
HOW_TO_PRACTISE = "To practise without a key: make up JUDGE=offline"
_CONNECTIONS = "AIRFLOW_CONN_"
_PASSED_ON = (_CONNECTIONS, "DD_")


@dataclass(frozen=True, kw_only=True, slots=True)
class UserSettings:
    """The user's settings: `environment` is passed to Airflow's processes, `llm_source` says where the LLM is set."""

    environment: dict[str, str]
    data_root: Path
    llm_source: str | None

    def with_offline_judge(self, connection: str, url: str) -> "UserSettings":
        """Return the settings with `connection`, to the judge at `url`, as llm_default and no other Connection.

        Other Connections may lead to servers that cost money, which nobody who asked for the offline judge expects.
        """
        kept = {name: value for name, value in self.environment.items() if not name.startswith(_CONNECTIONS)}
        source = f"the offline judge at {url}, which is not a model: its scores are made up"
        return replace(self, environment=kept | {LLM_VARIABLE: connection}, llm_source=source)

    @property
    def has_connection(self) -> bool:
        """Whether a Connection is set; planning checks whether it is one that the judges need."""
        return any(name.startswith(_CONNECTIONS) for name in self.environment)

    @property
    def names_data_root(self) -> bool:
        """Whether the user named the data root; otherwise it is the sample."""
        return DATA_ROOT_VARIABLE in self.environment


def read_user_settings(project: Path, caller: Mapping[str, str]) -> UserSettings:
    """Return the connections and settings to pass on; the environment takes precedence over the file.

    Raises:
        LocalAirflowError: a line of the file is not `NAME=value`.
    """
    from_file, from_caller = _wanted(read_env_file(project / ENV_FILE)), _wanted(caller)
    environment = from_file | from_caller
    source = "the environment" if LLM_VARIABLE in from_caller else ENV_FILE
    data_root = project / "data"
    if DATA_ROOT_VARIABLE in environment:
        data_root = (project / Path(environment[DATA_ROOT_VARIABLE]).expanduser()).resolve()
        environment[DATA_ROOT_VARIABLE] = str(data_root)
    return UserSettings(
        environment=environment,
        data_root=data_root,
        llm_source=source if LLM_VARIABLE in environment else None,
    )


def read_env_file(path: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of a .env file; a missing file counts as empty."""
    # Without interpolation a `$` in an API key keeps its meaning.
    values = dotenv_values(path, interpolate=False, encoding="utf-8-sig") if path.is_file() else {}
    if unset := [name for name, value in values.items() if value is None]:
        msg = f"{path}: the line {unset[0]!r} is not NAME=value."
        raise LocalAirflowError(msg)
    return {name: value for name, value in values.items() if value is not None}


def _wanted(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name.startswith(_PASSED_ON) and value.strip()}
