"""One planning that writes at a time, over all processes that share a data root."""

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
_LOOK_AGAIN_S = 0.05


@contextmanager
def planning_turn(root: Path) -> Iterator[None]:
    """Wait for the turn and holds it. StoreError when others plan for longer than 10 minutes.

    What a planner that died held is taken over: at once on its own machine, else after 30 s.
    """
    check_inside(root, root)
    lease = Lease(root / LEASE)
    if not lease.take():
        log.info("Another cohort is being planned; waiting for its end, up to %g s", _PATIENCE_S)
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
                f"{lease.path} was held by another planning for {_PATIENCE_S:g} s. "
                "Find out which run plans for so long, end it, and clear this run."
            )
            raise StoreError(msg)
        time.sleep(_LOOK_AGAIN_S)
