"""Fuzz tests of selection files: every line is understood, or a problem names its line."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from essay_cohorts.errors import Problem
from essay_cohorts.planning.selection_file import Selection, parse_selection
from tests.fuzz import fuzzed
from tests.fuzz.near_misses import (
    GOOD_IDS,
    HOSTILE_LINES,
    ODD_IDS,
    is_readable,
    lines_of,
    may_be_an_id,
    odd_texts,
    with_slips,
)

PLACE = "2_tasks/selected_essays.txt"
MODES = ("evaluation-only", "evaluations-only", "reuse-essays", "reuse_essays")
MODES_OF_OTHERS = ("reuse-drafts", "reuse_drafts", "regenerate")
BACKFILL = ("include-existing-evaluations", "skip-existing-evaluations", "fill-up", "fillup", "backfill-mode")
GOOD_DIRECTIVES = tuple(
    f"{sign}{directive}{behind}"
    for directive in (*(f"mode{colon}{mode}" for mode in MODES for colon in (":", ": ", " : ")), *BACKFILL)
    for sign in ("#", "# ", "  #\t")
    for behind in ("", " ")
)
NEAR_DIRECTIVES = (
    *("# mode evaluation-only", "# mode: evalution-only", "# mode:", "# mode", "#mode = evaluation-only"),
    *("# include-existing-evaluation", "# include existing", "# fill-ups", "# backfil-mode", "## fill-up"),
    *("mode: evaluation-only", "fill-up", "MODE : regenerate", "include-existing-evaluations"),
    *("# evaluation-only", "# include-existing-evaluations please", "# Mode: REUSE_ESSAYS", "# FILL - UP"),
    *(f"# mode: {mode}" for mode in MODES_OF_OTHERS),
)
COMMENTS = ("#", "# the second batch", "# 7", "#!/bin/sh", "# mode of transport", "# fill in later", "# e_essay1")
NOTHING = ("", " ", "\t", "\u3000")
lines = st.one_of(
    *map(st.sampled_from, (GOOD_IDS, GOOD_IDS, GOOD_DIRECTIVES, NEAR_DIRECTIVES, COMMENTS, NOTHING, ODD_IDS)),
    with_slips(st.sampled_from([*GOOD_IDS, *GOOD_DIRECTIVES, *NEAR_DIRECTIVES])),
    st.sampled_from(HOSTILE_LINES),
    odd_texts(20),
)
good_lines = st.sampled_from([*GOOD_DIRECTIVES, *COMMENTS, *NOTHING, *(f" {gen_id}\t" for gen_id in GOOD_IDS)])
ends = st.sampled_from(["\n", "\n", "\r\n", "\r"])


def files(lines: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make files of such lines with various line ends, with or without a BOM."""
    written = st.lists(st.tuples(lines, ends).map("".join), max_size=7)
    return st.tuples(st.sampled_from(["", "", "\ufeff"]), written.map("".join)).map("".join)


@fuzzed("selections")
@given(st.one_of(files(good_lines), files(lines), with_slips(files(good_lines)), st.text(max_size=60)))
@example("\ufeff\ufeffe_1\n# mode: evaluation-only").via("two BOMs")
@example("# mode: evaluation-only\ne_1\x0be_2\n").via("two ids with a vertical tab between them")
def test_a_file_is_understood_or_its_lines_are_named(text: str) -> None:
    """Without a problem every line is one that the rules know, and what it asks for is in the selection."""
    written = [line.strip() for line in lines_of(text.removeprefix("\ufeff"))]
    checked = parse_selection(text, PLACE)
    for problem in checked.problems:
        check_problem(problem, len(written))
    check_ids(checked.value, written)
    if not checked.problems:
        asked = [line for line in written if line and not line.startswith("#")]
        assert [selected.gen_id for selected in checked.value.ids] == asked
        assert asked
        directives = ["".join(line[1:].lower().split()) for line in written if line.startswith("#")]
        modes = [directive.partition(":")[2] for directive in directives if directive.startswith("mode:")]
        assert set(modes) <= set(MODES)
        assert checked.value.mode == ("evaluation-only" if modes else None)
        assert checked.value.include_existing == any(directive in BACKFILL for directive in directives)
        assert not checked.value.mode_is_wrong


@fuzzed("good selections")
@given(files(good_lines))
def test_a_file_of_good_lines_has_only_its_ids_to_mend(text: str) -> None:
    """Directives, comments, blanks and ids in any order are no problem, but for an id that stands twice."""
    written = [line.strip() for line in lines_of(text.removeprefix("\ufeff"))]
    ids = [line for line in written if line and not line.startswith("#")]
    again = [number for number, line in enumerate(written, start=1) if line in ids and line in written[: number - 1]]
    places = [problem.place for problem in parse_selection(text, PLACE).problems]
    assert places == [f"{PLACE}:{number}" for number in again] + ([] if ids else [PLACE])


def check_problem(problem: Problem, lines: int) -> None:
    """Assert that the problem is readable and names the file, or a line that the file has."""
    place, colon, line = problem.place.partition(":")
    assert place == PLACE
    assert not colon or 1 <= int(line) <= lines
    assert is_readable(str(problem))
    assert problem.finding.strip()
    assert problem.next_step.strip()


def check_ids(selection: Selection, written: list[str]) -> None:
    """Assert that each id is valid and unique, and is the whole text of the line that it names."""
    for selected in selection.ids:
        assert may_be_an_id(selected.gen_id)
        assert written[selected.line - 1] == selected.gen_id
    assert len({selected.gen_id for selected in selection.ids}) == len(selection.ids)
