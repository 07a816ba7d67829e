"""Scores as a table of essays by (template, model): mean, n, min and max of each cell's replicates."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

FIGURES = ("mean", "n", "min", "max")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorePivot:
    """The columns and the rows of a score_pivot.csv; where a cell has no score its n is 0 and the rest None."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]


def pivot_scores(frame: pd.DataFrame) -> ScorePivot:
    """Essays and judges in the order of the rows, an essay without any score among them; means to nine decimals."""
    judges = list(dict.fromkeys(zip(frame["template"], frame["model"], strict=True)))
    essays = list(dict.fromkeys(frame["essay"]))
    cells = frame.groupby(["essay", "template", "model"], sort=False)["score"].agg(["mean", "count", "min", "max"])
    told = {
        cell: (_known(mean, 9), int(count), _known(least), _known(most))
        for cell, mean, count, least, most in cells.itertuples()
    }
    nothing = (None, 0, None, None)
    return ScorePivot(
        columns=("essay", *(f"{column_name(*judge)}:{figure}" for judge in judges for figure in FIGURES)),
        rows=tuple(
            (essay, *(value for judge in judges for value in told.get((essay, *judge), nothing))) for essay in essays
        ),
    )


def column_name(template_id: str, model_id: str) -> str:
    """`<template>__<model>`: what stands before the first two underscores is the template, whatever the two hold.

    In a template's id that has two underscores in a row or ends with one, each is written `%5F`, as in an address.
    """
    template = template_id.replace("%", "%25")
    if "__" in template or template.endswith("_"):
        template = template.replace("_", "%5F")
    return f"{template}__{model_id}"


def _known(value: float, digits: int | None = None) -> float | None:
    if pd.isna(value):
        return None
    return float(value) if digits is None else round(float(value), digits)
