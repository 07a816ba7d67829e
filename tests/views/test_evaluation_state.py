"""The state of an evaluation: one answer, whatever its folder looks like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.rubric import DEFAULT_SCALE
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_state import MemberState, ShownState, no_number, read_evaluation_state
from tests.conftest import task_ref
from tests.ledger_reading import claimed_by, ledger_of, silence_callers
from tests.store_builder import StoreBuilder

FOLDER = "gens/evaluation/v_1"
META = {"metadata.json": "{}"}
FAILED: dict[str, Any] = {"kind": "http_400", "message": "the server said 400", "attempts": 3}
REFUSED = json.dumps({"success": False, "reason": "no number"})


def fail(**changes: object) -> dict[str, str]:
    """Return a failure.json; a change to None removes the key."""
    record = {key: value for key, value in {**FAILED, **changes}.items() if value is not None}
    return {"failure.json": json.dumps(record)}


def shown(state: MemberState, reason: str = "", score: float | None = None) -> ShownState:
    """Return a shown state with these values."""
    return ShownState(state=state, score=score, reason=reason)


NO_REPLY, UNSCORED, SCORED = MemberState.NO_REPLY, MemberState.UNSCORED, MemberState.SCORED
REPLIED = shown(MemberState.REPLIED, "a reply is stored, but it was not scored yet")
FAILED_SHOWN = shown(MemberState.FAILED, "the server said 400 (attempts: 3)")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, shown(NO_REPLY, "it has no reply"), id="no folder"),
        pytest.param(META, shown(NO_REPLY, "no call was made yet"), id="a seed"),
        pytest.param({**META, "prompt.txt": "?"}, shown(NO_REPLY, "no call was made yet"), id="a prompt"),
        pytest.param({"parsed.txt": "7.5\n"}, shown(SCORED, score=7.5), id="a score"),
        pytest.param({"parsed.txt": "0.0\n"}, shown(SCORED, score=0.0), id="a score of 0"),
        pytest.param({"parsed.txt": "\ufeff9"}, shown(SCORED, score=9.0), id="a score typed by hand"),
        pytest.param({"parsed.txt": "seven\n"}, shown(UNSCORED, no_number(DEFAULT_SCALE)), id="no number"),
        pytest.param({"parsed.txt": "9.5\n"}, shown(UNSCORED, no_number(DEFAULT_SCALE)), id="off the scale"),
        pytest.param({"parsed.txt": "\n"}, shown(UNSCORED, no_number(DEFAULT_SCALE)), id="a blank line"),
        pytest.param({"raw.txt": "hm"}, REPLIED, id="a reply"),
        pytest.param({"raw.txt": "hm", "parsed.txt": ""}, REPLIED, id="an empty parsed.txt"),
        pytest.param({"raw.txt": "hm", "parsed_metadata.json": REFUSED}, shown(UNSCORED, "no number"), id="refused"),
        pytest.param({"raw.txt": "hm", "parsed_metadata.json": "{"}, REPLIED, id="a damaged verdict"),
        pytest.param(
            {"raw.txt": "", "parsed_metadata.json": REFUSED}, shown(UNSCORED, "no number"), id="empty reply"
        ),
        pytest.param(fail(), FAILED_SHOWN, id="failed"),
        pytest.param(
            {"raw.txt": "hm", "parsed_metadata.json": REFUSED, **fail()},
            shown(UNSCORED, "no number"),
            id="asked again",
        ),
        pytest.param({"parsed.txt": "7.5\n", **fail()}, shown(SCORED, score=7.5), id="a score wins over a failure"),
        pytest.param(fail(attempts=0), shown(NO_REPLY, "the server said 400"), id="never sent"),
        pytest.param(fail(attempts=True), shown(NO_REPLY, "the server said 400"), id="attempts that are no count"),
        pytest.param({"raw.txt": "hm", **fail(attempts=0)}, REPLIED, id="never sent again"),
        pytest.param(
            fail(message=None),
            shown(MemberState.FAILED, "its failure.json does not say why (attempts: 3)"),
            id="failed without a word",
        ),
        pytest.param(
            fail(kind="deferred", message="no room", attempts=None),
            shown(MemberState.DEFERRED, "no room"),
            id="deferred",
        ),
        pytest.param(
            fail(kind="deferred", message="no room"), shown(MemberState.DEFERRED, "no room"), id="deferred at last"
        ),
        pytest.param({"failure.json": "[]"}, shown(NO_REPLY, "it has no reply"), id="a damaged failure"),
    ],
)
def test_what_a_folder_says(store: StoreBuilder, files: dict[str, str], expected: ShownState) -> None:
    """The state, the score and the reason follow from the files."""
    for name, text in files.items():
        store.write(f"{FOLDER}/{name}", text)
    assert read_evaluation_state(GensDataLayer.from_root(store.root).evaluation("v_1")) == expected


@pytest.mark.parametrize(
    ("files", "living", "state"),
    [
        pytest.param({}, True, MemberState.IN_FLIGHT, id="called for"),
        pytest.param({}, False, NO_REPLY, id="its caller is gone"),
        pytest.param(fail(), True, MemberState.IN_FLIGHT, id="called for again"),
        pytest.param(fail(), False, MemberState.FAILED, id="failed, its caller is gone"),
        pytest.param({"parsed.txt": "7.5\n"}, True, SCORED, id="a score wins over a caller"),
    ],
)
def test_a_claim_names_the_calling_task(
    store: StoreBuilder, files: dict[str, str], living: bool, state: MemberState
) -> None:
    """A claim counts while its task lives, and only without a score."""
    evaluation = GensDataLayer.from_root(store.root).evaluation("v_1")
    for name, text in {**META, **files}.items():
        store.write(f"{FOLDER}/{name}", text)
    ledger = ledger_of(store.root)
    with claimed_by(task_ref("run-7", "evaluation.evaluation_raw", 2, 3), store.root, "v_1"):
        if not living:
            silence_callers(store.root, 31.0)
        found = read_evaluation_state(evaluation, ledger.holders())
    assert found.state is state
    if state is MemberState.IN_FLIGHT:
        assert "run-7" in found.reason
        assert "try 2 is calling the judge" in found.reason


names = ["metadata.json", "raw.txt", "parsed.txt", "parsed_metadata.json", "failure.json", "call.json"]
contents = st.sampled_from(
    ["", "{", "[]", "{}", "7.0\n", REFUSED, json.dumps(FAILED), '{"kind": "deferred"}', '{"attempts": 1e999}']
) | st.binary(max_size=8)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(names), contents))
def test_any_folder_has_a_state(tmp_path_factory: pytest.TempPathFactory, files: dict[str, str | bytes]) -> None:
    """For any files there is a score exactly if the state is scored; else a reason, unless it was refused."""
    store = StoreBuilder(Path(tmp_path_factory.mktemp("data")))
    for name, content in files.items():
        store.write(f"{FOLDER}/{name}", content)
    found = read_evaluation_state(GensDataLayer.from_root(store.root).evaluation("v_1"))
    assert (found.score is not None) is (found.state is SCORED)
    assert bool(found.reason) is (found.state is not SCORED) or found.state is UNSCORED
