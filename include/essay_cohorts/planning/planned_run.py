"""The plan of one run as a few numbers and settings: the value that the tasks of a DAG pass to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from essay_cohorts.domain import Action, ParserRef, RunRef
from essay_cohorts.judging.prices import Estimate
from essay_cohorts.rubric import Rubric, rubric_of

_BUDGET = ("max_llm_calls", "max_cost_usd")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRun:
    """The decisions of planning, for the tasks that run after planning.

    - `run_key` names the folder of the run's own plan.csv.
    - `planned` counts the cohort's evaluations. `reuse`, `parse`, `call` and `unscored` count them by action; their
      sum is `planned`.
    - `edited` counts the evaluations that were made with other inputs than today's.
    - `joined` and `left` count the members that were added and removed since the former membership.
    - `former_stops` are stops that an earlier run of the same name left behind; this run ignores them.
    - `parsers` maps a template to the parser that planning checked.
    - `models` are the ids of the judges; None means all judges.
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

    def rubric_of(self, template_id: str) -> Rubric:
        """Return the rubric by which a template's replies are read in this run."""
        return rubric_of(self.parsers[template_id].version)

    def count(self, action: Action) -> int:
        """Return the number of evaluations with this action."""
        number: int = getattr(self, action.value)
        return number

    def to_xcom(self) -> dict[str, Any]:
        """Return the JSON form that XCom and run.json carry."""
        record: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _BUDGET:
                record.setdefault("budget", {})[field.name] = value
            else:
                record[field.name] = value
        return record | {
            "former_stops": list(self.former_stops),
            "parsers": {template_id: list(parser) for template_id, parser in self.parsers.items()},
            "models": None if self.models is None else list(self.models),
            "estimate": asdict(self.estimate),
        }

    @classmethod
    def from_xcom(cls, record: Mapping[str, Any]) -> Self:
        """Make a PlannedRun from the JSON form of `to_xcom`. Keys that this version does not know are ignored."""
        known = {field.name for field in fields(cls)}
        given = {name: value for name, value in {**record, **record["budget"]}.items() if name in known}
        return cls(
            **given
            | {
                "former_stops": tuple(record["former_stops"]),
                "parsers": {template_id: ParserRef(*parser) for template_id, parser in record["parsers"].items()},
                "models": tuple(record["models"]) if record.get("models") is not None else None,
                "estimate": Estimate(**record["estimate"]),
            }
        )
