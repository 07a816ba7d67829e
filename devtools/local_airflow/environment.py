"""The environment of a private Airflow: every setting is an environment variable, and none is inherited."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from devtools.local_airflow.keys import KEYS_FILE, PASSWORDS_FILE, USER, Keys
from devtools.supervision.environment import clean_environment
from devtools.supervision.ports import LOOPBACK


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The files of one private Airflow, all below `home` except the project's own folders."""

    home: Path
    project: Path

    @property
    def database(self) -> Path:
        """The SQLite file of the metadata database."""
        return self.home / "airflow.db"

    @property
    def logs(self) -> Path:
        """The folder of all logs."""
        return self.home / "logs"

    @property
    def keys(self) -> Path:
        """The file of the keys that all components share."""
        return self.home / KEYS_FILE

    @property
    def passwords(self) -> Path:
        """The file of the UI's users."""
        return self.home / PASSWORDS_FILE

    def log(self, component: str) -> Path:
        """Return the log file of a component's output."""
        return self.logs / f"{component}.log"


def airflow_environment(
    caller: Mapping[str, str],
    extra: Mapping[str, str],
    *,
    layout: Layout,
    keys: Keys,
    port: int,
    schedules: bool,
) -> dict[str, str]:
    """Return the whole environment of Airflow's processes; `extra` overrides all other settings."""
    sections = _core(layout, keys, port) | _files(layout) | _api(keys, port) | _loops(schedules)
    settings = {f"AIRFLOW__{section}": value for section, value in sections.items()}
    settings["AIRFLOW_HOME"] = str(layout.home)
    # Task processes fork after Objective-C libraries were loaded, which macOS forbids without this setting.
    if sys.platform == "darwin":
        settings["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"
    return clean_environment(caller, python_path=layout.project) | settings | dict(extra)


def _core(layout: Layout, keys: Keys, port: int) -> dict[str, str]:
    return {
        "CORE__DAGS_FOLDER": str(layout.project / "dags"),
        "CORE__PLUGINS_FOLDER": str(layout.project / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(max(8, 2 * (os.cpu_count() or 1))),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__DEFAULT_TIMEZONE": "utc",
        "CORE__FERNET_KEY": keys.fernet_key,
        "CORE__EXECUTION_API_SERVER_URL": f"http://{LOOPBACK}:{port}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(layout.passwords),
        # Without this a DAG edited within 30 s of its last parse keeps its old form after a restart.
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        # The default asks the name server, which may take seconds or never answer.
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    }


def _files(layout: Layout) -> dict[str, str]:
    return {
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{quote(str(layout.database))}",
        "DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(layout.home / "bundles"),
        "LOGGING__BASE_LOG_FOLDER": str(layout.logs / "tasks"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(layout.logs / "dag-files"),
        "LOGGING__COLORED_CONSOLE_LOG": "False",
        "LOGGING__REMOTE_LOGGING": "False",
    }


def _api(keys: Keys, port: int) -> dict[str, str]:
    return {
        "API__BASE_URL": f"http://{LOOPBACK}:{port}",
        "API__HOST": LOOPBACK,
        "API__PORT": str(port),
        "API__WORKERS": "1",
        "API__SECRET_KEY": keys.api_secret_key,
        "API__EXPOSE_CONFIG": "False",
        "API__MAXIMUM_PAGE_LIMIT": "1000",
        "API_AUTH__JWT_SECRET": keys.jwt_secret,
    }


def _loops(schedules: bool) -> dict[str, str]:
    """Return the intervals: short where a person waits, long where a loop would only use the processor."""
    return {
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "SCHEDULER__USE_JOB_SCHEDULE": str(schedules),
        "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        # A worker that misses the end of its task checks again only after this number of seconds (default: 5). With 1
        # a run of 40 short tasks takes 7 s instead of 20 s.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # How often a scheduler searches for tasks of a killed scheduler, whose last heartbeat is more than 30 s old.
        # A shorter limit than 30 s would make a scheduler that is delayed for a moment give up its own tasks.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
        "DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
    }
