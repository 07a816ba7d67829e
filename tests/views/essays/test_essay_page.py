"""One essay with everybody's evaluations: judges, people, criteria, and the scale that counts."""

from __future__ import annotations

from typing import Any

import pytest

from essay_cohorts.errors import BadInput
from essay_cohorts.rubric import Scale
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_list import EssayLists, list_essays
from essay_cohorts.views.essays.essay_page import EssayPage, read_essay
from essay_cohorts.views.essays.evaluation_directory import EvaluationDirectory
from essay_cohorts.views.evaluation_state import MemberState
from tests.store_builder import StoreBuilder


def page_of(store: StoreBuilder, essay_id: str, directory: EvaluationDirectory | None = None) -> EssayPage:
    layer = GensDataLayer.from_root(store.root)
    found = (directory or EvaluationDirectory()).by_essay(layer, {essay_id})
    return read_essay(layer, essay_id, found.get(essay_id, {}))


def verdict(store: StoreBuilder, gen_id: str, version: str, score: float, **criteria: float) -> None:
    record: dict[str, Any] = {
        "parser_name": "in_last_line",
        "parser_version": version,
        "success": True,
        "score": score,
        "reason": "",
        "criteria": {name: {"score": value, "reason": ""} for name, value in criteria.items()},
    }
    store.json(f"gens/evaluation/{gen_id}/parsed_metadata.json", record)


def test_judges_and_people_are_side_by_side(store: StoreBuilder) -> None:
    """Judges come first; their means, not people's scores, make the mean and the disagreement."""
    essay = store.essay(1)
    store.evaluation("v_1", essay, score=4.0)
    store.evaluation("v_2", essay, score=5.0, replicate=2)
    store.evaluation("v_3", essay, model="judge-b", score=8.0)
    store.evaluation("v_4", essay, model="judge-b", score=None, reply="no number", replicate=2, refused="none stated")
    store.rating("v_5", essay, "ann", 1.0, more={"note": "Too long."})
    (template,) = page_of(store, essay).templates
    assert [(each.model_id, each.rater, each.scored, each.mean) for each in template.judged] == [
        ("judge-a", "", 2, 4.5),
        ("judge-b", "", 1, 8.0),
        ("human-ann", "ann", 1, 1.0),
    ]
    assert template.mean == 6.25
    assert template.disagreement is not None
    assert (template.disagreement.points, template.disagreement.is_large) == (3.5, True)
    refused = template.judged[1].evaluations[1]
    assert (refused.state, refused.reason, refused.text) == (MemberState.UNSCORED, "none stated", "no number")
    assert template.judged[2].evaluations[0].text == "Too long."


def test_scores_on_another_scale_do_not_count(store: StoreBuilder) -> None:
    """The scale of most scores counts, and a mean never mixes two scales."""
    essay = store.essay(1)
    for number, (version, score) in enumerate([("2+scale=1..5", 4.0), ("2+scale=1..5", 2.0), ("2", 9.0)], start=1):
        store.evaluation(f"v_{number}", essay, score=score, replicate=number)
        verdict(store, f"v_{number}", version, score)
    (template,) = page_of(store, essay).templates
    assert (template.scale, template.mean) == (Scale(1, 5), 3.0)
    assert [each.score for each in template.judged[0].evaluations] == [4.0, 2.0, 9.0]


def test_the_judges_decide_the_scale(store: StoreBuilder) -> None:
    """Many people's scores on a former scale do not take the judges' means away."""
    essay = store.essay(1)
    store.evaluation("v_1", essay, score=3.0)
    verdict(store, "v_1", "2+scale=1..5", 3.0)
    for number, rater in enumerate(("ann", "ben", "cem")):
        store.rating(f"v_h{number}", essay, rater, 8.0)
    (template,) = page_of(store, essay).templates
    assert (template.scale, template.mean) == (Scale(1, 5), 3.0)


def test_made_up_scores_do_not_count_where_only_real_ones_do(store: StoreBuilder) -> None:
    """The list counts the same scores as the essay's page: none of the offline judge without OFFLINE_OK."""
    essay = store.essay(1)
    store.evaluation("v_1", essay)
    store.json("gens/evaluation/v_1/raw_metadata.json", {"response_model": "offline-judge-not-a-model/x"})
    store.evaluation("v_2", essay, model="judge-b")
    assert list_essays(store.root)[0].scored == 2
    (store.root / "1_raw/OFFLINE_OK").unlink()
    assert list_essays(store.root)[0].scored == 1


def test_criteria_are_listed(store: StoreBuilder) -> None:
    """Each criterion that was scored is named once."""
    essay = store.essay(1)
    store.evaluation("v_1", essay, score=4.0)
    verdict(store, "v_1", "2+criteria=novelty;clarity", 4.0, novelty=3.0, clarity=5.0)
    (template,) = page_of(store, essay).templates
    assert template.criteria == ["novelty", "clarity"]


def test_an_essay_that_nobody_judged(store: StoreBuilder) -> None:
    """The page of such an essay has its text and no templates."""
    page = page_of(store, store.essay(1))
    assert (page.templates, page.words, page.writer) == ((), 6, "writer")
    assert page.essay.title == "Essay number 1."


@pytest.mark.parametrize("essay_id", ["e_none", ".x", "../e_essay1", ""])
def test_an_essay_that_does_not_exist(store: StoreBuilder, essay_id: str) -> None:
    """An unknown or invalid id is bad input."""
    with pytest.raises(BadInput):
        page_of(store, essay_id)


def test_the_directory_sees_what_was_added_and_deleted(store: StoreBuilder) -> None:
    """A folder that comes or goes is noticed by the next answer, and a folder without metadata once it has some."""
    essay, directory = store.essay(1), EvaluationDirectory()
    layer = GensDataLayer.from_root(store.root)
    store.evaluation("v_1", essay)
    (store.root / "gens/evaluation/v_2").mkdir()
    assert list(directory.by_essay(layer)[essay]) == ["v_1"]
    store.evaluation("v_2", essay, model="judge-b")
    assert list(directory.by_essay(layer, {essay})[essay]) == ["v_1", "v_2"]
    for path in (store.root / "gens/evaluation/v_1").iterdir():
        path.unlink()
    (store.root / "gens/evaluation/v_1").rmdir()
    assert list(directory.by_essay(layer)[essay]) == ["v_2"]


def test_the_directory_reads_each_record_once(store: StoreBuilder) -> None:
    """The metadata of a known evaluation is not read again."""
    essay, directory = store.essay(1), EvaluationDirectory()
    layer = GensDataLayer.from_root(store.root)
    store.evaluation("v_1", essay)
    before = directory.by_essay(layer)
    store.write("gens/evaluation/v_1/metadata.json", "{}")
    assert directory.by_essay(layer) == before


def test_a_list_is_kept_as_long_as_it_is_fresh(store: StoreBuilder) -> None:
    """Within a second the list is the same; afterwards it has the new essay."""
    store.essay(1)
    now = [100.0]
    lists = EssayLists(EvaluationDirectory(), clock=lambda: now[0])
    assert list(lists.get(store.root)) == ["e_essay1"]
    store.essay(2)
    assert list(lists.get(store.root)) == ["e_essay1"]
    now[0] += 1.5
    assert list(lists.get(store.root)) == ["e_essay1", "e_essay2"]
    assert list(lists.get(store.root).values()) == list_essays(store.root)
