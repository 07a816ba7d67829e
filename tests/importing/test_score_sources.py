"""What is read from files of people's scores: ratings, and one message with row and column for each mistake."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars
import pytest

from essay_cohorts.domain import Cell, CriterionScore, ParserRef, Template
from essay_cohorts.errors import Checked
from essay_cohorts.importing.score_rows import ScoreColumns
from essay_cohorts.importing.score_sources import NOT_RATED, Rating, RatingSource, read_ratings
from essay_cohorts.rubric import Rubric, Scale

DEFAULT = ScoreColumns()
RUBRICS = {
    "novelty": Rubric(),
    "five": Rubric(scale=Scale(1, 5)),
    "style": Rubric(criteria=("clarity", "use of words")),
    "mean": Rubric(scale=Scale(1, 5), criteria=("clarity", "wit"), overall="mean"),
}
TEMPLATES = {
    name: Template(template_id=name, text="", parser="", place="", row_place="", rubric=rubric)
    for name, rubric in RUBRICS.items()
}
ESSAYS = frozenset({"e1", "e2", "e3"})
HEADER = "essay,template,rater,score,criterion,note\n"


def read(folder: Path, name: str, content: str | bytes, names: ScoreColumns = DEFAULT) -> Checked[RatingSource]:
    """Write a file and read the ratings in it."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_ratings(folder / name, names, TEMPLATES, ESSAYS)


def messages(found: Checked[RatingSource]) -> list[str]:
    """Return the problems as people read them."""
    return [str(problem) for problem in found.problems]


def parquet(*rows: dict[str, Any]) -> bytes:
    """Return a Parquet file."""
    sink = io.BytesIO()
    polars.DataFrame(list(rows)).write_parquet(sink)
    return sink.getvalue()


ROW = {"essay": "e1", "template": "novelty", "rater": "anna", "score": 7, "criterion": None, "note": "Fresh."}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("s.csv", HEADER + "e1,novelty,anna,7,,Fresh.\n", id="csv"),
        pytest.param(
            "s.csv", '\ufeff"note","score","rater","template","essay"\r\nFresh.,7.0,anna,novelty,e1', id="spreadsheet"
        ),
        pytest.param("s.csv", HEADER + "e1,novelty,anna, 7 ,overall,Fresh.\n,,,,,\n", id="overall by name"),
        pytest.param("s.csv", HEADER + 2 * "e1,novelty,anna,7,,Fresh.\n", id="the same row twice"),
        pytest.param("s.jsonl", json.dumps(ROW), id="jsonl"),
        pytest.param("s.jsonl", json.dumps({**ROW, "score": "7"}), id="a number as text"),
        pytest.param("s.parquet", parquet(ROW), id="parquet"),
        pytest.param("s.parquet", parquet({**ROW, "score": 7.0}), id="a column of floats"),
    ],
)
def test_a_row_is_a_rating(tmp_path: Path, name: str, content: str | bytes) -> None:
    """The same row gives the same rating from every kind of file."""
    found = read(tmp_path, name, content)
    assert messages(found) == []
    [rating] = found.value.ratings
    assert rating.cell == Cell("e1", "novelty", "human-anna")
    assert (rating.verdict.score, rating.verdict.parser, rating.notes) == (
        7.0,
        ParserRef("human", "1"),
        {"": "Fresh."},
    )


def test_columns_are_named_by_options(tmp_path: Path) -> None:
    """Each role may have another column."""
    names = ScoreColumns(essay="id", template="question", rater="who", score="points", criterion="part", note="why")
    found = read(
        tmp_path, "s.csv", "id,question,who,points,part,why\ne1,style,bo,3,,x\ne1,style,bo,4,Clarity,y\n", names
    )
    [rating] = found.value.ratings
    assert (rating.verdict.score, rating.notes) == (3.0, {"": "x", "clarity": "y"})


def test_the_criteria_are_written_as_parsers_write_them(tmp_path: Path) -> None:
    """Each criterion of the template has a score or a reason; case, blanks and hyphens do not matter."""
    rows = "e1,style,anna,6,,\ne1,style,anna,4,USE-OF-WORDS,\n"
    [rating] = read(tmp_path, "s.csv", HEADER + rows).value.ratings
    assert rating.verdict.criteria == (
        CriterionScore("clarity", None, NOT_RATED),
        CriterionScore("use of words", 4.0),
    )
    assert rating.verdict.parser == ParserRef("human", "1+criteria=clarity;use of words")


@pytest.mark.parametrize(
    ("rows", "score"),
    [
        pytest.param("e1,mean,a,2,clarity,\ne1,mean,a,5,wit,\n", 3.5, id="computed"),
        pytest.param("e1,mean,a,2,clarity,\ne1,mean,a,5,wit,\ne1,mean,a,3.5,,\n", 3.5, id="computed and given"),
        pytest.param("e1,mean,a,4,,\n", 4.0, id="overall only"),
        pytest.param("e1,mean,a,4,,\ne1,mean,a,1,wit,\n", 4.0, id="not all criteria"),
    ],
)
def test_the_mean_of_all_criteria_is_the_score(tmp_path: Path, rows: str, score: float) -> None:
    """A template whose score is the mean needs no overall score when all criteria are rated."""
    [rating] = read(tmp_path, "s.csv", HEADER + rows).value.ratings
    assert rating.verdict.score == score


@pytest.mark.parametrize(("given", "is_the_mean"), [("2.33", True), ("2.3", False)])
def test_a_rounded_mean_is_the_mean(tmp_path: Path, given: str, is_the_mean: bool) -> None:
    """Two decimals are enough; the exact mean counts."""
    templates = {"t": TEMPLATES["mean"].__class__(**_fields("a", "b", "c"))}
    rows = "".join(f"e1,t,x,{score},{name},\n" for score, name in [(1, "a"), (2, "b"), (4, "c"), (given, "")])
    (tmp_path / "s.csv").write_text(HEADER + rows, "utf-8")
    found = read_ratings(tmp_path / "s.csv", DEFAULT, templates, ESSAYS)
    assert [rating.verdict.score for rating in found.value.ratings] == ([pytest.approx(7 / 3)] if is_the_mean else [])
    assert len(found.problems) == (not is_the_mean)


def _fields(*criteria: str) -> dict[str, Any]:
    rubric = Rubric(criteria=criteria, overall="mean")
    return {"template_id": "t", "text": "", "parser": "", "place": "", "row_place": "", "rubric": rubric}


def test_rows_that_nobody_has_filled_in_are_counted(tmp_path: Path) -> None:
    """A sheet for raters may come back half empty."""
    found = read(tmp_path, "s.csv", HEADER + "e1,novelty,anna,7,,\ne2,novelty,,,,\ne3,novelty,,,,\n")
    assert (messages(found), len(found.value.ratings), found.value.unrated) == ([], 1, 2)


def test_a_note_that_was_escaped_for_spreadsheets_is_read_back(tmp_path: Path) -> None:
    """Only the apostrophe before a formula goes away, and only in a CSV."""
    [rating] = read(tmp_path, "s.csv", HEADER + "e1,novelty,anna,7,,'=1+1\n").value.ratings
    assert rating.notes == {"": "=1+1"}
    [rating] = read(tmp_path, "s.csv", HEADER + "e1,novelty,anna,7,,'tis good\n").value.ratings
    assert rating.notes == {"": "'tis good"}
    [rating] = read(tmp_path, "s.jsonl", json.dumps({**ROW, "note": "'=1+1"})).value.ratings
    assert rating.notes == {"": "'=1+1"}


NO_ESSAY = 'there is no essay "'
BAD_ID = "is not a valid id of a rater."
LINE = "e1,novelty,anna,7,,\n"
# The row of a CSV below a good one; the column of the mistake; and the beginning of the finding.
BAD_ROWS = [
    (",novelty,anna,7,,", "essay", "it is empty."),
    ("   ,novelty,anna,7,,", "essay", "it is empty."),
    ("e9,novelty,anna,7,,", "essay", f'{NO_ESSAY}e9" in this data root. List the essays: cohorts essays'),
    ("E2,novelty,anna,7,,", "essay", f'{NO_ESSAY}E2" in this data root. Did you mean "e2"?'),
    ("../e1,novelty,anna,7,,", "essay", f'{NO_ESSAY}../e1"'),
    ("e2 e3,novelty,anna,7,,", "essay", f'{NO_ESSAY}e2 e3"'),
    (f"{'x' * 200},novelty,anna,7,,", "essay", f"{NO_ESSAY}{'x' * 57}..."),
    ("'e2,novelty,anna,7,,", "essay", f"{NO_ESSAY}'e2\""),
    ("e2,,anna,7,,", "template", "it is empty. Known: novelty, five, style, mean."),
    (
        "e2,novelti,anna,7,,",
        "template",
        '"novelti" is not in 1_raw/evaluation_templates.csv. Did you mean "novelty"?',
    ),
    ("e2,Novelty,anna,7,,", "template", '"Novelty" is not in'),
    ("e2,novelty;five,anna,7,,", "template", '"novelty;five" is not in'),
    (f"e2,{'t' * 99},anna,7,,", "template", f'"{"t" * 57}..." is not in'),
    ("e2,novelty,,7,,", "rater", "it is empty. An id is"),
    ("e2,novelty, ,5,,a note", "rater", "it is empty."),
    ("e2,novelty,Anna B.,7,,", "rater", f"'Anna B.' {BAD_ID}"),
    ("e2,novelty,-anna,7,,", "rater", f"'-anna' {BAD_ID}"),
    ("e2,novelty,.,7,,", "rater", f"'.' {BAD_ID}"),
    ("e2,novelty,anna/bo,7,,", "rater", f"'anna/bo' {BAD_ID}"),
    ("e2,novelty,..,7,,", "rater", f"'..' {BAD_ID}"),
    ("e2,novelty,Zoë,7,,", "rater", f"'Zoë' {BAD_ID}"),
    ("e2,novelty,anna@example.org,7,,", "rater", f"'anna@example.org' {BAD_ID}"),
    (f"e2,novelty,{'r' * 95},7,,", "rater", f"'{'r' * 56}... {BAD_ID}"),
    ("e2,novelty,human-anna,7,,", "rater", "'human-anna' has the prefix already. Leave human- out."),
    ("e2,novelty,Human-anna,7,,", "rater", "'Human-anna' has the prefix already."),
    ("e2,novelty,anna,,,", "score", "it is empty. Write a number from 0 to 9. Or delete the row."),
    ("e2,five,anna,,,a note", "score", "it is empty. Write a number from 1 to 5."),
    ("e2,novelty,anna,seven,,", "score", "'seven' is not a number. Write a number from 0 to 9."),
    ('e2,novelty,anna,"7,5",,', "score", "'7,5' is not a number; numbers have a point, not a comma."),
    ("e2,novelty,anna,7/9,,", "score", "'7/9' is not a number."),
    ("e2,novelty,anna,70%,,", "score", "'70%' is not a number."),
    ("e2,novelty,anna,7 8,,", "score", "'7 8' is not a number."),
    ("e2,novelty,anna,1e0,,", "score", "'1e0' is not a number."),
    ("e2,novelty,anna,+7,,", "score", "'+7' is not a number."),
    ("e2,novelty,anna,7.,,", "score", "'7.' is not a number."),
    ("e2,novelty,anna,.5,,", "score", "'.5' is not a number."),
    ("e2,novelty,anna,nan,,", "score", "'nan' is not a number."),
    ("e2,novelty,anna,inf,,", "score", "'inf' is not a number."),
    ("e2,novelty,anna,7_0,,", "score", "'7_0' is not a number."),
    ("e2,novelty,anna,７,,", "score", "'７' is not a number."),
    ("e2,novelty,anna,A,,", "score", "'A' is not a number."),
    ("e2,novelty,anna,#REF!,,", "score", "'#REF!' is not a number."),
    ("e2,novelty,anna,-1,,", "score", "-1 is not from 0 to 9, the scale of novelty."),
    ("e2,novelty,anna,9.01,,", "score", "9.01 is not from 0 to 9, the scale of novelty."),
    ("e2,novelty,anna,9.00000000000000000001,,", "score", "9.00000000000000000001 is not from 0 to 9"),
    ("e2,novelty,anna,75,,", "score", "75 is not from 0 to 9, the scale of novelty. Write a number from 0 to 9."),
    ("e2,five,anna,0,,", "score", "0 is not from 1 to 5, the scale of five."),
    ("e2,five,anna,6,,", "score", "6 is not from 1 to 5, the scale of five."),
    ("e2,mean,anna,9,wit,", "score", "9 is not from 1 to 5, the scale of mean."),
    (f"e2,novelty,anna,{'9' * 70},,", "score", f"{'9' * 57}... is not from 0 to 9"),
    ("e2,novelty,anna,7,clarity,", "criterion", 'the template has no criterion "clarity". Leave the cell empty'),
    ("e2,style,anna,7,clarty,", "criterion", 'the template has no criterion "clarty". Did you mean "clarity"?'),
    ("e2,style,anna,7,wit,", "criterion", 'the template has no criterion "wit". Known: clarity, use of words.'),
    ("e2,style,anna,7,clarity;wit,", "criterion", 'the template has no criterion "clarity;wit".'),
    ("e2,style,anna,7,?,", "criterion", 'the template has no criterion "?".'),
]
# Whole rows and ratings: there is no single cell that is wrong.
BAD_RATINGS = [
    ("e2,novelty,anna,7,", ":3", "it has 5 cells, the header 6."),
    ("e2,novelty,anna,7,,,", ":3", "it has 7 cells, the header 6."),
    ("e2,style,anna,7,clarity,", ":3", "anna gave e2 no overall score under style. Add a row without a criterion."),
    ("e2,mean,anna,3,wit,", ":3", "anna gave e2 no overall score under mean. Add the rows of clarity, or a row"),
    ("e1,novelty,anna,8,,", ":3", "the same rater scored the same at s.csv:2. Delete one of the two rows."),
    ("e1,novelty,anna,7,,a note", ":3", "the same rater scored the same at s.csv:2."),
    ("e1,novelty,Anna,7,,", ":3", '"Anna" differs only by case from "anna" at s.csv:2. Write both in the same way.'),
    (
        "e2,style,a,7,,\ne2,style,a,7,clarity,\ne2,style,a,8,Clarity,",
        ":5",
        "the same rater scored the same criterion",
    ),
    (
        "e2,mean,a,1,wit,\ne2,mean,a,2,clarity,\ne2,mean,a,2,,",
        ":5",
        "the overall score is 2, but the mean of the criteria is 1.5. Delete this row: the mean counts.",
    ),
]


@pytest.mark.parametrize(
    ("row", "place", "finding"),
    [pytest.param(row, f":3, column {column}", finding, id=row[:40]) for row, column, finding in BAD_ROWS]
    + [pytest.param(row, place, finding, id=row[:40]) for row, place, finding in BAD_RATINGS],
)
def test_a_bad_row_is_one_message(tmp_path: Path, row: str, place: str, finding: str) -> None:
    """The message names the file, the row, the column and the next step; the good row has none."""
    [message] = messages(read(tmp_path, "s.csv", f"{HEADER}{LINE}{row}\n"))
    assert message.startswith(f"s.csv{place}: {finding}")
    assert message.endswith((".", "?", "cohorts essays"))


def test_there_are_enough_bad_rows() -> None:
    """The tables above cover every column and at least fifty rows."""
    assert len(BAD_ROWS) >= 50
    assert {column for _, column, _ in BAD_ROWS} == {"essay", "template", "rater", "score", "criterion"}


@pytest.mark.parametrize(
    ("values", "finding"),
    [
        pytest.param({"score": True}, "column score: True is not a number.", id="true"),
        pytest.param({"score": [7]}, "column score: [7] is not a number.", id="a list"),
        pytest.param({"score": {"a": 1}}, "column score: {'a': 1} is not a number.", id="an object"),
        pytest.param({"score": float("nan")}, "column score: nan is not a number.", id="NaN"),
        pytest.param({"score": 1e300}, "column score: 1000", id="a large float"),
        pytest.param(
            {"score": 1e-7, "template": "five"}, "column score: 0.0000001 is not from 1", id="a small float"
        ),
        pytest.param({"essay": None}, "column essay: it is empty.", id="null"),
        pytest.param({"essay": ["e1"]}, "column essay: there is no essay \"['e1']\"", id="a list of essays"),
        pytest.param({"rater": ["a", "b"]}, "column rater: \"['a', 'b']\" is not a valid id", id="two raters"),
    ],
)
def test_values_of_other_types(tmp_path: Path, values: dict[str, Any], finding: str) -> None:
    """JSON has other types than texts; each of them is one message."""
    [message] = messages(read(tmp_path, "s.jsonl", json.dumps({**ROW, **values})))
    assert message.startswith(f"s.jsonl:1, {finding}")


def test_a_row_of_parquet_has_a_place(tmp_path: Path) -> None:
    """Parquet has no lines, so its rows are counted."""
    found = read(tmp_path, "s.parquet", parquet(ROW, {**ROW, "essay": "e2", "score": 99}))
    assert messages(found)[0].startswith("s.parquet, row 2, column score: 99 is not from 0 to 9")


@pytest.mark.parametrize(
    ("name", "content", "finding"),
    [
        pytest.param("s.csv", "", "s.csv: it is empty.", id="empty"),
        pytest.param("s.csv", HEADER, "s.csv: it has no rows.", id="only a header"),
        pytest.param("s.csv", HEADER + "e1,novelty,,,,\n", "s.csv: it has no score. Fill in", id="nothing rated"),
        pytest.param("s.csv", b"\xff\xfe", "s.csv: it is not UTF-8", id="another encoding"),
        pytest.param("s.csv", HEADER + 'e1,"novelty,anna\n', "s.csv:2: it is not CSV", id="open quotes"),
        pytest.param("s.csv", "essay,essay,x\na,b,c\n", "s.csv:1: the column 'essay' appears twice.", id="twice"),
        pytest.param("s.jsonl", "{", "s.jsonl:1: it is not JSON", id="not JSON"),
        pytest.param("s.jsonl", "[1]", "s.jsonl:1: it is not a JSON object.", id="a list"),
        pytest.param("s.jsonl", "{}", "s.jsonl: it has no score.", id="an empty object"),
        pytest.param("s.parquet", b"PAR1", "s.parquet: it is not a Parquet file", id="not Parquet"),
        pytest.param("s.xlsx", b"x", "it is not a plain file of a known kind. Give one .csv", id="a spreadsheet"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, content: str | bytes, finding: str) -> None:
    """The whole file is one message."""
    [message] = messages(read(tmp_path, name, content))
    assert finding in message


def test_a_missing_column_names_its_option(tmp_path: Path) -> None:
    """Each missing column is a message with the option that names another one; optional columns may be missing."""
    found = read(tmp_path, "s.csv", "essay,template,points\ne1,novelty,7\n")
    assert messages(found) == [
        's.csv: there is no column "rater". Name the column by --rater-column. Known: essay, template, points.',
        's.csv: there is no column "score". Name the column by --score-column. Known: essay, template, points.',
    ]
    named = read(tmp_path, "s.csv", HEADER + LINE, ScoreColumns(note="remark"))
    assert 'no column "remark". Name the column by --note-column.' in messages(named)[0]


def test_there_is_no_such_file(tmp_path: Path) -> None:
    """A folder and a missing file are one message each."""
    for path in (tmp_path, tmp_path / "s.csv"):
        assert len(read_ratings(path, DEFAULT, TEMPLATES, ESSAYS).problems) == 1


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """Every bad row of the table above in one file gives every message, and several in a row too."""
    rows = "".join(f"{row}\n" for row, _, _ in BAD_ROWS)
    assert len(messages(read(tmp_path, "s.csv", HEADER + rows))) == len(BAD_ROWS)
    assert len(messages(read(tmp_path, "s.csv", HEADER + "e9,x,a b,c,d,\n"))) == 4


def test_a_bad_row_hides_no_other_rating(tmp_path: Path) -> None:
    """The rating of the bad row is not called incomplete, too, and another incomplete rating still is."""
    rows = "e1,style,anna,99,,\ne1,style,anna,5,clarity,\ne2,style,anna,5,clarity,\n"
    found = messages(read(tmp_path, "s.csv", HEADER + rows))
    assert [message.split(": ")[0] for message in found] == ["s.csv:2, column score", "s.csv:4"]


def test_what_is_read_is_a_value(tmp_path: Path) -> None:
    """Two readings of the same file are equal."""
    first, second = (read(tmp_path, "s.csv", HEADER + LINE).value.ratings for _ in range(2))
    assert isinstance(first[0], Rating)
    assert first == second
