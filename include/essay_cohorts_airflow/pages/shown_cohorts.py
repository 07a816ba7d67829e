"""The snapshots of the cohorts that the pages show, for all requests of this process."""

from __future__ import annotations

from essay_cohorts.views.snapshot_cache import SnapshotCache

snapshots = SnapshotCache()
