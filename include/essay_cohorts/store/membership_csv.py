"""Reads and writes the text of membership.csv and plan.csv: a member per line; a plan adds action and reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path

from essay_cohorts.domain import Action, Member, PlanRow, Stage, is_id, one_form
from essay_cohorts.errors import StoreError
from essay_cohorts.files.csv_text import csv_reader, csv_text, numbered_rows

MEMBER_COLUMNS = tuple(field.name for field in fields(Member))
# dataclasses.asdict copies each value: a second for a cohort of thousands.
member_cells = attrgetter(*MEMBER_COLUMNS)
PLAN_COLUMNS = (*MEMBER_COLUMNS, "action", "reason")
# A dict, because calling Stage(...) takes as long as the rest of a row.
_STAGES = {stage.value: stage for stage in Stage}


def member_of(cells: Sequence[str]) -> Member:
    """Return the member in a row. ValueError when the row is not a valid member."""
    stage, gen_id, cohort_id, parent_gen_id, combo_id, template_id, llm_model_id, replicate = cells
    if not is_id(gen_id):
        msg = f"{gen_id!r} is not a valid id"
        raise ValueError(msg)
    return Member(
        stage=_STAGES.get(stage) or Stage(stage),
        gen_id=gen_id,
        cohort_id=cohort_id,
        parent_gen_id=parent_gen_id,
        combo_id=combo_id,
        template_id=one_form(template_id),
        llm_model_id=one_form(llm_model_id),
        replicate=int(replicate),
    )


def plan_text(rows: Iterable[PlanRow]) -> str:
    """Return the text of a plan.csv."""
    return csv_text(PLAN_COLUMNS, ([*member_cells(row.member), row.action, row.reason] for row in rows))


def read_csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Return the rows with their line numbers; the file is read at once, its rows one by one as they are used."""
    return numbered_rows(csv_reader(path.read_bytes().decode("utf-8-sig")))


def read_plan(path: Path) -> tuple[PlanRow, ...]:
    """Return the rows of a plan. StoreError when the file is missing or damaged."""
    try:
        lines = read_csv(path)
        _, header = next(lines, (1, []))
        if tuple(header) != PLAN_COLUMNS:
            msg = "its header is wrong"
            raise ValueError(msg)
        return tuple(
            PlanRow(member=member_of(cells[:-2]), action=Action(cells[-2]), reason=cells[-1]) for _, cells in lines
        )
    except (FileNotFoundError, ValueError, IndexError) as error:
        state = "is gone" if isinstance(error, FileNotFoundError) else f"is damaged ({error})"
        msg = f"{path} {state}: the run cannot go on without its plan. Clear the whole run."
        raise StoreError(msg) from error
