"""Warnings about a plan: sentences that a person should read before the plan is carried out."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from essay_cohorts.amounts import counted, dollars
from essay_cohorts.domain import Plan, Progress
from essay_cohorts.ids import is_drift_cohort
from essay_cohorts.judging.prices import estimate_calls
from essay_cohorts.judging.prompts import closing_delimiter, prompt_text, system_template
from essay_cohorts.judging.score_instructions import doubts_about
from essay_cohorts.planning.inputs import Inputs
from essay_cohorts.planning.plan_rules import PlanInputs, plan_cohort
from essay_cohorts.planning.rendered_prompts import RenderedPrompt, prompt_sizes
from essay_cohorts.planning.selection_file import INCLUDE_EXISTING
from essay_cohorts.provenance import ModelVersion

# The most versions of one judge that a warning names.
_MOST_NAMED = 3


def not_reused(
    inputs: Inputs, plan: Plan, plan_inputs: PlanInputs, prompts: Mapping[tuple[str, str], RenderedPrompt]
) -> Iterator[str]:
    """Yield how many existing scores a plan without backfill mode ignores, why, and what reusing them would cost."""
    # `cohorts drift` compares new scores with the existing ones, so it must not reuse them.
    if inputs.selection.include_existing or is_drift_cohort(inputs.cohort_id):
        return
    members = {row.member.gen_id for row in plan.evaluations}
    cells = {row.member.cell for row in plan.evaluations}
    ignored = [
        found
        for found in plan_inputs.evaluations
        if found.progress is Progress.PARSED
        and found.cell in cells
        and found.gen_id not in members | plan_inputs.excluded
    ]
    if not ignored:
        return
    sizes = prompt_sizes(plan_cohort(replace(plan_inputs, include_existing=True)), inputs.models, prompts)
    estimate = estimate_calls([call for calls in sizes.values() for call in calls])
    reason = f"the selection has no line # {INCLUDE_EXISTING}"
    if inputs.request.include_existing_evaluations is False:
        reason = "include_existing_evaluations is false in the conf"
    cost = "cost unknown" if estimate.usd is None else f"up to {dollars(estimate.usd)}"
    of_these, them = "of these cells", "it" if len(ignored) == 1 else "them"
    not_reused = counted(len(ignored), f"existing evaluation {of_these} is", f"existing evaluations {of_these} are")
    calls = counted(estimate.calls, "call")
    yield f"{not_reused} not reused, because {reason}; reusing {them} would leave {calls}, {cost}."


def doubtful_templates(inputs: Inputs) -> Iterator[str]:
    """Yield a warning for each template whose score instructions contradict each other or the parser."""
    for template in inputs.templates:
        # Rendered without an essay, because an essay may speak of scores too.
        for doubt in doubts_about(prompt_text(template), template.parser, template.rubric):
            yield f"{template.place}: {doubt}"


def mixed_versions(answered: Iterable[tuple[str, ModelVersion]]) -> Iterator[str]:
    """Yield a warning for each judge whose existing replies come from several versions of its model.

    `answered` has the judge and the version of each existing reply. A version that was not recorded is ignored.
    """
    by_judge: dict[str, Counter[ModelVersion]] = {}
    for (model_id, version), count in Counter(answered).items():
        by_judge.setdefault(model_id, Counter())[version] += count
    for model_id, versions in by_judge.items():
        names, prints = Counter[str](), Counter[str]()
        for version, count in versions.items():
            names[version.response_model] += count
            prints[version.system_fingerprint] += count
        drift = f"`cohorts drift --model {shlex.quote(model_id)} --sample 20` shows the difference."
        if len(shown := _by_count(names)) > 1:
            mixed = f"scores of {len(shown)} versions are mixed"
            yield f"{model_id} answered {_listed(shown, 'as')}: {mixed}; {drift}"
        elif len(shown := _by_count(prints)) > 1:
            mixed = f"its server was in {len(shown)} states, which may score differently"
            yield f"{model_id} answered {_listed(shown, 'with the fingerprint')}: {mixed}; {drift}"


def _by_count(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(((name, count) for name, count in counts.items() if name), key=lambda each: (-each[1], each[0]))


def _listed(shown: list[tuple[str, int]], word: str) -> str:
    """Return the names with their counts: "as x in 120 evaluations and as y in 8"."""
    (first, count), *others = shown[:_MOST_NAMED]
    parts = [f"{word} {first} in {counted(count, 'evaluation')}"]
    parts += [f"{word} {name} in {count:,}" for name, count in others]
    if len(shown) > _MOST_NAMED:
        rest = sum(count for _, count in shown[_MOST_NAMED:])
        parts.append(f"otherwise in {rest:,}")
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def open_delimiters(inputs: Inputs) -> Iterator[str]:
    """Yield a warning for each essay that contains the closing delimiter of a template."""
    systems = (system_template(template) for template in inputs.templates)
    for template in (*inputs.templates, *(system for system in systems if system)):
        closing = closing_delimiter(template)
        for essay in inputs.essays:
            if closing is not None and closing in essay.text:
                yield (
                    f"{template.place}: essay {essay.gen_id} has {closing!r}, the text after {{{{ response }}}}, "
                    "so a judge may think the essay ends there; use {{ boundary }} in the delimiter."
                )
