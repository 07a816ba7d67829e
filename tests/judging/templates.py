"""Templates for tests of parsers."""

from __future__ import annotations

from typing import Literal

from essay_cohorts.domain import Template
from essay_cohorts.rubric import DEFAULT_SCALE, Rubric, Scale


def template(
    parser: str = "",
    *,
    scale: Scale = DEFAULT_SCALE,
    criteria: tuple[str, ...] = (),
    overall: Literal["reply", "mean"] = "reply",
    text: str = "{{ response }}",
) -> Template:
    """Return a template with this parser and rubric."""
    return Template(
        template_id="t",
        text=text,
        parser=parser,
        place="t.txt",
        row_place="templates.csv:2",
        rubric=Rubric(scale=scale, criteria=criteria, overall=overall),
    )
