"""Today's prompts of a plan: each prompt is rendered once, and only the hash and the size are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from essay_cohorts.calls import JudgeModel
from essay_cohorts.domain import Action, Essay, Plan, Template
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.judging.prompts import prompt_hash, prompt_renderer


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedPrompt:
    """The hash and the size in UTF-8 bytes of a prompt, including the system message; the text is not kept."""

    sha256: str
    size: int


def render_prompts(templates: Iterable[Template], essays: Sequence[Essay]) -> dict[tuple[str, str], RenderedPrompt]:
    """Return the prompts by (essay, template).

    Raises BadInput with a problem for every template and essay that cannot be rendered together.
    """
    prompts: dict[tuple[str, str], RenderedPrompt] = {}
    problems: list[Problem] = []
    for template in templates:
        render = prompt_renderer(template)
        for essay in essays:
            try:
                prompt = render(essay.text)
                sha256 = prompt_hash(prompt)
                size = len(prompt.whole.encode("utf-8"))
            except Exception as error:  # noqa: BLE001  (a template is user code: every exception from it is bad input)
                finding = (
                    f"the template cannot be rendered for essay {essay.gen_id}: {type(error).__name__}: {error}."
                )
                next_step = "Fix the template, or do not select the essay."
                place = f"{template.place} or {template.system_place}" if template.system else template.place
                problems.append(Problem(place=place, finding=finding, next_step=next_step))
                continue
            prompts[essay.gen_id, template.template_id] = RenderedPrompt(sha256=sha256, size=size)
    if problems:
        raise BadInput(problems)
    return prompts


def prompt_sizes(
    plan: Plan, models: Sequence[JudgeModel], prompts: Mapping[tuple[str, str], RenderedPrompt]
) -> dict[tuple[str, str], list[tuple[JudgeModel, int]]]:
    """Return the model and the prompt size of each call, grouped by (template, model).

    A template and model without calls has an empty list.
    """
    by_id = {model.id: model for model in models}
    sizes: dict[tuple[str, str], list[tuple[JudgeModel, int]]] = {}
    for row in plan.evaluations:
        member = row.member
        calls = sizes.setdefault((member.template_id, member.llm_model_id), [])
        if row.action is Action.CALL:
            calls.append((by_id[member.llm_model_id], prompts[member.parent_gen_id, member.template_id].size))
    return sizes
