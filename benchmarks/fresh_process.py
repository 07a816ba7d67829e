"""Run a command in a fresh process and measure its wall time, its processor time and its peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class ProcessCost:
    """The cost of a process, including its start; `last_line` is the last line that it printed."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    last_line: str

    def json(self) -> dict[str, Any]:
        """Return the last line as a JSON object."""
        value: dict[str, Any] = json.loads(self.last_line)
        return value


def run_fresh(*arguments: str) -> ProcessCost:
    """Run `python ARGUMENTS` in the project's folder; RuntimeError when the process fails."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, *arguments], cwd=PROJECT, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        lines = output.read().decode(errors="replace").splitlines()
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}:\n" + "\n".join(lines[-20:]))
    cpu_s = usage.ru_utime + usage.ru_stime
    last_line = lines[-1] if lines else ""
    return ProcessCost(wall_s=wall_s, cpu_s=cpu_s, peak_mb=usage.ru_maxrss / 1024, last_line=last_line)
