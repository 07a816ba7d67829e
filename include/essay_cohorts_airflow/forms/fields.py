"""The kinds of fields in the trigger forms."""

from typing import Any

from airflow.sdk import Param

ID_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def ids(title: str, help_text: str, section: str | None, pattern: str | None = ID_PATTERN) -> Param:
    """Make a field for a list of ids, one per line; an empty field gives null."""
    items: dict[str, Any] = {"type": "string", "minLength": 1}
    if pattern:
        items["pattern"] = pattern
    return Param(
        None,
        type=["null", "array"],
        items=items,
        minItems=1,
        uniqueItems=True,
        title=title,
        description_md=help_text,
        section=section,
    )


def number(
    default: int | None,
    low: float,
    high: int,
    title: str,
    help_text: str,
    section: str | None,
    kind: str = "integer",
) -> Param:
    """Make a field for a number from `low` to `high`; without a default an empty field gives null."""
    lowest = f"{low:,}" if isinstance(low, int) else f"{low:f}"
    return Param(
        default,
        type=kind if default is not None else ["null", kind],
        minimum=low,
        maximum=high,
        title=title,
        description_md=f"{help_text} From {lowest} to {high:,}.",
        section=section,
    )


def switch(title: str, help_text: str, section: str | None) -> Param:
    """Make a switch that is off at first."""
    return Param(False, type="boolean", title=title, description_md=help_text, section=section)
