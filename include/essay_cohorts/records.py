"""The JSON records of an evaluation as typed values: its metadata, its reply, its verdict, its failure.

A record is a view of a JSON object that this program or another one wrote. The properties below read its fields and
define the result for an odd or missing value. The whole object stays in `fields`, so that a record that is written
again loses nothing. An empty object is the record of a file that is missing or damaged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from essay_cohorts.calls import DEFERRED, TRUNCATED
from essay_cohorts.domain import HUMAN, Cell, CriterionScore, ParserRef, RunRef, TaskRef, one_form
from essay_cohorts.encoding import storable
from essay_cohorts.provenance import ModelVersion, Provenance, says_made_up
from essay_cohorts.rubric import Rubric, Scale, rubric_of

# The settings of a request that are compared between replies, together with the prompt.
_SETTINGS = ("model", "temperature", "max_tokens", "request")
# A higher amount of money is an error of the record.
HIGHEST_USD = 1e12


@dataclass(frozen=True, slots=True)
class EvaluationMetadata:
    """An evaluation's metadata.json: its cell, its replicate and the cohort that it was made for."""

    fields: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields)

    @property
    def cell(self) -> Cell | None:
        """The cell of the evaluation; None if a part is missing."""
        return cell_of(self.fields)

    @property
    def replicate(self) -> int | None:
        """The replicate: 1 if it is missing (an older store), None if it is not a whole number from 1 upward."""
        return replicate_of(self.fields)

    @property
    def origin_cohort_id(self) -> str:
        """The cohort that the evaluation was made for; "" if the file does not name one."""
        return text_of(self.fields, "origin_cohort_id")


@dataclass(frozen=True, slots=True)
class ReplyRecord:
    """raw_metadata.json: the request for a reply, the model that answered, and the cost."""

    fields: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields)

    @property
    def response_model(self) -> str:
        """The model that the server reports."""
        return text_of(self.fields, "response_model")

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return text_of(self.fields, "model")

    @property
    def is_made_up(self) -> bool:
        """True if the offline judge answered."""
        return says_made_up(self.response_model)

    @property
    def finish_reason(self) -> str:
        """The reason why the reply ended. Older records say only whether it was truncated."""
        return TRUNCATED if self.fields.get("truncated") else text_of(self.fields, "finish_reason")

    @property
    def prompt_sha256(self) -> str:
        """The hash of the prompt that was sent; "" if the record does not hold one."""
        return text_of(self.fields, "prompt_sha256")

    @property
    def cost_usd(self) -> float | None:
        """The cost of the reply; None if it is not known."""
        return price_of(self.fields, "cost_usd")

    @property
    def call(self) -> str:
        """The name of the request in the journal of calls."""
        return text_of(self.fields, "call")

    @property
    def run(self) -> RunRef:
        """The DagRun that paid for the reply; empty texts if the record does not name one."""
        return run_of(self.fields)

    @property
    def task(self) -> TaskRef | None:
        """The task that stored the reply; None if the record does not name one."""
        return task_of(self.fields)

    @property
    def version(self) -> ModelVersion:
        """The version of the model that answered."""
        return ModelVersion(self.response_model, text_of(self.fields, "system_fingerprint"))

    @property
    def provenance(self) -> Provenance:
        """The model that answered, the settings and the prompt's hash."""
        return provenance_of(self.fields)

    def has_settings(self, temperature: float | None, max_tokens: int | None, request: object) -> bool:
        """Return True unless the record holds another temperature, max_tokens or request."""
        wanted = {"temperature": temperature, "max_tokens": max_tokens, "request": request}
        # If a record has a temperature but no `request`, then no such options were sent.
        held = {"request": None, **self.fields} if "temperature" in self.fields else self.fields
        return all(held[name] == value for name, value in wanted.items() if name in held)


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """parsed_metadata.json: which parser read the reply, and whether it found a score."""

    fields: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields)

    @property
    def is_refusal(self) -> bool:
        """True if the parser found no score."""
        return self.fields.get("success") is False

    @property
    def parser(self) -> ParserRef:
        """The parser; empty texts if the record does not name one."""
        return ParserRef(text_of(self.fields, "parser_name"), text_of(self.fields, "parser_version"))

    @property
    def is_human(self) -> bool:
        """True if a person gave the score, so that there is no reply."""
        return self.parser.name == HUMAN

    @property
    def reason(self) -> str:
        """The reason why there is no score."""
        return text_of(self.fields, "reason")

    @property
    def rubric(self) -> Rubric:
        """The rubric that the reply was read by, which the parser's version names."""
        return rubric_of(self.parser.version)

    @property
    def score(self) -> float | None:
        """The recorded score; None if there is no score on the scale."""
        return _score(self.fields.get("score"), self.rubric.scale)

    @property
    def criteria(self) -> tuple[CriterionScore, ...]:
        """The scores of the criteria, in the order of the rubric; a criterion that is not recorded has none."""
        rubric, recorded = self.rubric, self.fields.get("criteria")
        held = recorded if isinstance(recorded, dict) else {}
        return tuple(_criterion(name, held.get(name), rubric.scale) for name in rubric.criteria)


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """failure.json: the reason why the last call for an evaluation brought no reply."""

    fields: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields)

    @property
    def is_deferred(self) -> bool:
        """True if no request was sent because the budget had no room for it."""
        return self.fields.get("kind") == DEFERRED

    @property
    def message(self) -> str:
        """The cause in words."""
        return text_of(self.fields, "message") or "its failure.json does not say why"

    @property
    def attempts(self) -> int:
        """The number of requests that were sent."""
        return count_of(self.fields, "attempts")

    @property
    def run(self) -> RunRef:
        """The DagRun that failed; empty texts if the record does not name one."""
        return run_of(self.fields)

    @property
    def task(self) -> TaskRef | None:
        """The task that failed; None if the record does not name one."""
        return task_of(self.fields)


def _score(value: object, scale: Scale) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if value in scale else None


def _criterion(name: str, record: object, scale: Scale) -> CriterionScore:
    fields = record if isinstance(record, dict) else {}
    return CriterionScore(name, _score(fields.get("score"), scale), text_of(fields, "reason"))


def cell_of(metadata: Mapping[str, Any]) -> Cell | None:
    """Return the cell that an evaluation's metadata names; None if a part is missing."""
    cell = Cell(
        text_of(metadata, "parent_gen_id"),
        one_form(text_of(metadata, "template_id") or text_of(metadata, "evaluation_template")),
        one_form(text_of(metadata, "llm_model_id")),
    )
    return cell if all(cell) else None


def replicate_of(metadata: Mapping[str, Any]) -> int | None:
    """Return the replicate: 1 if it is missing (an older store), None if it is not a whole number from 1 upward."""
    value = metadata.get("replicate", 1)
    if isinstance(value, str) and len(value) < 10 and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else None


def text_of(metadata: Mapping[str, Any], key: str) -> str:
    """Return a text field; "" if it is missing or not a text."""
    value = metadata.get(key)
    # JSON can hold a lone surrogate, which could not be written to plan.csv.
    return storable(value) if isinstance(value, str) else ""


def texts_of(metadata: Mapping[str, Any], key: str) -> list[str]:
    """Return the texts in a list, without other values; empty if the field is missing or not a list."""
    value = metadata.get(key)
    return [storable(each) for each in value if isinstance(each, str)] if isinstance(value, list) else []


def count_of(record: Mapping[str, Any], key: str) -> int:
    """Return a count; 0 if it is missing or not a positive whole number."""
    value = record.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def price_of(record: Mapping[str, Any], key: str) -> float | None:
    """Return an amount of money in USD; None if it is missing or not an amount."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # JSON can hold NaN, Infinity, and whole numbers that are too large for a float.
    return float(value) if 0 <= value < HIGHEST_USD else None


def run_of(record: Mapping[str, Any]) -> RunRef:
    """Return the DagRun that the record of a reply or a failure names; empty texts if it does not name one."""
    return RunRef(text_of(record, "dag_id"), text_of(record, "run_id"))


def provenance_of(record: Mapping[str, Any]) -> Provenance:
    """Return the provenance in the record of a reply."""
    known = ((name, record.get(name)) for name in _SETTINGS)
    settings = " ".join(
        f"{name}={storable(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)}"
        for name, value in known
        if value is not None
    )
    return Provenance(
        response_model=text_of(record, "response_model"),
        settings=settings,
        prompt_sha256=text_of(record, "prompt_sha256"),
        system_fingerprint=text_of(record, "system_fingerprint"),
    )


def task_of(record: Mapping[str, Any]) -> TaskRef | None:
    """Return the try of a task that a record names; None if it does not name one."""
    run, task_id = run_of(record), text_of(record, "task_id")
    if not (run.dag_id and run.run_id and task_id):
        return None
    index = record.get("map_index")
    return TaskRef(
        dag_id=run.dag_id,
        run_id=run.run_id,
        task_id=task_id,
        map_index=index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else -1,
        try_number=count_of(record, "try_number") or 1,
    )
