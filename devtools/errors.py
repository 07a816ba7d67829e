"""What can go wrong around a private Airflow, each as a sentence for the person who started it."""


class LocalAirflowError(Exception):
    """The base of everything that this package raises."""


class HomeInUseError(LocalAirflowError):
    """Another live Airflow works in the same home folder."""


class StartError(LocalAirflowError):
    """A process did not start, or ended while it was needed; the message names its log file."""


class DagImportError(LocalAirflowError):
    """A DAG file could not be imported; the message is the traceback that Airflow recorded."""


class ApiError(LocalAirflowError):
    """Airflow's REST API refused a request.

    `status` is the HTTP status, or None when there was no answer. `sentence` is what Airflow said.
    """

    def __init__(self, sentence: str, *, status: int | None = None, request: str = "") -> None:
        super().__init__(f"{request}: {sentence}" if request else sentence)
        self.sentence = sentence
        self.status = status


class WaitTimeoutError(LocalAirflowError):
    """A DagRun did not end within the time given; the message says where it stands."""
