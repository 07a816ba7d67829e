"""The nouns of the domain: frozen values that every layer shares. See docs/glossary.md for the words."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from essay_cohorts.provenance import UNKNOWN, Provenance
from essay_cohorts.rubric import DEFAULT_RUBRIC, DEFAULT_SCALE, Rubric, Scale

ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
ID_RULE = "An id is 1 to 100 of the characters A-Z a-z 0-9 . _ - and starts with a letter or a digit."

# A person's score is an evaluation, too: its mode is HUMAN, and its "model" is the prefix and the rater's id.
HUMAN = "human"
HUMAN_PREFIX = f"{HUMAN}-"

_ID = re.compile(ID_PATTERN)


def is_id(text: object) -> bool:
    """Return True when `text` may become a path segment: see ID_RULE."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def one_form(name: str) -> str:
    """Return a judge's or template's id in composed form (NFC).

    An accent may be written in two ways that look the same.
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def is_human(model_id: str) -> bool:
    """Return True if a model's id names a person who rates essays; no judge may have such an id.

    The case does not matter, because gen_ids ignore it.
    """
    return model_id.lower().startswith(HUMAN_PREFIX)


def rater_of(model_id: str) -> str:
    """Return the id of the person whom a model's id names; "" for a judge's."""
    return model_id[len(HUMAN_PREFIX) :] if is_human(model_id) else ""


def person_or_judge(model_id: str) -> str:
    """Return a judge's id, or a person's id with a word that says so."""
    return f"{rater_of(model_id)} (person)" if is_human(model_id) else model_id


class Stage(StrEnum):
    """A generation's stage; an evaluation's parent is an essay, an essay's parent a draft."""

    DRAFT = "draft"
    ESSAY = "essay"
    EVALUATION = "evaluation"


class ChangedInputs(StrEnum):
    """What planning does with an evaluation that was made with another prompt or model than today's."""

    REFUSE = "refuse"
    KEEP = "keep"
    ASK_AGAIN = "ask_again"


class Action(StrEnum):
    """What this run does for a member."""

    REUSE = "reuse"
    PARSE = "parse"
    CALL = "call"
    UNSCORED = "unscored"


class Outcome(StrEnum):
    """What became of an evaluation by the end of the run, read from the store."""

    REUSED = "reused"
    SCORED = "scored"
    UNSCORED = "unscored"
    FAILED = "failed"
    IN_FLIGHT_ELSEWHERE = "in_flight_elsewhere"
    DEFERRED = "deferred"
    NOT_RUN = "not_run"

    @property
    def words(self) -> str:
        """The outcome as a person reads it."""
        return self.value.replace("_", " ")


class Progress(StrEnum):
    """How far an evaluation in the store has come."""

    PARSED = "parsed"
    REPLIED = "replied"
    NO_REPLY = "no_reply"


class Cell(NamedTuple):
    """One (essay, template, model); it should hold `replicates` evaluations."""

    essay_id: str
    template_id: str
    model_id: str


class ParserRef(NamedTuple):
    """A parser's name and version; a reply refused by one version may be accepted by the next."""

    name: str
    version: str


# The dag_id of what the command `cohorts run` did without Airflow.
COMMAND_LINE = "command_line"


class RunRef(NamedTuple):
    """Names one DagRun, or one run of the command `cohorts run`."""

    dag_id: str
    run_id: str

    @property
    def is_command(self) -> bool:
        """True for a run of the command line, of which Airflow knows nothing."""
        return self.dag_id == COMMAND_LINE


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRef:
    """Names one try of one task instance: enough to find its log."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    def __str__(self) -> str:
        return f"{self.dag_id} {self.run_id}, {self.task_id} {self.map_index}, try {self.try_number}"

    @property
    def run(self) -> RunRef:
        """The DagRun that this try belongs to."""
        return RunRef(self.dag_id, self.run_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """An evaluation template: the Jinja2 text of its prompt and the name of its replies' parser ("" = the default).

    `place` names the text's file in messages, `row_place` the line of the CSV. `reads` says whether reasoning that a
    server returns apart from an empty reply counts as the reply. `system` is the Jinja2 text of the system message
    ("" = none), `system_place` its file. `response_format` says whether the server is asked for JSON of a given form.
    """

    template_id: str
    text: str
    parser: str
    place: str
    row_place: str
    reads: Literal["reply", "reply_or_reasoning"] = "reply"
    system: str = ""
    system_place: str = ""
    rubric: Rubric = DEFAULT_RUBRIC
    response_format: Literal["text", "json_schema"] = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """A draft or an essay as its metadata tells."""

    gen_id: str
    parent_gen_id: str
    combo_id: str
    template_id: str
    llm_model_id: str
    replicate: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Essay:
    """A selected essay: what its metadata says, its text, and its draft when the store has it."""

    meta: Generation
    text: str
    draft: Generation | None

    @property
    def gen_id(self) -> str:
        """The essay's id."""
        return self.meta.gen_id


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredEvaluation:
    """An evaluation found in the store.

    `refused_by` is the parser that refused its reply and `refusal` why; `reply_run` is the DagRun that bought it.
    """

    gen_id: str
    cell: Cell
    replicate: int
    origin_cohort_id: str
    progress: Progress = Progress.NO_REPLY
    refused_by: ParserRef | None = None
    refusal: str = ""
    reply_run: RunRef | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One row of membership.csv; the fields are its columns, in order."""

    stage: Stage
    gen_id: str
    cohort_id: str
    parent_gen_id: str
    combo_id: str
    template_id: str
    llm_model_id: str
    replicate: int

    @property
    def cell(self) -> Cell:
        """The cell of an evaluation."""
        return Cell(self.parent_gen_id, self.template_id, self.llm_model_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRow:
    """A member, what the run does for it, and why in words."""

    member: Member
    action: Action
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A cohort's plan: rows in membership order; `minted` are the members that have no folder yet."""

    rows: tuple[PlanRow, ...]
    minted: tuple[Member, ...]
    joined: tuple[str, ...]
    left: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def evaluations(self) -> tuple[PlanRow, ...]:
        """The rows of stage evaluation."""
        return tuple(row for row in self.rows if row.member.stage is Stage.EVALUATION)


class CriterionScore(NamedTuple):
    """The score of one criterion of a rubric, or None with the reason why there is none."""

    criterion: str
    score: float | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A parser's judgement of a reply: a score on the template's scale, or None with the reason why there is none."""

    parser: ParserRef
    score: float | None
    reason: str
    criteria: tuple[CriterionScore, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRow:
    """One evaluation of a cohort at the end of a run: a row of scores.csv. `scale` is that of its template."""

    member: Member
    outcome: Outcome
    score: float | None
    reason: str
    origin_cohort_id: str
    cost_usd: float | None
    called: bool
    provenance: Provenance = UNKNOWN
    scale: Scale = DEFAULT_SCALE
    criteria: tuple[CriterionScore, ...] = ()
