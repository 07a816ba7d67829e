"""Imports people's scores into a data root: decides what is new, what is known and what conflicts, then writes.

Each rating is an evaluation without a reply: `metadata.json` with the mode `human`, `parsed_metadata.json` and
`parsed.txt`. The folder appears with all its files at once, so that an import that was killed is completed by running
the command again. Nothing is written while there is a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import Any, NamedTuple

from essay_cohorts.domain import HUMAN, HUMAN_PREFIX, Stage
from essay_cohorts.errors import Checked, Problem, StoreError, raise_if_any
from essay_cohorts.files.atomic import create_folder_with, json_text, make_folder, sync_path
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.ids import evaluation_gen_id
from essay_cohorts.importing.score_sources import Rating, RatingSource
from essay_cohorts.judging.parsers import parse_score_text, score_text, verdict_record
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.records import VerdictRecord
from essay_cohorts.rubric import points, rubric_of
from essay_cohorts.settings import Settings
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.store.reply_files import PARSED, PARSED_METADATA
from essay_cohorts.store.scan import METADATA

# A person rates an essay once; another opinion replaces the former one.
_REPLICATE = 1

# Shows how many of the ratings are written; the second value is their number.
Progress = Callable[[Iterator[Rating], int], Iterator[Rating]]


class _Kind(Enum):
    NEW = auto()
    UPDATED = auto()
    REPLACED = auto()
    KNOWN = auto()


class _Compared(NamedTuple):
    """A rating, what the store knows of it, and the content of its parsed_metadata.json; or the problem with it."""

    rating: Rating
    kind: _Kind
    record: Mapping[str, Any]
    problem: Problem | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreImport:
    """What an import did: ratings that are new, that got a note, that replaced former scores, and that were known."""

    new: int
    updated: int
    replaced: int
    known: int
    unrated: int


def import_scores(
    settings: Settings, found: Checked[RatingSource], *, replace: bool = False, progress: Progress | None = None
) -> ScoreImport:
    """Import the ratings of a file. BadInput names all problems of the file and all conflicts with the store.

    A rating that the store knows with other scores is a conflict. With `replace` the new scores count, and the former
    verdict is kept. StoreError if the disk refuses.
    """
    store = GensDataLayer.from_root(settings.data_root)
    if found.problems:
        raise_if_any([*found.problems, *_problems(_compare_all(store, found.value.ratings, replace=replace))])
    ledger = Ledger.of(settings)
    with ledger.planning_turn("cohorts import scores"):  # so that no other command creates the same folders
        compared = _compare_all(store, found.value.ratings, replace=replace)
        raise_if_any(_problems(compared))
        todo = [each for each in compared if each.kind is not _Kind.KNOWN]
        written = _write_all(store, todo)
        for _ in progress(written, len(todo)) if progress else written:
            pass
        new = [each.rating for each in compared if each.kind is _Kind.NEW]
        ledger.index.update({_gen_id(rating): rating.cell.essay_id for rating in new})
    counts = {kind: sum(each.kind is kind for each in compared) for kind in _Kind}
    return ScoreImport(
        new=counts[_Kind.NEW],
        updated=counts[_Kind.UPDATED],
        replaced=counts[_Kind.REPLACED],
        known=counts[_Kind.KNOWN],
        unrated=found.value.unrated,
    )


def _problems(compared: Sequence[_Compared]) -> list[Problem]:
    return [each.problem for each in compared if each.problem is not None]


def _compare_all(store: GensDataLayer, ratings: Sequence[Rating], *, replace: bool) -> list[_Compared]:
    return [found for _, found in parallel_map(lambda rating: _compare(store, rating, replace=replace), ratings)]


def _compare(store: GensDataLayer, rating: Rating, *, replace: bool) -> _Compared:
    gen_id = _gen_id(rating)
    if store.is_empty(Stage.EVALUATION, gen_id):
        return _Compared(rating, _Kind.NEW, _record_of(rating))
    evaluation = store.evaluation(gen_id)
    parsed = evaluation.parsed_text() or ""
    known = evaluation.verdict_of(parsed)
    record = _record_of(rating, known)
    problem = _taken(rating, evaluation)
    if problem is not None:
        return _Compared(rating, _Kind.KNOWN, record, problem)
    if not parsed and not known:
        return _Compared(rating, _Kind.UPDATED, record)
    differences = list(_differences(rating, parsed, known))
    if differences:
        problem = None if replace else _conflict(rating, differences)
        # The former remarks are about the former scores, and stay with them.
        return _Compared(rating, _Kind.REPLACED, _record_of(rating), problem)
    return _Compared(rating, _Kind.KNOWN if known.fields == record else _Kind.UPDATED, record)


def _taken(rating: Rating, evaluation: EvaluationFolder) -> Problem | None:
    """Return the problem that the folder of the rating belongs to something else; None if it is the rating's own."""
    metadata = evaluation.metadata()
    cell, place = metadata.cell if metadata else None, f"gens/evaluation/{evaluation.gen_id}"
    if cell == rating.cell:
        return None
    if cell is None:
        finding = f"the metadata.json of its evaluation in {place} is missing or unusable."
        return Problem(place=rating.place, finding=finding, next_step="Restore the file, or delete the folder.")
    if [part.lower() for part in cell] == [part.lower() for part in rating.cell]:
        mine, other = (" ".join(each).replace(HUMAN_PREFIX, "") for each in (rating.cell, cell))
        finding = f'"{mine}" differs only by case from "{other}", which this data root has.'
        return Problem(place=rating.place, finding=finding, next_step="Write it in the same way.")
    finding = f"{place} belongs to another evaluation."
    return Problem(place=rating.place, finding=finding, next_step="Give the rater another id.")


def _differences(rating: Rating, parsed: str, known: VerdictRecord) -> Iterator[str]:
    """Yield where the store and the rating differ, such as `score 6 in the store, 7 in this file`."""
    if known.parser != rating.verdict.parser:
        former, given = (rubric_of(each.version) for each in (known.parser, rating.verdict.parser))
        what = "scale" if former.measure != given.measure else "criteria"
        names = (str(each) if what == "scale" else ", ".join(each.criteria) or "none" for each in (former, given))
        yield "{} {} in the store, {} in this file".format(what, *names)
    score = parse_score_text(parsed, known.rubric.scale)
    if score != rating.verdict.score:
        yield f"score {_shown(score)} in the store, {_shown(rating.verdict.score)} in this file"
    scored = {each.criterion: each.score for each in known.criteria}
    for name, value, _ in rating.verdict.criteria:
        if scored.get(name) != value:
            yield f"{name} {_shown(scored.get(name))} in the store, {_shown(value)} in this file"


def _shown(score: float | None) -> str:
    return "none" if score is None else points(score)


def _conflict(rating: Rating, differences: Sequence[str]) -> Problem:
    essay, template, model = rating.cell
    rater = model.removeprefix(HUMAN_PREFIX)
    finding = f"the rating of {essay} under {template} by {rater} differs: {'; '.join(differences)}."
    next_step = "Delete the rows, or import with --replace, which keeps the former scores as a former version."
    return Problem(place=rating.place, finding=finding, next_step=next_step)


def _write_all(store: GensDataLayer, todo: Sequence[_Compared]) -> Iterator[Rating]:
    folder = make_folder(store.root, store.gens / Stage.EVALUATION)
    combo_of = cache(lambda essay_id: _combo_of(store, essay_id))

    def write(each: _Compared) -> None:
        evaluation = store.evaluation(_gen_id(each.rating))
        score = score_text(each.rating.verdict.score or 0.0)
        if each.kind is not _Kind.NEW:
            evaluation.replace_verdict(each.record, score, result_changes=True)
            return
        metadata = _metadata(each.rating, combo_of(each.rating.cell.essay_id))
        files = {METADATA: json_text(metadata), PARSED_METADATA: json_text(each.record), PARSED: score}
        if not create_folder_with(evaluation.writable(), files):
            msg = f"Another process created gens/evaluation/{evaluation.gen_id}. Run the import again."
            raise StoreError(msg)

    for each, _ in parallel_map(write, todo):
        yield each.rating
    sync_path(folder)


def _combo_of(store: GensDataLayer, essay_id: str) -> str:
    essay = store.generation(Stage.ESSAY, essay_id)
    return essay.combo_id if essay else ""


def _gen_id(rating: Rating) -> str:
    return evaluation_gen_id(*rating.cell, _REPLICATE)


def _metadata(rating: Rating, combo_id: str) -> dict[str, Any]:
    return {
        "stage": Stage.EVALUATION.value,
        "gen_id": _gen_id(rating),
        "origin_cohort_id": HUMAN,
        "mode": HUMAN,
        "template_id": rating.cell.template_id,
        "combo_id": combo_id,
        "parent_gen_id": rating.cell.essay_id,
        "llm_model_id": rating.cell.model_id,
        "replicate": _REPLICATE,
    }


def _record_of(rating: Rating, known: VerdictRecord | None = None) -> dict[str, Any]:
    """Return the content of parsed_metadata.json; a note that the file does not state keeps its former text."""
    record = verdict_record(rating.verdict)
    former = known.fields if known else {}
    note = rating.notes.get("", former.get("note", ""))
    criteria = former.get("criteria")
    for name, value in record.get("criteria", {}).items():
        held = criteria.get(name) if isinstance(criteria, dict) else None
        kept = rating.notes.get(name, held.get("note", "") if isinstance(held, dict) else "")
        if kept:
            value["note"] = kept
    return {**record, **({"note": note} if note else {})}
