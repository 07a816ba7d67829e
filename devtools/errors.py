"""The errors around a private Airflow; each message is a sentence for the person who started it."""


class LocalAirflowError(Exception):
    """The base of all errors of this package."""


class HomeInUseError(LocalAirflowError):
    """Another live Airflow uses the same home folder."""


class StartError(LocalAirflowError):
    """A process did not start, or it ended while it was needed; the message names its log file."""


class PortError(LocalAirflowError):
    """A server cannot listen on the port that a person named."""


class DataRootError(LocalAirflowError):
    """The data root does not fit the judge: it does not accept made-up scores."""


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
    """A DagRun did not end in time; the message says the states of the run and its tasks."""
