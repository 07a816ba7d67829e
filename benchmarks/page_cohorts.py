"""Cohorts of a generated store, written by the product's own code."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.stores import Grid, Store
from essay_cohorts.domain import Member, Outcome, Progress, ScoreRow, Stage, StoredEvaluation
from essay_cohorts.ids import run_key
from essay_cohorts.judging.parsers import parse_score_text
from essay_cohorts.rubric import DEFAULT_SCALE
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

_RUN = {"dag_id": "evaluation_backfill", "run_id": "manual__bench", "try_number": 1}


@dataclass(frozen=True, kw_only=True)
class CohortWriter:
    """Writes cohorts of a store's judged essays; `rows` has each essay's evaluations, which are read once."""

    root: Path
    grid: Grid
    rows: Mapping[str, Sequence[ScoreRow]]

    @classmethod
    def of(cls, store: Store, grid: Grid) -> CohortWriter:
        """Read the evaluations of the store."""
        layer = GensDataLayer.from_root(store.root)
        rows: dict[str, list[ScoreRow]] = {essay: [] for essay in store.judged}
        for found in layer.scan_evaluations(store.judged).evaluations:
            rows[found.cell.essay_id].append(_row(layer, found))
        for each in rows.values():
            each.sort(key=lambda row: (row.member.template_id, row.member.llm_model_id, row.member.replicate))
        return cls(root=store.root, grid=grid, rows=rows)

    def write(self, cohort_id: str, essays: Sequence[str], created_at: str = "2026-01-01T00:00:00+00:00") -> None:
        """Write the files of a finished cohort of these essays, without the plan of its run."""
        folder, key = CohortFolder(root=self.root, cohort_id=cohort_id), run_key("bench", cohort_id, 1)
        rows = [
            replace(row, member=replace(row.member, cohort_id=cohort_id))
            for each in essays
            for row in self.rows[each]
        ]
        folder.write_membership([*(_essay(each, cohort_id) for each in essays), *(row.member for row in rows)])
        folder.write_manifest(self._manifest(cohort_id, essays, created_at))
        folder.write_run(key, {**_RUN, "conf": {}, "created_at": created_at, "plan": {}})
        folder.write_scores(rows)
        folder.write_score_pivot([], [])
        # A minute after the evaluations, as in most cohorts; the pivot last, as a run writes it.
        for written, later_s in ((folder.scores_csv, 60), (folder.score_pivot_csv, 61)):
            os.utime(written, (time.time() + later_s,) * 2)

    def _manifest(self, cohort_id: str, essays: Sequence[str], created_at: str) -> dict[str, object]:
        return {
            "cohort_id": cohort_id,
            "mode": "evaluation-only",
            "directives": ["include-existing-evaluations"],
            "essays": list(essays),
            "templates": list(self.grid.templates),
            "models": list(self.grid.models),
            "replicates": self.grid.replicates,
            "essay_sha256": dict.fromkeys(essays, "0" * 64),
            "created_at": created_at,
        }


def _essay(essay: str, cohort_id: str) -> Member:
    return Member(
        stage=Stage.ESSAY,
        gen_id=essay,
        cohort_id=cohort_id,
        parent_gen_id="d_only",
        combo_id="c",
        template_id="essay",
        llm_model_id="writer",
        replicate=1,
    )


def _row(layer: GensDataLayer, found: StoredEvaluation) -> ScoreRow:
    scored = found.progress is Progress.PARSED
    member = Member(
        stage=Stage.EVALUATION,
        gen_id=found.gen_id,
        cohort_id="",
        parent_gen_id=found.cell.essay_id,
        combo_id="c",
        template_id=found.cell.template_id,
        llm_model_id=found.cell.model_id,
        replicate=found.replicate,
    )
    return ScoreRow(
        member=member,
        outcome=Outcome.REUSED if scored else Outcome.NOT_RUN,
        score=parse_score_text(layer.parsed_text(Stage.EVALUATION, found.gen_id) or "", DEFAULT_SCALE)
        if scored
        else None,
        reason="" if scored else "no call was made: see the logs of the evaluation tasks",
        origin_cohort_id=found.origin_cohort_id,
        # Costs that vary like real costs.
        cost_usd=int(found.gen_id[-4:], 16) / 1e7 if scored else None,
        called=False,
    )
