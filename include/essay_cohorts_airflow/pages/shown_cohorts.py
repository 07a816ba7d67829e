"""What the pages have read of the data root, for all requests of this process."""

from __future__ import annotations

from essay_cohorts.views.essays.essay_list import EssayLists
from essay_cohorts.views.essays.evaluation_directory import EvaluationDirectory
from essay_cohorts.views.snapshot_cache import SnapshotCache

snapshots = SnapshotCache()
evaluations = EvaluationDirectory()
essays = EssayLists(evaluations)
