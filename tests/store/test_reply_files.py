"""Tests of storing a paid reply: whatever happens meanwhile, neither this reply nor a former one is lost."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from essay_cohorts.errors import StoreError
from essay_cohorts.store import reply_files
from tests.conftest import full_disk, killed_before, torn_after

NEW_TEXT = "Because it is é, 漢字 and \U0001f642.\r\n" * 30 + "SCORE: 7\n"
NEW_RECORD = {"llm_model_id": "judge-a", "run_id": "run-2", "note": "é", "created_at": "2026-01-02T00:00:00Z"}
FAILURE = '{"kind": "timeout", "created_at": "2026-01-01T00:00:00Z"}'
OLD_TEXT, OLD_RECORD, OLD_VERDICT = "The former reply.\n", {"run_id": "run-1"}, {"success": False, "reason": "no"}
KEPT = {"raw.1.txt": "An even older one.\n", "raw_metadata.1.json": '{"run_id": "run-0"}'}

Build = Callable[[Path], None]


def fresh(folder: Path) -> None:
    """Make an evaluation that failed before and has no reply."""
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text("{}", encoding="utf-8")
    (folder / "failure.json").write_text(FAILURE, encoding="utf-8")


def refused(folder: Path) -> None:
    """Make an evaluation whose reply was refused."""
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text("{}", encoding="utf-8")
    (folder / "raw.txt").write_text(OLD_TEXT, encoding="utf-8")
    (folder / "raw_metadata.json").write_text(json.dumps(OLD_RECORD), encoding="utf-8")
    (folder / "parsed_metadata.json").write_text(json.dumps(OLD_VERDICT), encoding="utf-8")


def refused_twice(folder: Path) -> None:
    """Make an evaluation whose second reply was refused too; the first reply is kept."""
    refused(folder)
    for name, text in KEPT.items():
        (folder / name).write_text(text, encoding="utf-8")


BUILDS = [
    pytest.param(fresh, id="first reply"),
    pytest.param(refused, id="in place of a refused one"),
    pytest.param(refused_twice, id="in place of a second refused one"),
]


def store(folder: Path) -> None:
    """Store the new reply in a folder."""
    reply_files.store(folder, NEW_TEXT, NEW_RECORD)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file's bytes by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def is_new_record(content: bytes) -> bool:
    """Return True for the complete metadata of the new reply."""
    try:
        value = json.loads(content)
    except ValueError:
        return False
    return isinstance(value, dict) and NEW_RECORD.items() <= value.items()


def holds_a_whole_new_reply(folder: Path) -> bool:
    """Return True if both parts of the new reply are completely on the disk, under any names."""
    present = contents(folder).values()
    return NEW_TEXT.encode() in present and any(is_new_record(content) for content in present)


def assert_new_reply_is_in_place(folder: Path) -> None:
    """Assert that raw.txt and raw_metadata.json are the new reply's, and that no temporary file is left."""
    present = contents(folder)
    assert present["raw.txt"] == NEW_TEXT.encode()
    assert is_new_record(present["raw_metadata.json"])
    assert not [name for name in present if name.startswith(".")]


def crashes(tmp_path: Path, build: Build, action: Callable[[Path], object]) -> Iterator[Path]:
    """Yield a folder for each point at which the action can be killed, and one after the whole action."""
    for point in count(1):
        folder = tmp_path / f"killed before call {point}" / "v_1"
        build(folder)
        died = killed_before(point, folder, partial(action, folder))
        yield folder
        if not died:
            assert point > 5, "too few file-system calls were seen: the experiment shows nothing"
            return


@pytest.mark.parametrize("build", BUILDS)
def test_stored(tmp_path: Path, build: Build) -> None:
    """A stored reply is raw.txt byte for byte, and its metadata holds the given record."""
    folder = tmp_path / "v_1"
    build(folder)
    store(folder)
    assert_new_reply_is_in_place(folder)
    assert "failure.json" not in contents(folder)
    assert not reply_files.is_pending(folder)
    assert reply_files.matches_recorded_hash(folder)


def test_a_former_reply_is_kept_under_one_number(tmp_path: Path) -> None:
    """The former reply, its metadata and its verdict get the same number, the lowest that is free."""
    folder = tmp_path / "v_1"
    refused_twice(folder)
    store(folder)
    present = contents(folder)
    assert present["raw.2.txt"] == OLD_TEXT.encode()
    assert json.loads(present["raw_metadata.2.json"]) == OLD_RECORD
    assert json.loads(present["parsed_metadata.2.json"]) == OLD_VERDICT
    assert "parsed_metadata.json" not in present
    assert {name: present[name].decode() for name in KEPT} == KEPT


@pytest.mark.parametrize("build", BUILDS)
def test_killed_at_any_point_nothing_paid_for_is_lost(tmp_path: Path, build: Build) -> None:
    """Once both parts are on the disk the reply is pending or in place, and `complete` puts it in place unchanged."""
    seen = set()
    for folder in crashes(tmp_path, build, store):
        whole = holds_a_whole_new_reply(folder)
        in_place = contents(folder).get("raw.txt") == NEW_TEXT.encode()
        seen.add((whole, in_place))
        assert reply_files.is_pending(folder) is (whole and not in_place), folder
        assert reply_files.complete(folder) is (whole and not in_place), folder
        if whole:
            assert_new_reply_is_in_place(folder)
    assert seen == {(False, False), (True, False), (True, True)}


@pytest.mark.parametrize("build", BUILDS)
def test_killed_at_any_point_a_reply_has_its_own_metadata(tmp_path: Path, build: Build) -> None:
    """Unless a reply is pending, raw.txt always has its own metadata next to it."""
    for folder in crashes(tmp_path, build, store):
        if reply_files.is_pending(folder):
            reply_files.complete(folder)
        present = contents(folder)
        if "raw.txt" in present:
            is_new = present["raw.txt"] == NEW_TEXT.encode()
            assert is_new or present["raw.txt"] == OLD_TEXT.encode(), folder
            assert is_new_record(present["raw_metadata.json"]) is is_new, folder
            assert is_new or json.loads(present["raw_metadata.json"]) == OLD_RECORD, folder


@pytest.mark.parametrize("build", BUILDS)
def test_killed_before_it_is_whole_the_former_reply_is_untouched(tmp_path: Path, build: Build) -> None:
    """Until the new reply is completely on the disk, every former file is unchanged."""
    build(tmp_path / "as it was")
    before = contents(tmp_path / "as it was")
    for folder in crashes(tmp_path, build, store):
        if not holds_a_whole_new_reply(folder):
            present = contents(folder)
            assert {name: present[name] for name in present if not name.startswith(".")} == before, folder


@pytest.mark.slow
@pytest.mark.parametrize("build", BUILDS)
def test_killed_again_while_completing(tmp_path: Path, build: Build) -> None:
    """A second crash at any point of `complete`, after a first crash at any point, loses nothing either."""
    pairs = 0
    for first in crashes(tmp_path, build, store):
        if not reply_files.is_pending(first):
            continue
        for point in count(1):
            second = tmp_path / f"{first.parent.name}, then {point}" / "v_1"
            shutil.copytree(first, second)
            died = killed_before(point, second, partial(reply_files.complete, second))
            reply_files.complete(second)
            assert_new_reply_is_in_place(second)
            pairs += 1
            if not died:
                break
    assert pairs > 5, "too few crashes were seen: the experiment shows nothing"


OLD_REASONING, NEW_REASONING = "What I thought before.\n", "What I think now: é.\n"


def refused_after_reasoning(folder: Path) -> None:
    """Make an evaluation with a refused reply that had reasoning."""
    refused(folder)
    (folder / "reasoning.txt").write_text(OLD_REASONING, encoding="utf-8")


@pytest.mark.parametrize("new", [pytest.param(NEW_REASONING, id="with reasoning"), pytest.param("", id="without")])
@pytest.mark.parametrize(
    ("build", "old"),
    [
        pytest.param(refused_after_reasoning, OLD_REASONING, id="in place of reasoning"),
        pytest.param(fresh, "", id="first"),
    ],
)
def test_killed_at_any_point_reasoning_stays_with_its_reply(tmp_path: Path, build: Build, old: str, new: str) -> None:
    """Reasoning is in place once its reply is, and a former reply's reasoning has the former reply's number."""
    deaths = 0
    for folder in crashes(tmp_path, build, lambda folder: reply_files.store(folder, NEW_TEXT, NEW_RECORD, new)):
        deaths += 1
        in_place = reply_files.complete(folder) or (folder / "raw.txt").exists()
        is_new = in_place and (folder / "raw.txt").read_bytes() == NEW_TEXT.encode()
        found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("reasoning*.txt")}
        current = {"reasoning.txt": new} if new else {}
        former = {"reasoning.1.txt": old} if old else {}
        assert found == ({**current, **former} if is_new else {"reasoning.txt": old} if old else {})
    assert deaths > 5


def test_reasoning_of_a_reply_that_came_after_the_score(tmp_path: Path) -> None:
    """A reply that came too late is kept next to the scored reply, and its reasoning has the same number."""
    folder = tmp_path / "v"
    refused_after_reasoning(folder)
    (folder / "parsed.txt").write_text("7.0\n", encoding="utf-8")
    reply_files.store(folder, NEW_TEXT, NEW_RECORD, NEW_REASONING)
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in ("reasoning.txt", "reasoning.1.txt")}
    assert texts == {"reasoning.txt": OLD_REASONING, "reasoning.1.txt": NEW_REASONING}
    assert (folder / "raw.1.txt").read_bytes() == NEW_TEXT.encode()


def _kept(folder: Path) -> dict[str, list[bytes]]:
    """Return the kept files of each kind: number and content, in order."""
    found = (
        (re.fullmatch(r"(raw|raw_metadata|parsed_metadata)\.(\d+)\.\w+", name), content)
        for name, content in contents(folder).items()
    )
    numbered = sorted((match[1], int(match[2]), content) for match, content in found if match)
    kinds = {kind for kind, _, _ in numbered}
    return {kind: [number.to_bytes() + content for k, number, content in numbered if k == kind] for kind in kinds}


@pytest.mark.parametrize("build", BUILDS[1:])
def test_killed_at_any_point_former_replies_are_kept_once_with_matching_numbers(tmp_path: Path, build: Build) -> None:
    """After `complete` each former reply is kept exactly once, and its other files have the same number."""
    undisturbed = tmp_path / "undisturbed"
    build(undisturbed)
    store(undisturbed)
    for folder in crashes(tmp_path, build, store):
        reply_files.complete(folder)
        if contents(folder)["raw.txt"] == NEW_TEXT.encode():
            assert _kept(folder) == _kept(undisturbed), folder


def test_killed_at_any_point_a_failure_does_not_outlive_the_reply(tmp_path: Path) -> None:
    """failure.json is removed once raw.txt exists, also after a crash between the two steps."""
    for folder in crashes(tmp_path, fresh, store):
        reply_files.complete(folder)
        present = contents(folder)
        assert not ("raw.txt" in present and "failure.json" in present), folder


def test_a_failure_of_a_later_call_is_kept(tmp_path: Path) -> None:
    """A failure.json newer than the reply belongs to a later call, so `complete` keeps it."""
    refused(tmp_path / "v_1")
    (tmp_path / "v_1" / "raw_metadata.json").write_text('{"created_at": "2025-12-31T00:00:00Z"}', encoding="utf-8")
    (tmp_path / "v_1" / "failure.json").write_text(FAILURE, encoding="utf-8")
    before = contents(tmp_path / "v_1")
    assert reply_files.complete(tmp_path / "v_1") is False
    assert contents(tmp_path / "v_1") == before


@pytest.mark.parametrize("build", BUILDS)
def test_complete_twice_is_as_complete_once(tmp_path: Path, build: Build) -> None:
    """A second `complete` finds nothing to do and changes nothing."""
    for folder in crashes(tmp_path, build, store):
        reply_files.complete(folder)
        before = contents(folder)
        assert reply_files.complete(folder) is False
        assert contents(folder) == before


@pytest.mark.parametrize("size", [pytest.param(size, id=f"{size} bytes") for size in (0, 1, 50, 500, 1500)])
@pytest.mark.parametrize("build", BUILDS)
def test_a_torn_temporary_reply_is_never_taken(tmp_path: Path, build: Build, size: int) -> None:
    """A process that dies while writing either temporary file leaves nothing that counts as a reply."""
    folder = tmp_path / "v_1"
    build(folder)
    before = contents(folder)
    torn_after(size, lambda: store(folder))
    if not holds_a_whole_new_reply(folder):
        assert not reply_files.is_pending(folder)
        assert reply_files.complete(folder) is False
        present = contents(folder)
        assert {name: present[name] for name in present if not name.startswith(".")} == before


def test_a_reply_torn_at_every_length(tmp_path: Path) -> None:
    """A torn text is not accepted as the reply, even if its metadata is complete."""
    whole = next(folder for folder in crashes(tmp_path, fresh, store) if reply_files.is_pending(folder))
    [raw] = whole.glob(".raw.txt.*.tmp")
    text = raw.read_bytes()
    for length in (0, 1, len(text) // 2, len(text) - 1):
        raw.write_bytes(text[:length])
        assert not reply_files.is_pending(whole), length
    raw.write_bytes(text)
    assert reply_files.complete(whole)


@pytest.mark.parametrize("room", [pytest.param(room, id=f"{room} bytes") for room in (0, 100, 1000)])
@pytest.mark.parametrize("build", BUILDS)
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, build: Build, room: int) -> None:
    """If the disk refuses the reply, a StoreError names the file and the folder is unchanged."""
    folder = tmp_path / "v_1"
    build(folder)
    before = contents(folder)
    with full_disk(room), pytest.raises(StoreError, match=r"raw.*cannot be written"):
        store(folder)
    assert contents(folder) == before


@pytest.mark.parametrize("build", BUILDS)
def test_a_disk_that_is_full_after_the_reply_leaves_what_was_there(tmp_path: Path, build: Build) -> None:
    """If the disk takes the reply but not its record, the folder is unchanged: a reply needs its record."""
    folder = tmp_path / "v_1"
    build(folder)
    before = contents(folder)
    with full_disk(1000), pytest.raises(StoreError, match=r"raw.*cannot be written"):
        reply_files.store(folder, "SCORE: 7\n", {"note": "x" * 2000})
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("text", "record"),
    [
        pytest.param("half a pair: \ud83d", {}, id="in the reply"),
        pytest.param("SCORE: 7", {"response_model": "m \ud83d"}, id="in the metadata"),
    ],
)
def test_half_a_surrogate_pair_does_not_lose_a_reply(tmp_path: Path, text: str, record: dict[str, str]) -> None:
    """A paid reply with a lone surrogate, which UTF-8 cannot hold, is stored with a valid hash."""
    fresh(tmp_path / "v_1")
    reply_files.store(tmp_path / "v_1", text, record)
    assert (tmp_path / "v_1" / "raw.txt").exists()
    assert reply_files.matches_recorded_hash(tmp_path / "v_1")


@pytest.mark.parametrize(
    ("text", "record", "expected"),
    [
        pytest.param("SCORE: 7\n", None, True, id="no record"),
        pytest.param("SCORE: 7\n", {"model": "m"}, True, id="another program's record, without a hash"),
        pytest.param("SCORE: 9\n", {"reply_sha256": "0" * 64}, False, id="another reply's hash"),
    ],
)
def test_matches_recorded_hash(tmp_path: Path, text: str, record: dict[str, str] | None, expected: bool) -> None:
    """With a recorded hash a changed reply is detected."""
    (tmp_path / "raw.txt").write_text(text, encoding="utf-8")
    if record is not None:
        (tmp_path / "raw_metadata.json").write_text(json.dumps(record), encoding="utf-8")
    assert reply_files.matches_recorded_hash(tmp_path) is expected


def test_nothing_is_pending_where_nothing_is(tmp_path: Path) -> None:
    """A missing or empty folder has no pending reply."""
    assert reply_files.complete(tmp_path) is False
    assert reply_files.complete(tmp_path / "none") is False
