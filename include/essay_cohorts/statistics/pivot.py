"""Scores as a table of essays by (template, model): mean, n, min and max of each cell's replicates."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

FIGURES = ("mean", "n", "min", "max")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorePivot:
    """The columns and rows of a score_pivot.csv. A cell without a score has n = 0, and None for the other figures."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]


def pivot_scores(frame: pd.DataFrame) -> ScorePivot:
    """Return the pivot with essays and judges in row order, including essays without a score; means to 9 decimals."""
    judges = list(dict.fromkeys(zip(frame["template"], frame["model"], strict=True)))
    essays = list(dict.fromkeys(frame["essay"]))
    cells = frame.groupby(["essay", "template", "model"], sort=False)["score"].agg(["mean", "count", "min", "max"])
    figures = {
        cell: (_known(mean, 9), int(count), _known(least), _known(most))
        for cell, mean, count, least, most in cells.itertuples()
    }
    no_score = (None, 0, None, None)
    return ScorePivot(
        columns=("essay", *(f"{column_name(*judge)}:{figure}" for judge in judges for figure in FIGURES)),
        rows=tuple(
            (essay, *(value for judge in judges for value in figures.get((essay, *judge), no_score)))
            for essay in essays
        ),
    )


def column_name(template_id: str, model_id: str) -> str:
    """Return `<template>__<model>`. The part before the first two underscores is always the template.

    If a template's id has two underscores in a row, or ends with one, all its underscores are written as `%5F`.
    """
    template = template_id.replace("%", "%25")
    if "__" in template or template.endswith("_"):
        template = template.replace("_", "%5F")
    return f"{template}__{model_id}"


def _known(value: float, digits: int | None = None) -> float | None:
    if pd.isna(value):
        return None
    return float(value) if digits is None else round(float(value), digits)
