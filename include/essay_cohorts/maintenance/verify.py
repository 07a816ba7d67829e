"""Finds damage in a store, and requests that may have been paid for without a reply; writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from essay_cohorts.amounts import dollars
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.domain import ID_RULE, Stage, is_human, is_id, one_form
from essay_cohorts.errors import Problem
from essay_cohorts.judging.parsers import parse_score_text
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.ledger.records import RecordedRequest
from essay_cohorts.planning.changed_inputs import has_other_settings
from essay_cohorts.records import cell_of
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer

_PARENTS = {Stage.ESSAY: Stage.DRAFT, Stage.EVALUATION: Stage.ESSAY}


@dataclass(frozen=True, kw_only=True, slots=True)
class LostCall:
    """A request without a reply that was paid for, or may have been.

    If `is_paid`, the server charged the request, and `most_usd` is its cost. Otherwise the end of the request is
    unknown, and `most_usd` is the highest possible cost. `most_usd` is None if the cost is unknown.
    """

    cohort_id: str
    gen_id: str
    model_id: str
    run_id: str
    sent_at: str
    most_usd: float | None
    is_paid: bool = False

    def __str__(self) -> str:
        at_most = "" if self.is_paid or self.most_usd is None else "at most "
        sent = f"sent {self.sent_at} by {self.run_id} for cohort {self.cohort_id}"
        return f"{self.gen_id}: {self.model_id}, {sent}, {at_most}{dollars(self.most_usd)}"


def find_lost_calls(settings: Settings) -> Iterator[LostCall]:
    """Yield the requests without a reply that were paid for, and then those that may have been, cohort by cohort.

    Requests that are still under way are left out.
    """
    store, ledger = GensDataLayer.from_root(settings.data_root), Ledger.for_reading(settings)
    yield from (_lost(call, is_paid=True) for call in ledger.paid_in_vain())
    yield from (_lost(call) for call in ledger.unsettled() if store.record_of_call(call.gen_id, call.name) is None)


def _lost(call: RecordedRequest, *, is_paid: bool = False) -> LostCall:
    return LostCall(
        cohort_id=call.cohort_id,
        gen_id=call.gen_id,
        model_id=call.model_id,
        run_id=call.run.run_id,
        sent_at=call.sent_at,
        most_usd=call.cost_usd if is_paid or call.cost_usd is not None else call.worst_usd,
        is_paid=is_paid,
    )


def other_settings(root: Path) -> Mapping[str, int]:
    """Return judge -> the number of replies made by another model, or with other settings, than in llm_models.csv.

    Judges without such a reply are left out.
    """
    store, judges = GensDataLayer.from_root(root), {model.id: model for model in Catalog(root=root).models().value}
    found: Counter[str] = Counter()
    for name in store.folder_names(Stage.EVALUATION):
        if not is_id(name):
            continue
        evaluation = store.evaluation(name)
        record = evaluation.reply_record()
        metadata = evaluation.metadata() if record else None
        cell = metadata.cell if metadata else None
        judge = judges.get(cell.model_id) if cell else None
        if judge is not None:
            asked = record.model or judge.model
            found[judge.id] += one_form(asked) != one_form(judge.model) or has_other_settings(record, judge)
    return {judge: number for judge, number in found.items() if number}


def find_damage(store: GensDataLayer) -> Iterator[Problem]:
    """Yield a problem for each damage in the store, by stage and then by folder name."""
    for stage in Stage:
        for name in sorted(store.folder_names(stage, temporary=True)):
            yield _problem(
                stage, name, "a crash left this folder unfinished.", "Delete the folder: nothing uses this folder."
            )
        for name in sorted(store.folder_names(stage)):
            if is_id(name):
                yield from _generation_damage(store, stage, name)
            else:
                yield _problem(stage, name, "its name is not a valid id.", f"Rename or remove the folder. {ID_RULE}")


def _generation_damage(store: GensDataLayer, stage: Stage, gen_id: str) -> Iterator[Problem]:
    metadata = store.metadata(stage, gen_id)
    if metadata is None:
        finding = "its metadata.json is missing or is not a JSON object."
        next_step = "Restore the file from a backup; until then the folder does not belong to any cell."
        yield _problem(stage, gen_id, finding, next_step)
    else:
        named = metadata.get("gen_id", gen_id)
        if named != gen_id:
            finding = f'its metadata.json names another gen_id, "{named}".'
            yield _problem(stage, gen_id, finding, "Find out which of the two is right, and restore the other.")
        yield from _parent_damage(store, stage, gen_id, metadata.get("parent_gen_id"))
    if stage is Stage.EVALUATION:
        yield from _evaluation_damage(store, gen_id)
        cell = cell_of(metadata or {})
        if cell is not None and is_human(cell.model_id) and store.parsed_text(stage, gen_id) is None:
            finding = "its parsed.txt, the score that a person gave, is missing."
            yield _problem(stage, gen_id, finding, "Restore it, or import the person's scores again.")
    elif stage is Stage.ESSAY and not store.parsed_text(stage, gen_id):
        yield _problem(stage, gen_id, "its parsed.txt, the essay's text, is missing or empty.", "Restore it.")


def _parent_damage(store: GensDataLayer, stage: Stage, gen_id: str, parent: object) -> Iterator[Problem]:
    parent_stage = _PARENTS.get(stage)
    # An essay that a person wrote has no draft. But if an essay names a draft, that draft must exist.
    if parent_stage is None or (stage is Stage.ESSAY and not parent):
        return
    if not is_id(parent) or not store.exists(parent_stage, str(parent)):
        finding = f'its parent, the {parent_stage} "{parent or ""}", is not in the store.'
        yield _problem(stage, gen_id, finding, f"Restore the {parent_stage}, or remove this folder.")


def _evaluation_damage(store: GensDataLayer, gen_id: str) -> Iterator[Problem]:
    stage, evaluation = Stage.EVALUATION, store.evaluation(gen_id)
    names = evaluation.file_names()
    if "parsed.txt" in names:
        text = evaluation.parsed_text() or ""
        if not text:
            finding = "its parsed.txt is empty, because an older program was stopped before it wrote the score."
            yield _problem(stage, gen_id, finding, "Delete the file; planning treats it as missing.")
        elif (verdict := evaluation.verdict_of(text)) != (record := evaluation.verdict_record()):
            finding = "a crash left the replacement of its score half done; the former score still counts."
            again = (
                "Import the ratings again with --replace." if verdict.is_human else "Run `cohorts reparse --write`."
            )
            yield _problem(stage, gen_id, finding, again)
        elif parse_score_text(text, scale := record.rubric.scale) is None:
            finding = f"its parsed.txt holds no number from {scale}: {text[:40]!r}."
            next_step = "Correct parsed.txt according to raw.txt, or delete parsed.txt and run the cohort."
            if record.is_human:
                next_step = "Correct parsed.txt, or import the person's scores again with --replace."
            yield _problem(stage, gen_id, finding, next_step)
    if evaluation.has_pending_reply():
        finding = "a complete reply, already paid for, is in temporary files."
        yield _problem(stage, gen_id, finding, "Run its cohort: the run puts the reply in place without a call.")
    elif any(name.startswith(".") and name.endswith(".tmp") for name in names):
        finding = "it has an incomplete temporary file."
        yield _problem(stage, gen_id, finding, "Delete the .tmp file once no run is under way.")
    if "raw.txt" in names and not evaluation.reply_matches_record():
        finding = "its raw.txt is not the reply that raw_metadata.json records."
        yield _problem(stage, gen_id, finding, "Restore raw.txt from a backup.")


def _problem(stage: Stage, name: str, finding: str, next_step: str) -> Problem:
    return Problem(place=f"gens/{stage}/{name}", finding=finding, next_step=next_step)
