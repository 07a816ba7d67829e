"""Prompts: a template's text with the essay put in as a value.

The essay is untrusted. It is never rendered as a template; `boundary` is a token that does not occur in it, so that
delimiters built with it cannot be closed from inside the essay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import blake2s, sha256

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from include.cohorts.errors import Problem
from include.cohorts.model import Template

VARIABLES = ("response", "boundary")

# Prompts are text for a model, never markup for a browser: escaping would change what the judge reads.
_ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)


def check_template(template: Template) -> tuple[Problem, ...]:
    """Syntax errors and unknown variables of a template, each with its line; empty when it can be rendered."""
    try:
        tree = _ENVIRONMENT.parse(template.text)
    except TemplateSyntaxError as error:
        return (
            Problem(
                place=f"{template.place}:{error.lineno}",
                finding=f"Jinja2 cannot read the template: {error.message}.",
                next_step="Mend the line; text that should stay as it is goes between {% raw %} and {% endraw %}.",
            ),
        )
    problems = list(_unknown_variables(template, tree))
    if "response" not in meta.find_undeclared_variables(tree):
        problems.append(
            Problem(
                place=template.place,
                finding="the template never shows the essay.",
                next_step="Put {{ response }} where the essay belongs.",
            )
        )
    return tuple(problems) or _trial(template)


def renderer(template: Template) -> Callable[[str], str]:
    """A function from an essay's text to the prompt; the template is compiled once."""
    compiled = _ENVIRONMENT.from_string(template.text)

    def render(essay: str) -> str:
        return compiled.render(response=essay, boundary=boundary_for(essay))

    return render


def boundary_for(essay: str) -> str:
    """A token made from the essay's text (so that prompts are repeatable) that does not occur in it."""
    salt = 0
    while True:
        token = "B" + blake2s(f"{salt}|{essay}".encode(), digest_size=8).hexdigest()
        if token not in essay:
            return token
        salt += 1


def prompt_hash(prompt: str) -> str:
    """Hex SHA-256 of the prompt's UTF-8 bytes, as recorded in raw_metadata.json."""
    return sha256(prompt.encode("utf-8")).hexdigest()


def closing_delimiter(template: Template) -> str | None:
    """The text right behind the essay up to its line's end or the next line's, if the template uses no boundary.

    An essay that contains it could pretend to end there. None when `boundary` is used or nothing follows.
    """
    if "boundary" in meta.find_undeclared_variables(_ENVIRONMENT.parse(template.text)):
        return None
    found = re.search(r"\{\{-?\s*response\s*-?\}\}\s*([^\n{]*)", template.text)
    return found.group(1).strip() or None if found else None


def _unknown_variables(template: Template, tree: nodes.Template) -> Iterator[Problem]:
    unknown = meta.find_undeclared_variables(tree) - set(VARIABLES)
    seen: set[str] = set()
    for name in tree.find_all(nodes.Name):
        if name.name in unknown - seen:
            seen.add(name.name)
            yield Problem(
                place=f"{template.place}:{name.lineno}",
                finding=f"the template uses {{{{ {name.name} }}}}, which has no value.",
                next_step="The variables are response (the essay's text) and boundary.",
            )


def _trial(template: Template) -> tuple[Problem, ...]:
    """Renders a stand-in essay: finds what shows only then, such as an include or an attribute that is missing."""
    try:
        renderer(template)("essay")
    except (TemplateError, UndefinedError, TypeError, ValueError, ArithmeticError, OverflowError) as error:
        return (
            Problem(
                place=template.place,
                finding=f"the template cannot be rendered: {type(error).__name__}: {error}.",
                next_step="Use plain text with {{ response }} and {{ boundary }}.",
            ),
        )
    return ()
