"""The command `drift`: has the model behind a judge changed since its former replies?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import pendulum
import typer

from essay_cohorts.amounts import counted
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.cli.local_calls import (
    MaxCostUsd,
    MaxLlmCalls,
    Yes,
    caps,
    chosen_model,
    chosen_template,
    judge_cohort,
)
from essay_cohorts.cli.options import SCORES, AsJson, DataRoot, print_table, settings_of, show_log, typed_command
from essay_cohorts.cli.runs import checked_id
from essay_cohorts.cli.scores.tables import Notes, number, table_of
from essay_cohorts.domain import Member, ScoreRow, Template, one_form
from essay_cohorts.errors import BadInput, Problem, raise_if_any
from essay_cohorts.ids import drift_cohort_id
from essay_cohorts.provenance import ModelVersion, Provenance
from essay_cohorts.selecting.drift_sample import FormerScores, choose_sample
from essay_cohorts.selecting.former_scores import former_scores
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder

if TYPE_CHECKING:
    from essay_cohorts.statistics.drift import Drift

drift_app = typer.Typer()


@drift_app.command(rich_help_panel=SCORES)
def drift(
    model: Annotated[str, typer.Option(help="The judge's id.")],
    sample: Annotated[int | None, typer.Option(min=1, help="The number of essays to judge again.")] = None,
    template: Annotated[str | None, typer.Option(help="A template's id; default: all that the judge scored.")] = None,
    cohort: Annotated[
        str | None, typer.Option(help="The cohort with the former scores; default: the whole store.")
    ] = None,
    again: Annotated[
        str | None, typer.Option(metavar="COHORT", help="Compare a former drift cohort again, without a call.")
    ] = None,
    max_llm_calls: MaxLlmCalls = None,
    max_cost_usd: MaxCostUsd = None,
    yes: Yes = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Judge a sample of essays again and compare with the former scores; exit 1 when an essay has no new score."""
    if (sample is None) == (again is None):
        finding = "both --sample and --again are given." if again else "neither --sample nor --again is given."
        next_step = "Give --sample 20 to judge 20 essays again, or --again with the id of a former drift cohort."
        raise BadInput([Problem(place="drift", finding=finding, next_step=next_step)])
    show_log(as_json=as_json)
    settings, day = settings_of(data_root), pendulum.now("UTC").to_date_string()
    drift_cohort = checked_id(again, "--again") if again else drift_cohort_id(one_form(model), template, day)
    check = _Check.read(settings, one_form(model), template, cohort and checked_id(cohort), drift_cohort)
    complete = True
    if sample is not None:
        conf = check.conf(settings, sample) | caps(max_llm_calls, max_cost_usd)
        if not as_json:
            typer.echo(check.announcement(conf))
        summary = judge_cohort(settings, conf, yes=yes, quiet=as_json)
        complete = summary.complete
        if not complete:
            typer.echo(summary.message, err=True)
    _report(settings, check, as_json=as_json)
    raise typer.Exit(0 if complete else 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Check:
    """What is compared: the former scores of a judge, and the cohort with its new ones."""

    model_id: str
    templates: tuple[str, ...]
    drift_cohort: str
    former: FormerScores

    @classmethod
    def read(cls, settings: Settings, model_id: str, template: str | None, source: str | None, new: str) -> _Check:
        """Read the former scores; BadInput when none of them can be compared, or no essay has all templates."""
        root = settings.data_root
        model, templates = chosen_model(root, model_id), _templates(settings, template)
        former = former_scores(settings, model, templates, source, new)
        values = former.essays()
        if not values:
            finding = f"no score of {model_id} can be compared with a new one. {_left_out(former.left_out)}"
            next_step = (
                f"Judge essays with today's templates and settings first, then run {typed_command()} aggregate, "
                "or name a --cohort."
            )
            raise BadInput([Problem(place="--model", finding=finding.strip(), next_step=next_step)])
        if not set.intersection(*map(set, values.values())):
            counts = ", ".join(f"{name} ({counted(len(essays), 'essay')})" for name, essays in values.items())
            finding = f"no essay has scores of {model_id} under each of {counts}."
            raise BadInput([Problem(place="--template", finding=finding, next_step="Name one of them.")])
        return cls(model_id=model_id, templates=tuple(values), drift_cohort=new, former=former)

    def conf(self, settings: Settings, sample: int) -> dict[str, Any]:
        """Return the conf that judges the sample again; the essays of today's cohort stay in it."""
        members = CohortFolder(root=settings.data_root, cohort_id=self.drift_cohort).members()
        raise_if_any([*members.problems, *self._taken(members.value)])
        chosen = dict.fromkeys(member.gen_id for member in members.value if member.stage == "essay")
        return {
            "cohort_id": self.drift_cohort,
            "essay_ids": list(choose_sample(self.former.essays(), sample, chosen)),
            "templates": list(self.templates),
            "models": [self.model_id],
            "replicates": 1,
            "include_existing_evaluations": False,
        }

    def _taken(self, members: Iterable[Member]) -> Iterator[Problem]:
        """Yield a problem if the cohort of this name is another judge's, whose id ends like a template's."""
        others = {member.llm_model_id for member in members if member.stage == "evaluation"} - {self.model_id}
        if others:
            finding = f"{self.drift_cohort} is the cohort of {', '.join(sorted(others))} already."
            next_step = "Give --template, or leave it out, so that the cohort gets another name."
            yield Problem(place="drift", finding=finding, next_step=next_step)

    def announcement(self, conf: Mapping[str, Any]) -> str:
        """Return what is going to be judged, and which former scores do not count."""
        known = len(set.intersection(*map(set, self.former.essays().values())))
        judged = f"{self.model_id} judges {len(conf['essay_ids'])} of {counted(known, 'essay')} again"
        reason = "Existing scores are not reused, because the new ones are compared with them."
        left_out = _left_out(self.former.left_out)
        return "\n".join(filter(None, [f"{judged}, as cohort {self.drift_cohort}. {reason}", left_out]))

    def new_rows(self, settings: Settings) -> list[ScoreRow]:
        """Return the rows of the drift cohort; one that was not made like a former score counts as without a score.

        BadInput when the cohort does not exist, or holds nothing of the judge.
        """
        from essay_cohorts.views.snapshot import read_snapshot

        rows = [
            row
            for row in read_snapshot(settings, self.drift_cohort).rows
            if row.member.llm_model_id == self.model_id and row.member.template_id in self.templates
        ]
        if not rows:
            finding = f"{self.drift_cohort} has no evaluation of {self.model_id} under {', '.join(self.templates)}."
            raise BadInput([Problem(place="--again", finding=finding, next_step="Name its judge and its template.")])
        alike = {(each.cell, _request(each.provenance)) for each in self.former.comparable}
        return [
            row if (row.member.cell, _request(row.provenance)) in alike else replace(row, score=None) for row in rows
        ]


def _templates(settings: Settings, template: str | None) -> tuple[Template, ...]:
    if template is not None:
        return (chosen_template(settings.data_root, template),)
    active = Catalog(root=settings.data_root).templates()
    raise_if_any(active.problems)
    return active.value


def _request(provenance: Provenance) -> tuple[str, str]:
    return provenance.settings, provenance.prompt_sha256


def _left_out(counts: Mapping[str, int]) -> str:
    parts = [f"{count:,} {reason}" for reason, count in counts.items()]
    return f"Former scores that do not count: {', '.join(parts)}." if parts else ""


def _report(settings: Settings, check: _Check, *, as_json: bool) -> None:
    from essay_cohorts.statistics.all_statistics import method, method_in_words
    from essay_cohorts.statistics.drift import find_drift
    from essay_cohorts.statistics.frame import cohort_frame, store_frame

    rows = check.new_rows(settings)
    essays = {row.member.parent_gen_id for row in rows}
    former = [each for each in check.former.comparable if each.cell.essay_id in essays]
    found = find_drift(store_frame((each.cell, each.score, each.scale) for each in former), cohort_frame(rows))
    versions = {
        "former": _versions(each.provenance for each in former),
        "new": _versions(row.provenance for row in rows if row.score is not None),
    }
    if as_json:
        drifts = [asdict(each) | {"verdict": each.verdict(check.model_id)} for each in found]
        shown = {"cohort_id": check.drift_cohort, "model_id": check.model_id, "essays": len(essays)}
        counts = {"left_out": dict(check.former.left_out), "versions": versions}
        typer.echo(json.dumps({**shown, **counts, "drift": drifts, "method": method()}))
        return
    _print(check.model_id, found, versions)
    typer.echo(f"New minus former, on the same essays. {method_in_words()}")


def _print(model_id: str, found: Iterable[Drift], versions: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    heads = ("template", "former\nscores", "new\nscores", "essays", "difference", "95 % interval")
    table, notes = table_of(*heads, "mean absolute\ndifference", "r"), Notes()
    for each in found:
        counts = (str(each.former_scores), f"{each.new_scored}/{each.new_planned}", str(each.difference.essays))
        figures = (number(each.difference.value), notes.interval(each.difference))
        table.add_row(each.template_id, *counts, *figures, number(each.distance), number(each.correlation))
    print_table(table)
    notes.print()
    for each in found:
        typer.echo(f"{each.template_id}: {each.verdict(model_id)}.")
    for side, known in versions.items():
        named = ", ".join(f"{_in_words(each)} ({each['scores']:,})" for each in known)
        typer.echo(f"Model that gave the {side} scores: {named or 'not known'}")


def _versions(provenances: Iterable[Provenance]) -> list[dict[str, Any]]:
    """Return the versions of the model that gave the scores, most scores first."""
    counts = Counter(ModelVersion(each.response_model, each.system_fingerprint) for each in provenances)
    return [{**version._asdict(), "scores": count} for version, count in counts.most_common()]


def _in_words(version: Mapping[str, Any]) -> str:
    name, fingerprint = version["response_model"] or "not recorded", version["system_fingerprint"]
    return f"{name} {fingerprint}" if fingerprint else str(name)
