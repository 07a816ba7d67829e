"""The settings of a distributed Airflow: those of deploy/cluster.env, and the addresses of its servers."""

from pathlib import Path

from devtools.local_airflow.user_settings import read_env_file

SETTINGS_FILE = Path(__file__).parents[2] / "deploy" / "cluster.env"
AIRFLOW_DATABASE, LEDGER_DATABASE = "airflow", "essay_ledger"


def shared_settings(workers: int) -> dict[str, str]:
    """Return the settings of deploy/cluster.env, with as many tasks at once as so many workers can run."""
    settings = read_env_file(SETTINGS_FILE)
    slots = int(settings["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    return settings | {"AIRFLOW__CORE__PARALLELISM": str(workers * slots)}


def addresses(*, metadata: str, results: str, broker: str, ledger: str) -> dict[str, str]:
    """Return the settings that say where the servers are; the arguments are URLs."""
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
        "AIRFLOW__CELERY__RESULT_BACKEND": results,
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "DD_LEDGER": ledger,
    }
