"""Print how many mutants of each module the tests killed in the last `mutmut run`; fail below FLOOR_PERCENT.

A mutant is killed when a test fails or times out. `mutmut show <mutant>` shows a mutant that survived.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

FLOOR_PERCENT = 90
_KILLED = {"killed", "timeout"}


def count_mutants(lines: Iterable[str]) -> dict[str, Counter[bool]]:
    """Count by module the killed (True) and surviving (False) mutants, from lines `module.function: status`."""
    modules: dict[str, Counter[bool]] = {}
    for line in lines:
        mutant, _, status = line.strip().rpartition(": ")
        module = mutant.rpartition(".")[0].rpartition(".")[2]
        modules.setdefault(module, Counter())[status in _KILLED] += 1
    return modules


def main() -> int:
    """Print the table; return 1 when too few mutants were killed, or when there are none."""
    mutmut = Path(sys.executable).parent / "mutmut"
    output = subprocess.run([mutmut, "results", "--all", "true"], check=True, capture_output=True, text=True).stdout
    modules = count_mutants(line for line in output.splitlines() if ": " in line)
    total = sum(modules.values(), Counter[bool]())
    table = Table("module", "mutants", "killed", "survived", "per cent", box=None)
    for name, count in [*sorted(modules.items()), ("total", total)]:
        table.add_row(name, str(count.total()), str(count[True]), str(count[False]), f"{_percent(count):.1f}")
    Console(soft_wrap=True).print(table)
    if _percent(total) < FLOOR_PERCENT:
        print(f"Fewer than {FLOOR_PERCENT} % were killed. Next: .venv/bin/mutmut results, then mutmut show <mutant>.")
        return 1
    return 0


def _percent(count: Counter[bool]) -> float:
    return 100 * count[True] / count.total() if count else 0.0


if __name__ == "__main__":
    sys.exit(main())
