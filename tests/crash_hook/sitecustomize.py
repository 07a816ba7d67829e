"""Kills the process at a named point, in any Python process that finds this folder on its path and an order.

The product raises an audit event where a test may want it to die, such as `essay_cohorts.after_claim` (see POINTS in
tests/crash_order.py). Python ignores these events unless a hook listens. CRASH_ORDER names a file that holds a
point's name, optionally followed by which occurrence (`after_receive 3`). The first process that reaches the point
renames the file to `<name>.reached` and dies by SIGKILL. The rename makes sure that only one process dies, also when
the task is tried again.
"""

import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

_EVENTS = "essay_cohorts."
# In s. A request leaves this machine less than this after its intent was written, and is answered later.
_SENT_AFTER_S = 0.4

_order = Path(os.environ["CRASH_ORDER"]) if "CRASH_ORDER" in os.environ else None
_times: Counter[str] = Counter()


def _die_if_ordered(event: str, _: tuple[object, ...]) -> None:
    if _order is None or not event.startswith(_EVENTS):
        return
    try:
        name, *number = _order.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return
    point = event.removeprefix(_EVENTS)
    is_sending = name == "after_send" and point == "after_intent"
    if name != point and not is_sending:
        return
    _times[name] += 1
    if _times[name] < int(number[0] if number else 1):
        return
    if is_sending:
        threading.Timer(_SENT_AFTER_S, _die, [_order]).start()
    else:
        _die(_order)


def _die(order: Path) -> None:
    try:
        order.rename(order.with_name(f"{order.name}.reached"))
    except FileNotFoundError:
        return  # another process got there first
    os.kill(os.getpid(), signal.SIGKILL)


if _order is not None:
    sys.addaudithook(_die_if_ordered)
