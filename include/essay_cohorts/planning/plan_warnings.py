"""What a person should know before a plan is carried out, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from essay_cohorts.amounts import dollars
from essay_cohorts.domain import Plan, Progress
from essay_cohorts.judging.prices import estimate_calls
from essay_cohorts.judging.prompts import closing_delimiter, system_template
from essay_cohorts.judging.score_instructions import doubts_about
from essay_cohorts.planning.inputs import Inputs
from essay_cohorts.planning.plan_rules import PlanInputs, plan_cohort
from essay_cohorts.planning.rendered_prompts import RenderedPrompt, prompt_sizes
from essay_cohorts.planning.selection_file import INCLUDE_EXISTING


def not_reused(
    inputs: Inputs, plan: Plan, asked: PlanInputs, prompts: Mapping[tuple[str, str], RenderedPrompt]
) -> Iterator[str]:
    """Without backfill mode: what is not reused, why, and what reusing would cost."""
    if inputs.selection.include_existing:
        return
    members = {row.member.gen_id for row in plan.evaluations}
    cells = {row.member.cell for row in plan.evaluations}
    left_out = [
        found
        for found in asked.evaluations
        if found.progress is Progress.PARSED and found.cell in cells and found.gen_id not in members | asked.left_out
    ]
    if not left_out:
        return
    sizes = prompt_sizes(plan_cohort(replace(asked, include_existing=True)), inputs.models, prompts)
    estimate = estimate_calls([call for calls in sizes.values() for call in calls])
    because = f"the selection has no line # {INCLUDE_EXISTING}"
    if inputs.request.include_existing_evaluations is False:
        because = "include_existing_evaluations is false in the conf"
    cost = "cost unknown" if estimate.usd is None else f"up to {dollars(estimate.usd)}"
    yield (
        f"{len(left_out)} existing evaluations of these cells are not reused, because {because}; "
        f"with them reused: {estimate.calls:,} calls, {cost}."
    )


def doubtful_templates(inputs: Inputs) -> Iterator[str]:
    """Templates whose instructions on the score contradict their parser or each other."""
    for template in inputs.templates:
        for doubt in doubts_about(template.text):
            yield f"{template.place}: {doubt}"


def open_delimiters(inputs: Inputs) -> Iterator[str]:
    """Essays that hold the text by which a template ends the essay."""
    systems = (system_template(template) for template in inputs.templates)
    for template in (*inputs.templates, *(system for system in systems if system)):
        closing = closing_delimiter(template)
        for essay in inputs.essays:
            if closing is not None and closing in essay.text:
                yield (
                    f"{template.place}: the text behind {{{{ response }}}}, {closing!r}, occurs in essay "
                    f"{essay.gen_id}, which could so seem to end early; use {{{{ boundary }}}} in the delimiter."
                )
