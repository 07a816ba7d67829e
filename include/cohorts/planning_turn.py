"""One planning that writes at a time, over all processes that share a data root."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import SoftFileLease, Timeout

from include.cohorts.atomic_files import check_inside, storing
from include.cohorts.errors import StoreError

log = logging.getLogger(__name__)

LEASE = ".planning.lease"
_LEASE_S = 30.0
_PATIENCE_S = 600.0


@contextmanager
def planning_turn(root: Path) -> Iterator[None]:
    """Waits for the turn and holds it. StoreError when others plan for longer than 10 minutes.

    What a planner that died held is taken over: at once on its own machine, else after 30 s.
    """
    check_inside(root, root)
    path = root / LEASE
    lease = SoftFileLease(path, lease_duration=_LEASE_S)
    with storing(path):
        try:
            lease.acquire(blocking=False)
        except Timeout:
            log.info("Another cohort is being planned; waiting for its end, up to %g s", _PATIENCE_S)
            _wait(lease, path)
    try:
        yield
    finally:
        lease.release()


def _wait(lease: SoftFileLease, path: Path) -> None:
    try:
        lease.acquire(timeout=_PATIENCE_S)
    except Timeout:
        raise StoreError(
            f"{path} was held by another planning for {_PATIENCE_S:g} s. "
            "Find out which run plans for so long, end it, and clear this run."
        ) from None
