"""The plan of one run in a few numbers and settings: the value that the tasks of a DAG hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from essay_cohorts.domain import Action, ParserRef, RunRef
from essay_cohorts.judging.prices import Estimate

_BUDGET = ("max_llm_calls", "max_cost_usd")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRun:
    """What planning decided, for the tasks behind it; `run_key` names the folder of the run's own plan.csv.

    `planned` counts the cohort's evaluations; `reuse`, `parse`, `call` and `unscored` are what the run does for them,
    and sum up to it. `edited` of them were made with other inputs than today's. `joined` and `left` compare the
    membership with the former one. `former_stops` are stops of an earlier run of the same name, which count for
    nothing. `parsers` are those that planning checked, by template. `models` are the judges; None: all of them.
    """

    cohort_id: str
    dag_id: str
    run_id: str
    run_key: str
    dry_run: bool
    planned: int
    reuse: int
    parse: int
    call: int
    unscored: int
    edited: int = 0
    joined: int = 0
    left: int = 0
    warnings: int = 0
    replicates: int
    max_concurrency: int
    batch_size: int | None
    retry_unscored: bool
    max_unscored: int
    max_llm_calls: int | None
    max_cost_usd: float | None
    former_stops: tuple[str, ...]
    parsers: Mapping[str, ParserRef]
    models: tuple[str, ...] | None
    estimate: Estimate

    @property
    def run(self) -> RunRef:
        """The DagRun that this plan was made for."""
        return RunRef(self.dag_id, self.run_id)

    def count(self, action: Action) -> int:
        """Return how many evaluations the run does this for."""
        number: int = getattr(self, action.value)
        return number

    def to_xcom(self) -> dict[str, Any]:
        """Return the JSON form that XCom and run.json carry."""
        told: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _BUDGET:
                told.setdefault("budget", {})[field.name] = value
            else:
                told[field.name] = value
        return told | {
            "former_stops": list(self.former_stops),
            "parsers": {template_id: list(parser) for template_id, parser in self.parsers.items()},
            "models": None if self.models is None else list(self.models),
            "estimate": asdict(self.estimate),
        }

    @classmethod
    def from_xcom(cls, told: Mapping[str, Any]) -> Self:
        """Return the value of such a form. A key that this version does not know is left out."""
        known = {field.name for field in fields(cls)}
        given = {name: value for name, value in {**told, **told["budget"]}.items() if name in known}
        return cls(
            **given
            | {
                "former_stops": tuple(told["former_stops"]),
                "parsers": {template_id: ParserRef(*parser) for template_id, parser in told["parsers"].items()},
                "models": tuple(told["models"]) if told.get("models") is not None else None,
                "estimate": Estimate(**told["estimate"]),
            }
        )
