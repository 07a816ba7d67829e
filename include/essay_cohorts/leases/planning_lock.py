"""One planner writes at a time, among all processes that share a data root.

Concurrent planners would mint the same replicate numbers. A planner therefore takes the lease `.planning.lease` in
the data root, checks that its plan still fits the store, writes the cohort, and gives the lease back. A planner that
finds the lease taken waits. It takes over the lease of a planner that died: at once on the same machine, else after
LEASE_S.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from essay_cohorts.errors import StoreError
from essay_cohorts.files.atomic import check_inside
from essay_cohorts.leases.lease import Lease

log = logging.getLogger(__name__)

LEASE = ".planning.lease"
_PATIENCE_S = 600.0
_PAUSE_S = 0.05


@contextmanager
def planning_lock(root: Path) -> Iterator[None]:
    """Wait for the planning lock of a data root and hold it. StoreError if others hold it for over 10 minutes."""
    check_inside(root, root)
    lease = Lease(root / LEASE)
    if not lease.take():
        log.info("Another cohort is being planned. Waiting up to %g s for its end.", _PATIENCE_S)
        _wait_for(lease)
    try:
        yield
    finally:
        lease.release()


def _wait_for(lease: Lease) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not lease.take():
        if time.monotonic() > end:
            msg = (
                f"{lease.path} was held by another planning run for {_PATIENCE_S:g} s. "
                "Find out which run takes so long to plan, end it, and clear this run."
            )
            raise StoreError(msg)
        time.sleep(_PAUSE_S)
