"""The settings of a distributed Airflow: those of deploy/cluster.env, and the addresses of its servers."""

from pathlib import Path

from devtools.local_airflow.user_settings import read_env_file

SETTINGS_FILE = Path(__file__).parents[2] / "deploy" / "cluster.env"
AIRFLOW_DATABASE, LEDGER_DATABASE = "airflow", "essay_ledger"


def shared_settings(workers: int, cores: int) -> dict[str, str]:
    """Return the settings of deploy/cluster.env for so many workers that share the cores of one machine."""
    slots = max(1, cores // workers)
    return read_env_file(SETTINGS_FILE) | {
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(slots),
        "AIRFLOW__CORE__PARALLELISM": str(workers * slots),
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(workers * slots),
    }


def addresses(*, metadata: str, results: str, broker: str, ledger: str) -> dict[str, str]:
    """Return the settings that say where the servers are; the arguments are URLs."""
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
        "AIRFLOW__CELERY__RESULT_BACKEND": results,
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "DD_LEDGER": ledger,
    }
