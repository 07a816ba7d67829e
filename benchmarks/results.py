"""results.json: the figures, their dates and the machine. Figures that are not measured again are kept."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.figures import Figure
from benchmarks.growth_plot import slopes
from benchmarks.planning import Growth
from benchmarks.rate_limit import Pace


def results(figures: Sequence[Figure], growth: Growth, paces: Sequence[Pace]) -> dict[str, Any]:
    """Return the new results in the form of results.json."""
    measured_at = datetime.now(UTC).isoformat(timespec="minutes")
    return {
        "machine": _machine(),
        "figures": {figure.name: {"measured_at": measured_at, **figure.to_json()} for figure in figures},
        "growth": {str(size): {name: round(s, 3) for name, s in each.items()} for size, each in growth.items()},
        "growth_exponents": slopes(growth),
        "rate_limit": [{name: _short(value) for name, value in asdict(pace).items()} for pace in paces],
    }


def merged(former: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the former results, with the new results in place of theirs; parts without new results stay."""
    kept = {name: now[name] or former.get(name, now[name]) for name in now}
    return {**kept, "figures": {**former.get("figures", {}), **now["figures"]}}


def write_results(path: Path, now: Mapping[str, Any]) -> None:
    """Write the results into `path`, merged with the former results there."""
    former = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(merged(former, now), indent=2) + "\n", encoding="utf-8")


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "airflow": version("apache-airflow-core"),
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")
