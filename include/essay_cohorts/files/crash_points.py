"""Named points at which a test can have the process killed, to see that nothing is lost there.

Inert unless the environment names a file in DD_CRASH_FILE, which is read once. The file says where: a point's name
and, when not the first time counts, which one (`after_send 3`). The first process to get there renames the file to
`<name>.reached` and dies by SIGKILL; the rename makes it happen once, whatever is tried again.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

POINTS = (
    "between_seeds",
    "after_seeds",
    "after_membership",
    "after_manifest",
    "after_lease",
    "after_intent",
    "after_send",
    "after_receive",
    "between_raw_renames",
    "after_raw_renames",
    "between_parsed_renames",
    "after_parsed_renames",
    "in_summarise",
)
# In the order in which `reparse` replaces a verdict.
REPLACING_POINTS = ("between_former_links", "after_former_links", "between_verdict_renames", "after_verdict_renames")

# Long enough for a request to leave this machine, and shorter than the latency that a test gives its server.
_SENT_AFTER_S = 0.4

_order = os.environ.get("DD_CRASH_FILE")
_times: Counter[str] = Counter()


def reach(point: str) -> None:
    """Dies here when that was ordered."""
    if _order is not None:
        _die_if_ordered(Path(_order), point)


async def reach_under_way(point: str, request: Awaitable[T]) -> T:
    """Awaits `request`; where that was ordered, dies after it was sent and before it is answered."""
    if _order is None:
        return await request
    task = asyncio.ensure_future(request)
    await asyncio.wait({task}, timeout=_SENT_AFTER_S)
    if not task.done():
        reach(point)
    return await task


def _die_if_ordered(order: Path, point: str) -> None:
    try:
        name, _, number = order.read_text(encoding="ascii").strip().partition(" ")
    except FileNotFoundError:
        return
    if name != point:
        return
    _times[point] += 1
    if _times[point] < int(number or 1):
        return
    try:
        order.rename(order.with_name(f"{order.name}.reached"))
    except FileNotFoundError:
        return  # another process got there first
    os.kill(os.getpid(), signal.SIGKILL)
