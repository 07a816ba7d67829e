"""Provenance: the model that answered and the request. It shows which scores are real, and which are comparable."""

from __future__ import annotations

from typing import NamedTuple

# If this file is in a data root, made-up scores such as those of the sample data are allowed.
OFFLINE_OK = "1_raw/OFFLINE_OK"
# The model names of the offline judge. Version 0.1.0 stored the name without its first word.
_MADE_UP = ("offline-judge", "***-judge-not-a-model")

MADE_UP_BANNER = f"MADE-UP SCORES COUNT HERE: {OFFLINE_OK} allows the offline judge, which is not a model."
MADE_UP_REASON = "the offline judge made its score up; no real judge was asked"


class ModelVersion(NamedTuple):
    """The version of a model that a server reports: its name for the model, and the state of its machinery."""

    response_model: str = ""
    system_fingerprint: str = ""


class Provenance(NamedTuple):
    """The origin of an evaluation's score; a field is "" if it was not recorded.

    `response_model` is the server's name for its model. `settings` are the settings of the request, as text.
    `prompt_sha256` is the hash of the prompt with its system message. `system_fingerprint` is the server's name for
    the state of its machinery, which few servers send.
    """

    response_model: str = ""
    settings: str = ""
    prompt_sha256: str = ""
    system_fingerprint: str = ""

    @property
    def is_made_up(self) -> bool:
        """True if the offline judge answered instead of a model."""
        return says_made_up(self.response_model)


UNKNOWN = Provenance()
UNKNOWN_VERSION = ModelVersion()


def says_made_up(response_model: str) -> bool:
    """Return True if a model's name is that of the offline judge."""
    return response_model.strip().lower().startswith(_MADE_UP)


def made_up_warning(count: int) -> str:
    """Return the warning of a plan and of `verify` about made-up evaluations that the data root does not allow."""
    evaluations, are = ("evaluation", "is") if count == 1 else ("evaluations", "are")
    return (
        f"{count} {evaluations} of the offline judge {are} made up, not reused and not counted: there is no "
        f"{OFFLINE_OK}. Next: cohorts set-aside"
    )
