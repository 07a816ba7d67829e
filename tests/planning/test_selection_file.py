"""The selection file: what each line means, and how mistakes are reported."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from essay_cohorts.domain import ID_PATTERN, is_id
from essay_cohorts.planning.selection_file import (
    EVALUATION_ONLY,
    INCLUDE_EXISTING,
    parse_selection,
    read_mode,
    selection_text,
)

PROPERTY = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
MODE = f"# mode: {EVALUATION_ONLY}"
INCLUDE = f"# {INCLUDE_EXISTING}"


NOT_RUN = (
    'is known, but evaluation_backfill does not run it. This DAG judges essays that exist: write "evaluation-only".'
)


def findings(text: str) -> list[str]:
    """Return the problems of a selection as a person reads them."""
    return [str(problem) for problem in parse_selection(text, "sel.txt").problems]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("# mode: evaluation-only", id="as documented"),
        pytest.param("# mode: evaluations-only", id="plural"),
        pytest.param("# mode: reuse-essays", id="reuse-essays"),
        pytest.param("# mode: reuse_essays", id="reuse_essays"),
        pytest.param("# MODE: EVALUATION-ONLY", id="capitals"),
        pytest.param("# Mode: Reuse-Essays", id="title case"),
        pytest.param("#mode:evaluation-only", id="no blanks"),
        pytest.param("  #   mode  :   evaluation-only   ", id="many blanks"),
        pytest.param("#\tmode:\tevaluation-only\t", id="tabs"),
        pytest.param("#\u00a0mode:\u00a0evaluation-only", id="no-break spaces"),
    ],
)
def test_a_mode_line_names_the_mode(line: str) -> None:
    """Every accepted spelling of this DAG's mode is read as that mode."""
    checked = parse_selection(f"{line}\ne_1\n", "sel.txt")
    assert checked.problems == ()
    assert checked.value.mode == EVALUATION_ONLY
    assert not checked.value.include_existing


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("# include-existing-evaluations", id="as documented"),
        pytest.param("# skip-existing-evaluations", id="skip-existing-evaluations"),
        pytest.param("# fill-up", id="fill-up"),
        pytest.param("# fillup", id="fillup"),
        pytest.param("# backfill-mode", id="backfill-mode"),
        pytest.param("# INCLUDE-EXISTING-EVALUATIONS", id="capitals"),
        pytest.param("# Fill-Up", id="title case"),
        pytest.param("#include-existing-evaluations", id="no blanks"),
        pytest.param("   #   backfill-mode   ", id="many blanks"),
        pytest.param("#\tskip-existing-evaluations\t", id="tabs"),
        pytest.param("# fill - up", id="blanks inside"),
    ],
)
def test_a_directive_line_switches_backfill_mode_on(line: str) -> None:
    """Every accepted name of the directive switches backfill mode on."""
    checked = parse_selection(f"{line}\ne_1\n", "sel.txt")
    assert checked.problems == ()
    assert checked.value.include_existing


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        pytest.param("# include-existing-evaluation", INCLUDE_EXISTING, id="singular"),
        pytest.param("# include-exisitng-evaluations", INCLUDE_EXISTING, id="letters swapped"),
        pytest.param("# include-existing-evalutions", INCLUDE_EXISTING, id="a letter missing"),
        pytest.param("# inclued-existing-evaluations", INCLUDE_EXISTING, id="inclued"),
        pytest.param("# include_existing_evaluations", INCLUDE_EXISTING, id="underscores"),
        pytest.param("# include existing evaluations", INCLUDE_EXISTING, id="blanks for dashes"),
        pytest.param("# include-existing-evaluations: true", INCLUDE_EXISTING, id="with a value"),
        pytest.param("# include-existing-evaluations = false", INCLUDE_EXISTING, id="with false"),
        pytest.param("# include-existing-evaluations.", INCLUDE_EXISTING, id="full stop"),
        pytest.param("# include-existing-evaluations (as agreed)", INCLUDE_EXISTING, id="remark after it"),
        pytest.param(
            "# include-existing-evaluations please, for each of them was paid for", INCLUDE_EXISTING, id="long remark"
        ),
        pytest.param(
            "# INCLUDE-EXISTING-EVALUATIONS please, for each of them was paid for",
            INCLUDE_EXISTING,
            id="capitals, long remark",
        ),
        pytest.param(
            "# include_existing_evaluations please, for each of them was paid for",
            INCLUDE_EXISTING,
            id="underscores, long remark",
        ),
        pytest.param("# do not include existing evaluations", INCLUDE_EXISTING, id="negated"),
        pytest.param("# please do not include existing evaluations", INCLUDE_EXISTING, id="negated politely"),
        pytest.param("# no-include-existing-evaluations", INCLUDE_EXISTING, id="negated with dashes"),
        pytest.param("# # include-existing-evaluations", INCLUDE_EXISTING, id="commented out"),
        pytest.param("# - include-existing-evaluations", INCLUDE_EXISTING, id="as a bullet"),
        pytest.param("# existing-evaluations", "skip-existing-evaluations", id="half of it"),
        pytest.param("# skip-existing-evaluation", "skip-existing-evaluations", id="skip, singular"),
        pytest.param("# skip existing evaluations", "skip-existing-evaluations", id="skip, blanks"),
        pytest.param("# fill_up", "fillup", id="fill_up"),
        pytest.param("# fil-up", "fill-up", id="fil-up"),
        pytest.param("# fill-up!", "fill-up", id="fill-up with a mark"),
        pytest.param("# backfill mode on", "backfill-mode", id="backfill mode on"),
        pytest.param("# back-fill-mode", "backfill-mode", id="back-fill-mode"),
        pytest.param("# backfill_mode", "backfill-mode", id="backfill_mode"),
        pytest.param("# mode evaluation-only", "mode: evaluation-only", id="colon missing"),
        pytest.param("# mode = evaluation-only", "mode: evaluation-only", id="equals sign"),
        pytest.param("# mode=evaluation-only", "mode: evaluation-only", id="equals sign, no blanks"),
        pytest.param("# modes: evaluation-only", "mode: evaluation-only", id="modes"),
        pytest.param("# moed: evaluation-only", "mode: evaluation-only", id="moed"),
        pytest.param("# evaluation-only", "mode: evaluation-only", id="the mode alone"),
        pytest.param("# evaluation_only", "mode: evaluation-only", id="the mode alone, underscore"),
        pytest.param("# reuse essays", "mode: reuse-essays", id="reuse essays alone"),
        pytest.param("# reuse-essay", "mode: reuse-essays", id="reuse-essay alone"),
        pytest.param("# as to the mode: evaluation-only", "mode: evaluation-only", id="words before"),
        pytest.param(
            "# mode evaluation-only as agreed with all of the team",
            "mode: evaluation-only",
            id="colon missing, remark",
        ),
        pytest.param(
            "# Mode evaluation-only as agreed with all of the team",
            "mode: evaluation-only",
            id="colon missing, title case, remark",
        ),
        pytest.param(
            "# mode = evaluation-only as agreed with all of the team",
            "mode: evaluation-only",
            id="equals sign, remark",
        ),
        pytest.param("# mode reuse_drafts", "mode: reuse_drafts", id="colon missing, reuse_drafts"),
        pytest.param("# mode\uff1a evaluation-only", "mode: evaluation-only", id="wide colon"),
    ],
)
def test_a_misspelt_directive_is_an_error(line: str, meant: str) -> None:
    """A line that is similar to a directive is refused with its number and a suggestion; it is never ignored."""
    text = f"{MODE}\n\n{line}\ne_1\n"
    (found,) = findings(text)
    assert found.startswith("sel.txt:3: ")
    assert f'"{line}" looks like a misspelt directive. Did you mean "# {meant}"' in found
    assert not parse_selection(text, "sel.txt").value.include_existing


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("# include", id="include"),
        pytest.param("# include-existing", id="include-existing"),
        pytest.param("# skip-existing", id="skip-existing"),
        pytest.param("# backfill", id="backfill"),
        pytest.param("# Include Existing", id="blanks and capitals"),
        pytest.param("# skip-existing-eval", id="cut inside a word"),
    ],
)
def test_a_shortened_directive_is_an_error(line: str) -> None:
    """The beginning of a directive counts as a misspelt directive, and never as a comment."""
    assert len(findings(f"{MODE}\n{line}\ne_1\n")) == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("# mode: evalution-only", 'Did you mean "evaluation-only"?', id="a letter missing"),
        pytest.param("# mode: evaluation_only", 'Did you mean "evaluation-only"?', id="underscore"),
        pytest.param("# mode: evaluation only", 'Did you mean "evaluation-only"?', id="blank"),
        pytest.param("# mode: reuse-essay", 'Did you mean "reuse-essays"?', id="singular"),
        pytest.param("# mode: regenrate", 'Did you mean "regenerate"?', id="regenrate"),
        pytest.param(
            "# mode: evaluation-only # later all", '"evaluation-only # later all" is not', id="remark after it"
        ),
        pytest.param("# mode:", 'Did you mean "evaluation-only"?', id="no mode"),
        pytest.param("# mode: xyz", 'Did you mean "evaluation-only"?', id="similar to no mode"),
        pytest.param("# mode: reuse-drafts", f'mode "reuse-drafts" {NOT_RUN}', id="reuse-drafts"),
        pytest.param("# mode: reuse_drafts", f'mode "reuse_drafts" {NOT_RUN}', id="reuse_drafts"),
        pytest.param("# mode: Regenerate", f'mode "Regenerate" {NOT_RUN}', id="regenerate"),
    ],
)
def test_a_mode_that_cannot_be_run_is_an_error(line: str, expected: str) -> None:
    """A misspelt mode, or a mode of another DAG, is refused with its line number and what to write."""
    (found,) = findings(f"e_1\n{line}\n")
    assert found.startswith("sel.txt:2: ")
    assert expected in found
    assert parse_selection(f"e_1\n{line}\n", "sel.txt").value.mode is None


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("#", id="nothing"),
        pytest.param("###", id="a rule of marks"),
        pytest.param("# e_1", id="an id, commented out"),
        pytest.param("# Essays of May", id="prose"),
        pytest.param("# We include existing evaluations because each of them costs money.", id="prose on the matter"),
        pytest.param("# evaluation only for now", id="prose that begins like a mode"),
        pytest.param("# Mode of transport: train", id="another mode"),
        pytest.param("# model: gpt-4", id="model"),
        pytest.param("# modern essays", id="modern"),
        pytest.param("# a well-known essay", id="a dash"),
        pytest.param("# co-written essays", id="a dash in the first word"),
        pytest.param("# re-run of 2025-05-01, see the notes", id="dates"),
        pytest.param("# filler texts", id="filler"),
        pytest.param("# skip", id="skip"),
        pytest.param("# includ", id="too short for a directive"),
        pytest.param("# includes the essays of May", id="includes"),
        pytest.param("# mode", id="mode, alone"),
        pytest.param("# fill the rest later", id="fill"),
        pytest.param("# backfilled on Tuesday by Anna", id="backfilled"),
        pytest.param("# existing", id="existing"),
        pytest.param("# evaluations: novelty, style", id="evaluations"),
        pytest.param("# TODO: add the essays of June", id="todo"),
        pytest.param("# see https://example.org/include-existing-evaluations-manual", id="a link"),
        pytest.param("# " + "x-" * 5000, id="long"),
    ],
)
def test_a_comment_stays_a_comment(line: str) -> None:
    """A line of prose after # changes nothing and is not an error."""
    checked = parse_selection(f"{MODE}\n{line}\ne_1\n", "sel.txt")
    assert checked.problems == ()
    assert not checked.value.include_existing
    assert [selected.gen_id for selected in checked.value.ids] == ["e_1"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{MODE}\n{INCLUDE}\n\ne_1\ne_2\n", id="LF"),
        pytest.param(f"{MODE}\r\n{INCLUDE}\r\n\r\ne_1\r\ne_2\r\n", id="CRLF"),
        pytest.param(f"{MODE}\r{INCLUDE}\r\re_1\re_2\r", id="CR"),
        pytest.param(f"\ufeff{MODE}\n{INCLUDE}\n\ne_1\ne_2\n", id="BOM"),
        pytest.param(f"\ufeff{MODE}\r\n{INCLUDE}\r\n\r\ne_1\r\ne_2", id="BOM, CRLF, no last line end"),
        pytest.param(f"{MODE}\n{INCLUDE}\n\n  e_1\t\n\te_2  \n", id="blanks around ids"),
    ],
)
def test_the_whole_file(text: str) -> None:
    """The mode, the directive, the ids and their line numbers are read, with any line ends, with or without a BOM."""
    checked = parse_selection(text, "sel.txt")
    assert checked.problems == ()
    value = checked.value
    assert (value.place, value.text, value.mode, value.include_existing) == ("sel.txt", text, EVALUATION_ONLY, True)
    assert [(selected.gen_id, selected.line) for selected in value.ids] == [("e_1", 4), ("e_2", 5)]


def test_a_bom_is_not_part_of_the_first_id() -> None:
    """A file that begins with an id may have a BOM before the id."""
    checked = parse_selection("\ufeffe_1\n", "sel.txt")
    assert [selected.gen_id for selected in checked.value.ids] == ["e_1"]


def test_the_order_of_the_file_is_the_order_of_the_selection() -> None:
    """Ids keep the order of the file, and ids from older stores, which follow no formula, are valid."""
    checked = parse_selection("z_9\n43ftibqi56628az1\na.b-c_1\n", "sel.txt")
    assert [selected.gen_id for selected in checked.value.ids] == ["z_9", "43ftibqi56628az1", "a.b-c_1"]


def test_a_repeated_directive_counts_once() -> None:
    """Two directives with the same meaning, even with different names, are not an error."""
    text = f"{MODE}\n# mode: reuse-essays\n# fill-up\n{INCLUDE}\ne_1\n"
    assert findings(text) == []
    assert parse_selection(text, "sel.txt").value.mode == EVALUATION_ONLY


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        pytest.param("# mode: evaluation-only", False, id="right"),
        pytest.param("# Essays of May", False, id="none"),
        pytest.param("# include-existing-evaluation", False, id="another directive misspelt"),
        pytest.param("mode_1", False, id="an id"),
        pytest.param("mode one", False, id="a bad id"),
        pytest.param("# mode: evalution-only", True, id="misspelt"),
        pytest.param("# Mode: evalution-only", True, id="misspelt, title case"),
        pytest.param("# mode: regenerate", True, id="another DAG's"),
        pytest.param("# mode evaluation-only", True, id="colon missing"),
        pytest.param("# modes: evaluation-only", True, id="modes"),
        pytest.param("# evaluation-only", True, id="the mode alone"),
        pytest.param("Mode: evaluation-only", True, id="mark missing"),
        pytest.param("fill-up", False, id="another directive, mark missing"),
        pytest.param("# mode: regenerate\n# include-existing-evaluation", True, id="then another misspelt directive"),
        pytest.param("# mode: regenerate\nfill-up", True, id="then another directive without its mark"),
    ],
)
def test_an_invalid_mode_is_marked(line: str, wrong: bool) -> None:
    """If a line has an invalid mode, `mode_is_wrong` is true, so that nobody reports a missing mode as well."""
    assert parse_selection(f"{line}\ne_1\n", "sel.txt").value.mode_is_wrong is wrong


def test_no_mode_is_left_to_the_caller() -> None:
    """A file without a mode is not an error, because the conf may have the mode."""
    checked = parse_selection("e_1\n", "sel.txt")
    assert checked.problems == ()
    assert checked.value.mode is None


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param("../x", id="parent folder"),
        pytest.param("a/b", id="slash"),
        pytest.param("a\\b", id="backslash"),
        pytest.param(".hidden", id="hidden"),
        pytest.param("-x", id="dash first"),
        pytest.param("x" * 101, id="101 characters"),
        pytest.param("e_1 e_2", id="two on a line"),
        pytest.param("e_1, e_2", id="comma"),
        pytest.param("e_1 # good one", id="remark after it"),
        pytest.param("é_1", id="not ASCII"),
        pytest.param("e_1\x00", id="NUL"),
        pytest.param("e\u200b_1", id="zero width space"),
        pytest.param("// mode: evaluation-only", id="another comment sign"),
        pytest.param("<<<<<<< HEAD", id="merge conflict"),
    ],
)
def test_a_bad_id_is_an_error(bad: str) -> None:
    """An id that cannot be the name of a folder is refused with its line number and the rule for ids."""
    (found,) = findings(f"{MODE}\ne_ok\n{bad}\n")
    assert found.startswith("sel.txt:3: ")
    assert "is not a valid gen_id. An id is 1 to 100 of the characters" in found


def test_a_bad_id_is_not_selected() -> None:
    """An invalid id is not in the result, so that no code can make a path of it."""
    checked = parse_selection(f"{MODE}\ne_ok\n../x\n", "sel.txt")
    assert [selected.gen_id for selected in checked.value.ids] == ["e_ok"]


def test_an_id_of_100_characters_is_fine() -> None:
    """An id may have up to 100 characters."""
    assert findings("x" * 100) == []


def test_a_duplicate_names_both_lines() -> None:
    """A gen_id that is in the file twice is refused with both line numbers, and selected once."""
    checked = parse_selection("e_1\n# Again:\ne_2\n\n e_1\ne_1\n", "sel.txt")
    found = [str(problem) for problem in checked.problems]
    assert found == [f"sel.txt:{line}: e_1 is already on line 1. Delete one of the two lines." for line in (5, 6)]
    assert [(selected.gen_id, selected.line) for selected in checked.value.ids] == [("e_1", 1), ("e_2", 3)]


def test_case_counts_in_ids() -> None:
    """Two ids that differ by case are two ids."""
    assert findings("e_1\nE_1\n") == []


def test_two_different_modes_are_an_error() -> None:
    """A file with two modes is refused with the line number of the mode that this DAG does not run."""
    (found,) = findings(f"{MODE}\n# mode: regenerate\ne_1\n")
    assert found.startswith("sel.txt:2: ")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("\ufeff", id="BOM alone"),
        pytest.param("\n \n\t\n", id="blank lines"),
        pytest.param(f"{MODE}\n{INCLUDE}\n# e_1\n", id="comments alone"),
    ],
)
def test_no_ids_at_all_are_an_error(text: str) -> None:
    """A file that selects nothing is refused."""
    (found,) = findings(text)
    assert found == "sel.txt: the file selects no essay. Write the gen_ids of essays, one per line."


def test_all_problems_are_reported_together() -> None:
    """All mistakes of a file are reported together, in the order of the lines."""
    text = "\n".join(
        [
            "\ufeff# Selected by Anna",
            "# mode evaluation-only",
            "# include-existing-evaluation",
            "e_1",
            "",
            "../x",
            "# mode: evalution-only",
            "e_1",
            "# mode: regenerate",
            "a b",
        ]
    )
    assert [found.split(": ")[0] for found in findings(text)] == [f"sel.txt:{n}" for n in (2, 3, 6, 7, 8, 9, 10)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("# see page 3\x0cof the notes\n../x\n", id="form feed"),
        pytest.param("# see page 3\x0bof the notes\n../x\n", id="vertical tab"),
        pytest.param("# see page 3\u2028of_the_notes\n../x\n", id="line separator"),
        pytest.param("# see page 3\x85of_the_notes\n../x\n", id="next line"),
    ],
)
def test_only_line_ends_end_lines(text: str) -> None:
    """A control character does not end a line, so text after it is not an id, and line numbers match the editor's."""
    (found,) = findings(text)
    assert found.startswith("sel.txt:2: ")


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        pytest.param(" Reuse_Essays ", EVALUATION_ONLY, id="alias"),
        pytest.param("regenerate", None, id="known, not run"),
        pytest.param("", None, id="empty"),
    ],
)
def test_read_mode(text: str, mode: str | None) -> None:
    """A conf's mode is read like a file's mode; a problem has the place that the caller gave."""
    checked = read_mode(text, "conf: mode")
    assert checked.value == mode
    assert [problem.place for problem in checked.problems] == ([] if mode else ["conf: mode"])


ids = st.lists(st.from_regex(ID_PATTERN, fullmatch=True), min_size=1, max_size=30, unique=True)


@PROPERTY
@given(ids, st.booleans(), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\ufeff"]))
def test_a_written_selection_reads_back(gen_ids: list[str], include: bool, line_end: str, bom: str) -> None:
    """The text that is written for a conf's essay_ids can be read again, even after a Windows editor saved it."""
    text = bom + selection_text(tuple(gen_ids), include_existing=include).replace("\n", line_end)
    checked = parse_selection(text, "sel.txt")
    assert checked.problems == ()
    assert [selected.gen_id for selected in checked.value.ids] == gen_ids
    assert (checked.value.mode, checked.value.include_existing) == (EVALUATION_ONLY, include)


words = st.sampled_from(
    [
        "#",
        "mode",
        ":",
        "=",
        "evaluation-only",
        "evalution-only",
        "fill-up",
        INCLUDE_EXISTING,
        "e_1",
        "../x",
        " ",
        "\n",
    ]
)


@PROPERTY
@given(st.one_of(st.text(max_size=300), st.lists(words, max_size=30).map("".join)))
@example("#" * 10_000)
@example("# mode" + ":" * 1000)
@example("#" + "-" * 10_000)
def test_no_text_makes_the_parser_fail(text: str) -> None:
    """Every text is parsed to a selection or to problems, and never raises an exception."""
    checked = parse_selection(text, "sel.txt")
    assert checked.problems or checked.value.ids
    assert all(problem.place.startswith("sel.txt") and problem.next_step for problem in checked.problems)
    if not checked.problems:
        assert all(is_id(selected.gen_id) for selected in checked.value.ids)
    lines = [selected.line for selected in checked.value.ids]
    assert lines == sorted(set(lines))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("## include-existing-evaluations", id="backfill mode"),
        pytest.param("## mode: evaluation-only", id="a mode"),
        pytest.param("#### fill-up", id="many marks, a short word"),
    ],
)
def test_a_directive_behind_two_marks_is_an_error(line: str) -> None:
    """A directive after two # is an error, because the author may have meant to switch the directive on or off."""
    checked = parse_selection(f"{line}\ne_1\n", "file.txt")
    assert [problem.place for problem in checked.problems] == ["file.txt:1"]
    assert "Did you mean" in checked.problems[0].next_step
    assert checked.value.include_existing is False


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("include-existing-evaluations", id="backfill mode"),
        pytest.param("Fill-Up", id="another word for it"),
        pytest.param("mode: evaluation-only", id="a mode"),
        pytest.param("Mode : evaluation-only", id="a mode, title case"),
    ],
)
def test_a_directive_without_its_mark_is_an_error(line: str) -> None:
    """A directive without # is reported as such, and not as an invalid gen_id."""
    (problem,) = parse_selection(f"{line}\ne_1\n", "file.txt").problems
    assert str(problem) == f'file.txt:1: "{line}" is a directive, but the # is missing. Write "# {line}".'
