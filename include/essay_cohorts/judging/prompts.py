"""Prompts: a template's text with the essay filled in as a value.

The essay is untrusted, so it is never rendered as a template. `boundary` is a token that does not occur in the essay,
so that the essay cannot contain a closing delimiter that is built with it.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2s, sha256

from jinja2 import StrictUndefined, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from essay_cohorts.calls import Prompt
from essay_cohorts.domain import Template
from essay_cohorts.errors import Problem
from essay_cohorts.judging.response_format import json_schema_of
from essay_cohorts.rubric import points

VARIABLES = ("response", "boundary", "score_min", "score_max", "criteria")

# Prompts are text for a model, not markup for a browser. Escaping would change what the judge reads.
_ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
# The same essay must always give the same prompt, so nothing random is available to a template.
_ENVIRONMENT.globals = {"range": _ENVIRONMENT.globals["range"]}
del _ENVIRONMENT.filters["random"]

# Rendered in place of an essay to see where the essay goes. Filters for case and line breaks do not change digits.
_STAND_IN = "90817263545362718"


def check_template(template: Template) -> tuple[Problem, ...]:
    """Return syntax errors, unknown variables and a missing essay as problems; empty if the template can be used.

    The system message need not show the essay.
    """
    problems = _check_text(template, shows_essay=True)
    system = system_template(template)
    return problems if system is None else (*problems, *_check_text(system, shows_essay=False))


def system_template(template: Template) -> Template | None:
    """Return the system message as its own template; None if there is no system message."""
    return (
        replace(template, text=template.system, place=template.system_place, system="") if template.system else None
    )


def prompt_renderer(template: Template) -> Callable[[str], Prompt]:
    """Return a function from an essay's text to the prompt that is sent to the judge."""
    system = system_template(template)
    texts = renderer(template), None if system is None else renderer(system)
    response_format = json_schema_of(template.rubric) if template.response_format == "json_schema" else ""

    def render(essay: str) -> Prompt:
        system_text = texts[1](essay) if texts[1] else ""
        return Prompt(text=texts[0](essay), system=system_text, response_format=response_format)

    return render


def _check_text(template: Template, *, shows_essay: bool) -> tuple[Problem, ...]:
    try:
        tree = _ENVIRONMENT.parse(template.text)
        unknown = meta.find_undeclared_variables(tree) - set(VARIABLES)
    except TemplateSyntaxError as error:
        return (
            Problem(
                place=f"{template.place}:{error.lineno}",
                finding=f"Jinja2 cannot read the template: {str(error.message).rstrip('.')}.",
                next_step="Fix the line, or put text that should stay as it is between {% raw %} and {% endraw %}.",
            ),
        )
    except Exception as error:  # noqa: BLE001  (the template is the user's code, so any error in it is bad input)
        return (_cannot_render(template, error),)
    return tuple(_unknown_variables(template, tree, unknown)) or _try_rendering(template, shows_essay=shows_essay)


@lru_cache(maxsize=256)
def renderer(template: Template) -> Callable[[str], str]:
    """Return a function from an essay's text to a message. Each process compiles a template once."""
    compiled, rubric = _ENVIRONMENT.from_string(template.text), template.rubric
    of_rubric = {
        "score_min": points(rubric.scale.low),
        "score_max": points(rubric.scale.high),
        "criteria": rubric.criteria,
    }

    def render(essay: str) -> str:
        return compiled.render(response=essay, boundary=boundary_for(essay), **of_rubric)

    return render


def prompt_text(template: Template, essay: str = "") -> str:
    """Return the system message and the prompt as one text."""
    prompt = prompt_renderer(template)(essay)
    return "\n".join(filter(None, (prompt.system, prompt.text)))


def boundary_for(essay: str) -> str:
    """Return a token that does not occur in the essay, made from its text so that prompts are repeatable."""
    salt = 0
    while True:
        token = "B" + blake2s(f"{salt}|{essay}".encode(), digest_size=8).hexdigest()
        if token not in essay:
            return token
        salt += 1


def prompt_hash(prompt: Prompt) -> str:
    """Return the hex SHA-256 of the prompt's UTF-8 bytes, as recorded in raw_metadata.json.

    With a system message or a response format it is the hash of a JSON list of all parts, so that it changes if text
    moves between them.
    """
    parts = [prompt.system, prompt.text, *filter(None, [prompt.response_format])]
    whole = json.dumps(parts, ensure_ascii=False) if prompt.system or prompt.response_format else prompt.text
    return sha256(whole.encode("utf-8")).hexdigest()


def closing_delimiter(template: Template) -> str | None:
    """Return the first line of text after the essay, if the template does not use `boundary`.

    An essay that contains this line could pretend to end there. None if `boundary` is used or nothing follows.
    """
    if "boundary" in meta.find_undeclared_variables(_ENVIRONMENT.parse(template.text)):
        return None
    _, _, after = renderer(template)(_STAND_IN).partition(_STAND_IN)
    return next((line.strip() for line in after.splitlines() if line.strip()), None)


def _unknown_variables(template: Template, tree: nodes.Template, unknown: set[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for name in tree.find_all(nodes.Name):
        if name.name in unknown - seen and name.ctx == "load":
            seen.add(name.name)
            yield Problem(
                place=f"{template.place}:{name.lineno}",
                finding=f"the template uses {{{{ {name.name} }}}}, which has no value.",
                next_step=f"The variables are {', '.join(VARIABLES)}; response is the essay's text.",
            )


def _try_rendering(template: Template, *, shows_essay: bool) -> tuple[Problem, ...]:
    """Render a stand-in essay, to find errors that only rendering shows, such as a missing include or attribute."""
    try:
        prompt = renderer(template)(_STAND_IN)
    except Exception as error:  # noqa: BLE001  (the template is the user's code, so any error in it is bad input)
        return (_cannot_render(template, error),)
    if shows_essay and _STAND_IN not in prompt:
        finding = "the template never shows the essay."
        next_step = "Put {{ response }} where the essay belongs."
        return (Problem(place=template.place, finding=finding, next_step=next_step),)
    return ()


def _cannot_render(template: Template, error: Exception) -> Problem:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    line = getattr(error, "lineno", None) or (frames[-1].lineno if frames else None)
    return Problem(
        place=f"{template.place}:{line}" if line else template.place,
        finding=f"the template cannot be rendered: {type(error).__name__}: {str(error).rstrip('.')}.",
        next_step="Use plain text with {{ response }} and {{ boundary }}.",
    )
