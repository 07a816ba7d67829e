"""The growth of planning with the store, as an SVG: seconds over evaluations, both axes logarithmic."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import linear_regression

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks.planning import Growth

# In smaller stores the fixed cost of a command hides the growth.
_GROWING_FROM = 10_000


def slopes(growth: Growth) -> dict[str, float]:
    """Return for each series the exponent with which its seconds grow; 1 is linear."""
    sizes = [size for size in growth if size >= _GROWING_FROM]
    if len(sizes) < 2:
        return {}
    names = growth[sizes[0]]
    exponents = [math.log10(size) for size in sizes]
    return {
        name: round(linear_regression(exponents, [math.log10(growth[size][name]) for size in sizes]).slope, 2)
        for name in names
    }


def draw(growth: Growth, path: Path) -> None:
    """Write the plot; the same figures give the same bytes."""
    mpl.rcParams["svg.hashsalt"] = "growth"
    mpl.rcParams["svg.fonttype"] = "none"
    canvas = Canvas(figsize=(7, 4.2), layout="constrained")
    axes = canvas.subplots()
    exponents = slopes(growth)
    for name in next(iter(growth.values())):
        label = f"{name} (grows with n^{exponents[name]:.2f})" if name in exponents else name
        axes.loglog(list(growth), [growth[size][name] for size in growth], marker="o", label=label)
    axes.set_xlabel("evaluations in the store")
    axes.set_ylabel("seconds beyond the interpreter's start")
    axes.set_title("plan, 300 essays selected")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    canvas.savefig(path, format="svg", metadata={"Date": None})
