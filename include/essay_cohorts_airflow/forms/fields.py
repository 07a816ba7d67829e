"""The kinds of fields in the trigger forms."""

from airflow.sdk import Param

ID_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def ids(title: str, help_text: str, section: str | None) -> Param:
    """Make a field for a list of ids, one per line; an empty field gives null. The first task checks the ids."""
    return Param(
        None,
        type=["null", "array"],
        items={"type": "string"},
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
) -> Param:
    """Make a field for a number from `low` to `high`; without a default an empty field gives null.

    The first task checks that a number is whole where it must be.
    """
    lowest = f"{low:,}" if isinstance(low, int) else f"{low:f}"
    return Param(
        default,
        type="number" if default is not None else ["null", "number"],
        minimum=low,
        maximum=high,
        title=title,
        description_md=f"{help_text} From {lowest} to {high:,}.",
        section=section,
    )


def switch(title: str, help_text: str, section: str | None) -> Param:
    """Make a switch that is off at first."""
    return Param(False, type="boolean", title=title, description_md=help_text, section=section)
