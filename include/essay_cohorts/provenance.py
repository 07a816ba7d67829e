"""Who answered an evaluation, and what was sent: it tells which scores are real and which were made alike."""

from __future__ import annotations

from typing import NamedTuple

# Its presence in a data root allows made-up scores, as the sample has them.
OFFLINE_OK = "1_raw/OFFLINE_OK"
# How the offline judge names its model. Version 0.1.0 stored the name without its first word.
_MADE_UP = ("offline-judge", "***-judge-not-a-model")

MADE_UP_BANNER = f"MADE-UP SCORES COUNT HERE: {OFFLINE_OK} allows the offline judge, which is not a model."
MADE_UP_REASON = "the offline judge made its score up; no real judge was asked"


class Provenance(NamedTuple):
    """Where an evaluation's score comes from; "" where nothing was recorded.

    `response_model` is what the server called its model. `settings` is what was sent beside the prompt, as text.
    `prompt_sha256` is the hash of the prompt with its system message.
    """

    response_model: str = ""
    settings: str = ""
    prompt_sha256: str = ""

    @property
    def is_made_up(self) -> bool:
        """True when no model answered but the offline judge."""
        return says_made_up(self.response_model)


UNKNOWN = Provenance()


def says_made_up(response_model: str) -> bool:
    """Return True for the name of the offline judge's model."""
    return response_model.strip().lower().startswith(_MADE_UP)


def made_up_warning(count: int) -> str:
    """Return what a plan and `verify` say about made-up evaluations in a data root whose scores are to be real."""
    evaluations, are = ("evaluation", "is") if count == 1 else ("evaluations", "are")
    return (
        f"{count} {evaluations} of the offline judge {are} made up, not reused and not counted: there is no "
        f"{OFFLINE_OK}. Next: cohorts set-aside"
    )
