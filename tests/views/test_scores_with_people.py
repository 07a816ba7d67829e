"""The scores of judges that are compared with people's: of a cohort or of the store, for the same essays."""

from __future__ import annotations

import pytest

from essay_cohorts.backfill.plan_cohort import plan_cohort
from essay_cohorts.domain import ScoreRow
from essay_cohorts.errors import BadInput
from essay_cohorts.provenance import OFFLINE_OK
from essay_cohorts.rubric import Scale
from essay_cohorts.settings import Settings
from essay_cohorts.views.scores_with_people import scores_with_people
from tests.conftest import task_ref
from tests.store_builder import StoreBuilder


@pytest.fixture
def rated(store: StoreBuilder) -> StoreBuilder:
    """Return three judged essays: 1 and 2 rated by novelty, 2 also by coherence; and scores that do not count."""
    store.backfill(store.essay(1), store.essay(2))
    store.essay(3)
    for number in (1, 2, 3):
        store.evaluation(f"v_n{number}", f"e_essay{number}", score=5.0)
        store.evaluation(f"v_c{number}", f"e_essay{number}", template="coherence", score=6.0)
    store.evaluation("v_open", "e_essay1", replicate=2, score=None)
    store.evaluation("v_odd", "e_essay1", replicate=3, score="twelve")
    store.rating("v_h1", "e_essay1", "anna", 4.0)
    store.rating("v_h2", "e_essay2", "anna", 4.0)
    version, more = "1+scale=1..5+criteria=flow", {"criteria": {"flow": {"score": 2.0}}}
    store.rating("v_h2c", "e_essay2", "bo", 3.0, template="coherence", version=version, more=more)
    return store


def ids(rows: list[ScoreRow]) -> set[str]:
    """Return the gen_ids of the rows, each of which must be there once."""
    found = [row.member.gen_id for row in rows]
    assert len(found) == len(set(found))
    return set(found)


PEOPLE = {"v_h1", "v_h2", "v_h2c"}


def test_of_the_store_only_what_people_have_rated(rated: StoreBuilder) -> None:
    """Judges' scores of other essays or templates are not read; a score that is no number does not count."""
    rows = scores_with_people(Settings(data_root=rated.root))
    assert ids(rows) == {"v_n1", "v_n2", "v_c2"} | PEOPLE
    [bo] = [row for row in rows if row.member.llm_model_id == "human-bo"]
    assert (bo.scale, [(each.criterion, each.score) for each in bo.criteria]) == (Scale(1, 5), [("flow", 2.0)])


def test_of_a_template_all_that_judges_have_scored(rated: StoreBuilder) -> None:
    """A sample is drawn from the essays that nobody has rated, too."""
    rows = scores_with_people(Settings(data_root=rated.root), template_id="novelty")
    assert ids(rows) == {"v_n1", "v_n2", "v_n3", "v_h1", "v_h2"}


@pytest.mark.parametrize(
    ("template", "found"),
    [
        pytest.param(None, {"v_n1", "v_n2", "v_h1", "v_h2"}, id="all templates of the cohort"),
        pytest.param("novelty", {"v_n1", "v_n2", "v_h1", "v_h2"}, id="its template"),
        pytest.param("coherence", set(), id="another template"),
    ],
)
def test_of_a_cohort_its_members_and_the_people_beside_them(
    rated: StoreBuilder, template: str | None, found: set[str]
) -> None:
    """The judges' scores are the cohort's, and people's are those of its essays and templates."""
    conf = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"]}
    plan_cohort(Settings(data_root=rated.root), conf, task_ref("run-1", "plan_cohort", 1))
    rated.rating("v_h3", "e_essay3", "anna", 4.0)
    assert ids(scores_with_people(Settings(data_root=rated.root), "c", template_id=template)) == found


def test_made_up_scores_are_not_compared(rated: StoreBuilder) -> None:
    """Where only real scores count, the offline judge agrees with nobody."""
    (rated.root / OFFLINE_OK).unlink()
    rated.json("gens/evaluation/v_n1/raw_metadata.json", {"response_model": "offline-judge-not-a-model/a"})
    assert "v_n1" not in ids(scores_with_people(Settings(data_root=rated.root)))


def test_a_cohort_that_does_not_exist(rated: StoreBuilder) -> None:
    """The message names the cohorts there are."""
    with pytest.raises(BadInput, match="there is no cohort x with members"):
        scores_with_people(Settings(data_root=rated.root), "x")
