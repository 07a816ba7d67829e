"""The plan rows of a slice: reads and writes them, and finds the rows that still need a call or a score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from essay_cohorts.domain import Action, PlanRow, Progress, Stage
from essay_cohorts.errors import StoreError
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slices import Slice, rows_of_kind
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.evaluation_state import EvaluationState, read_state
from essay_cohorts.store.gens_data_layer import GensDataLayer


def evaluation_rows(settings: Settings, planned: PlannedRun) -> tuple[PlanRow, ...]:
    """Return the rows of the run's own plan.csv that are evaluations."""
    rows = CohortFolder(root=settings.data_root, cohort_id=planned.cohort_id).plan(planned.run_key)
    return tuple(row for row in rows if row.member.stage is Stage.EVALUATION)


def rows_of_slice(settings: Settings, planned: PlannedRun, part: Slice) -> tuple[PlanRow, ...]:
    """Return the plan rows of a slice.

    They come from the slice's own file. A run that version 0.1.0 planned has no such files: its rows come from
    plan.csv.
    """
    if planned.dry_run:
        msg = "This is the plan of a dry run, so no judge is called. Trigger again without dry_run."
        raise StoreError(msg)
    folder = CohortFolder(root=settings.data_root, cohort_id=planned.cohort_id)
    slice_rows = folder.slice_plan(planned.run_key, part.name)
    if slice_rows is not None:
        return slice_rows
    return tuple(rows_of_kind(evaluation_rows(settings, planned), part.kind)[part.start : part.stop])


def write_slices(settings: Settings, planned: PlannedRun, rows: Sequence[PlanRow], slices: Sequence[Slice]) -> None:
    """Write each slice's part of the plan, so that no slice has to read the whole plan."""
    folder = CohortFolder(root=settings.data_root, cohort_id=planned.cohort_id)
    by_kind = {kind: rows_of_kind(rows, kind) for kind in {part.kind for part in slices}}

    def write(part: Slice) -> None:
        folder.write_slice(planned.run_key, part.name, by_kind[part.kind][part.start : part.stop])

    for _ in parallel_map(write, slices):
        pass


def unparsed_rows(store: GensDataLayer, rows: Iterable[PlanRow]) -> Iterator[PlanRow]:
    """Return the rows whose evaluation has no parsed.txt yet."""
    return (row for row in rows if not store.evaluation(row.member.gen_id).is_parsed())


def rows_to_call(store: GensDataLayer, rows: Iterable[PlanRow], planned: PlannedRun) -> Iterator[PlanRow]:
    """Yield the rows for which a judge must be asked: see `needs_call`."""
    for row in rows:
        evaluation = store.evaluation(row.member.gen_id)
        if needs_call(evaluation, read_state(evaluation), row, planned):
            yield row


def rows_of_other_slices(settings: Settings, planned: PlannedRun, part: Slice) -> Iterator[PlanRow]:
    """Yield the rows of the run's other slices that a judge can be asked for now, each slice from its end.

    The task of such a slice may be dead, or it may work through its rows from their beginning. Slices whose prompts
    this run has not written yet are left out, and so are rows that this run has tried already. A slice of one
    evaluation leaves the others to their tasks.
    """
    if part.stop - part.start <= 1:
        return
    store = GensDataLayer.from_root(settings.data_root)
    folder = CohortFolder(root=settings.data_root, cohort_id=planned.cohort_id)
    names = [name for name in folder.slice_names(planned.run_key) if name.startswith(f"{part.kind}-")]
    after = names.index(part.name) + 1 if part.name in names else 0
    for name in names[after:] + names[:after]:
        if name == part.name or not folder.has_prompts(planned.run_key, name):
            continue
        for row in reversed(folder.slice_plan(planned.run_key, name) or ()):
            evaluation = store.evaluation(row.member.gen_id)
            state, prompt = read_state(evaluation), evaluation.whole_prompt()
            if not prompt or not prompt.text or state.failure.run == planned.run:
                continue
            if needs_call(evaluation, state, row, planned):
                yield row


def needs_call(evaluation: EvaluationFolder, state: EvaluationState, row: PlanRow, planned: PlannedRun) -> bool:
    """Return True when the judge must be asked for this row.

    This is so when there is no reply, or when the parser refused the reply and this run has retry_unscored. A reply
    that this DagRun itself paid for is never asked for again, even if tasks are retried or cleared.
    """
    if row.action is not Action.CALL or state.is_parsed or state.is_pending:
        return False
    if state.progress is Progress.NO_REPLY:
        return True
    return planned.retry_unscored and state.is_refused and planned.run not in evaluation.reply_runs()
