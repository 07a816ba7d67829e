"""What is read from people's files: essays with title, group and columns, and one message for each mistake."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars
import pytest

from essay_cohorts.errors import Checked
from essay_cohorts.importing.essay_sources import ColumnNames, SourceEssay, read_essays

DEFAULT = ColumnNames()


def read(
    folder: Path, name: str, content: str | bytes, names: ColumnNames = DEFAULT
) -> Checked[tuple[SourceEssay, ...]]:
    """Write a file and read the essays in it."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_essays(folder / name, names)


def messages(found: Checked[tuple[SourceEssay, ...]]) -> list[str]:
    """Return the problems as people read them."""
    return [str(problem) for problem in found.problems]


@pytest.mark.parametrize(
    ("name", "content", "title", "text"),
    [
        pytest.param("a.txt", "No heading.", "a", "No heading.", id="a text is named after its file"),
        pytest.param("a.txt", "# 1\ntext", "a", "# 1\ntext", id="a text has no heading"),
        pytest.param("a.md", "# Tides\n\nText.", "Tides", "# Tides\n\nText.", id="heading"),
        pytest.param(
            "a.md", "Intro.\n\n## Second ##\n", "Second", "Intro.\n\n## Second ##\n", id="the first heading"
        ),
        pytest.param("a.md", "Only text.", "a", "Only text.", id="no heading"),
        pytest.param("a.md", "#hashtag\ntext", "a", "#hashtag\ntext", id="a hashtag is not a heading"),
        pytest.param("a.md", "\ufeff# T\r\nx\r\n", "T", "# T\nx\n", id="BOM and CRLF"),
        pytest.param(
            "a.md", "```sh\n# make\n```\n# T\n", "T", "```sh\n# make\n```\n# T\n", id="code is not a heading"
        ),
        pytest.param("A.MD", "# T", "T", "# T", id="case of the ending"),
    ],
)
def test_a_text_file_is_an_essay(tmp_path: Path, name: str, content: str, title: str, text: str) -> None:
    """The title is the first heading of a Markdown file, or else the name of the file."""
    found = read(tmp_path, name, content)
    assert messages(found) == []
    [essay] = found.value
    assert (essay.title, essay.text, essay.place) == (title, text, name)


def test_a_folder_is_read_without_its_other_files(tmp_path: Path) -> None:
    """Hidden files, other kinds of files and folders are left out; the essays come in the order of their names."""
    for name in ("b.txt", "a.md", ".hidden.txt", "notes.docx"):
        (tmp_path / name).write_text(f"Text of {name}", "utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.txt").write_text("x", "utf-8")
    assert [essay.place for essay in read_essays(tmp_path).value] == ["a.md", "b.txt"]


ROW = {"id": "e7", "text": "A text.", "title": "T", "group": "humans", "year": "1999"}


def parquet(*rows: dict[str, Any]) -> bytes:
    """Return a Parquet file."""
    sink = io.BytesIO()
    polars.DataFrame(list(rows)).write_parquet(sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("e.csv", "id,text,title,group,year\ne7,A text.,T,humans,1999\n", id="csv"),
        pytest.param(
            "e.csv", '\ufeff"id","text","title","group","year"\r\ne7,"A text.",T,humans,1999', id="spreadsheet"
        ),
        pytest.param(
            "e.csv", "year,group,title,text,id\n1999,humans,T,A text.,e7\n,,,,\n", id="order and empty rows"
        ),
        pytest.param("e.jsonl", json.dumps(ROW) + "\n\n", id="jsonl"),
        pytest.param("e.ndjson", json.dumps(ROW), id="ndjson"),
        pytest.param("e.parquet", parquet(ROW), id="parquet"),
    ],
)
def test_a_row_is_an_essay(tmp_path: Path, name: str, content: str | bytes) -> None:
    """The same row gives the same essay from every kind of file; other columns are kept."""
    found = read(tmp_path, name, content)
    assert messages(found) == []
    [essay] = found.value
    assert (essay.essay_id, essay.title, essay.text, essay.group) == ("e7", "T", "A text.", "humans")
    assert essay.columns == {"year": "1999"}


def test_columns_are_named_by_options(tmp_path: Path) -> None:
    """Each role may have another column; a table without ids gives ids of title and text."""
    names = ColumnNames(text="body", title="headline", group="writer")
    found = read(tmp_path, "e.csv", "headline,body,writer,text\nTides,My essay.,w1,note\n", names)
    [essay] = found.value
    assert (essay.essay_id, essay.group, essay.columns) == ("tides-5b7920e609", "w1", {"text": "note"})


@pytest.mark.parametrize(
    ("value", "essay_id"),
    [(7, "7"), (7.0, "7"), ("007", "007"), (True, "True")],
    ids=["int", "float", "text", "bool"],
)
def test_an_id_keeps_its_form(tmp_path: Path, value: object, essay_id: str) -> None:
    """A number is an id, too; a column with gaps turns 7 into 7.0."""
    [essay] = read(tmp_path, "e.jsonl", json.dumps({"id": value, "text": "x"})).value
    assert essay.essay_id == essay_id


def test_the_same_essay_twice_counts_once(tmp_path: Path) -> None:
    """Two rows with the same id and text are one essay, and so are two files with the same text and title."""
    assert len(read(tmp_path, "e.csv", "id,text\na,x\na,x\n").value) == 1
    found = read(tmp_path, "e.jsonl", '{"text": "x"}\n{"text": "x"}')
    assert (len(found.value), found.problems) == (1, ())


BAD = [
    ("e.csv", "", "e.csv: it is empty."),
    ("e.csv", "\n,\n", "e.csv: it is empty."),
    (
        "e.csv",
        "id,txt\n1,x\n",
        'e.csv: there is no column "text". Name the column by --text-column. Did you mean "txt"?',
    ),
    ("e.csv", "id,text\n1,\n", "e.csv:2, column text: it is empty."),
    ("e.csv", "id,text\n1,   \n", "e.csv:2, column text: it is empty."),
    ("e.csv", "id,text\n,x\n", "e.csv:2, column id: '' is not a valid id."),
    ("e.csv", "id,text\n../x,x\n", "e.csv:2, column id: '../x' is not a valid id."),
    ("e.csv", "id,text\n.x,x\n", "e.csv:2, column id: '.x' is not a valid id."),
    ("e.csv", "id,text\na b,x\n", "e.csv:2, column id: 'a b' is not a valid id."),
    ("e.csv", f"id,text\n{'a' * 101},x\n", "column id: 'aaaa"),
    ("e.csv", "id,text\nü,x\n", "e.csv:2, column id: 'ü' is not a valid id."),
    ("e.csv", "id,text\n1,x\n1,y\n", "e.csv:3: the id 1 has another text at e.csv:2."),
    ("e.csv", "id,text\na,x\nA,y\n", "e.csv:3: the id A differs only by case from a at e.csv:2."),
    ("e.csv", "id,text\na,x\nA,x\n", "e.csv:3: the id A differs only by case from a at e.csv:2."),
    ("e.csv", "id,text\n1,x,y\n", "e.csv:2: it has 3 cells, the header 2."),
    ("e.csv", "id,text\n1\n", "e.csv:2: it has 1 cell, the header 2."),
    ("e.csv", 'id,text\n1,"x\n', "it is not CSV"),
    ("e.csv", 'id,text\n1,"x"y\n', "e.csv:2: it is not CSV"),
    ("e.csv", "text,text\nx,y\n", "e.csv:1: the column 'text' appears twice."),
    ("e.csv", 'id;text\n1;"a, b"\n', "e.csv:1: the columns are separated by semicolons. Save the file with commas"),
    ("e.csv", "id\ttext\n1\tx\n", "e.csv:1: the columns are separated by tabs. Save the file with commas"),
    ("e.csv", b"id,text\n1,caf\xe9\n", "e.csv: it is not UTF-8 (byte 13)."),
    ("e.csv", "id,text\n", "e.csv: it has no rows."),
    ("e.jsonl", "", "e.jsonl: it has no rows."),
    ("e.jsonl", "{", "e.jsonl:1: it is not JSON"),
    ("e.jsonl", '{"text": "x"}\n[1]', "e.jsonl:2: it is not a JSON object."),
    ("e.jsonl", '{"text": "x"}\n"x"', "e.jsonl:2: it is not a JSON object."),
    ("e.jsonl", '{"text": "x"}\nnull', "e.jsonl:2: it is not a JSON object."),
    ("e.jsonl", '{"text": "x"}\n{"text": "x"} {}', "e.jsonl:2: it is not JSON"),
    ("e.jsonl", '{"text": null}', "e.jsonl:1, column text: it is empty."),
    ("e.jsonl", '{"text": ""}', "e.jsonl:1, column text: it is empty."),
    ("e.jsonl", '{"text": 7}', "e.jsonl:1, column text: it holds 7, not a text."),
    ("e.jsonl", '{"text": ["x"]}', "e.jsonl:1, column text: it holds ['x'], not a text."),
    ("e.jsonl", '{"text": {"a": 1}}', "e.jsonl:1, column text: it holds {'a': 1}, not a text."),
    ("e.jsonl", '{"text": "x", "id": null}', "e.jsonl:1, column id: '' is not a valid id."),
    ("e.jsonl", '{"text": "x", "id": [1]}', "e.jsonl:1, column id: '[1]' is not a valid id."),
    ("e.jsonl", '{"text": "x", "id": 7.5e300}', "is not a valid id."),
    ("e.jsonl", '{"text": "x", "id": "a"}\n{"text": "y"}', "e.jsonl:2, column id: '' is not a valid id."),
    ("e.jsonl", '{"body": "x"}', 'e.jsonl: there is no column "text".'),
    ("e.jsonl", '{"text": "\\ud800"}', "e.jsonl:1: it is not JSON"),
    ("e.jsonl", b'{"text": "\xff"}', "e.jsonl: it is not UTF-8"),
    ("e.jsonl", "[" * 100_000, "e.jsonl:1: it is not JSON"),
    ("e.parquet", b"", "e.parquet: it is not a Parquet file"),
    ("e.parquet", b"PAR1 nonsense PAR1", "e.parquet: it is not a Parquet file"),
    ("e.parquet", parquet({"body": "x"}), 'e.parquet: there is no column "text".'),
    ("e.parquet", parquet({"text": "x"}, {"text": None}), "e.parquet, row 2, column text: it is empty."),
    ("e.parquet", parquet({"text": 1}), "e.parquet, row 1, column text: it holds 1, not a text."),
    ("e.parquet", parquet({"text": "x", "id": "a/b"}), "e.parquet, row 1, column id: 'a/b' is not a valid id."),
    ("e.txt", "", "e.txt: it is empty."),
    ("e.md", " \n\n ", "e.md: it is empty."),
    ("e.txt", b"\xff\xfe", "e.txt: it is not UTF-8 (byte 0)."),
    ("e.docx", "x", "this kind of file is not read. Give a folder of .txt and .md files"),
    ("e", "x", "this kind of file is not read."),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_bad_input_is_one_message(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    """Each mistake is one message with the file, the row, the column, the finding and the next step."""
    found = messages(read(tmp_path, name, content))
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize("role", ["text", "id", "title", "group"])
def test_a_column_that_was_named_must_exist(tmp_path: Path, role: str) -> None:
    """A default column may be missing; a column that an option names may not."""
    names = ColumnNames(**{"essay_id" if role == "id" else role: "nothing"})
    [message] = messages(read(tmp_path, "e.csv", "id,text\n1,x\n", names))
    assert message.startswith(f'e.csv: there is no column "nothing". Name the column by --{role}-column.')


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    """One bad row does not hide the next one."""
    found = read(tmp_path, "e.csv", "id,text\n1,\n../x,\n2,fine\n2,other\n3\n")
    assert [problem.place for problem in found.problems] == [
        "e.csv:2, column text",
        "e.csv:3, column text",
        "e.csv:3, column id",
        "e.csv:6",
        "e.csv:5",
    ]


def test_a_folder_without_texts_and_a_path_without_a_file(tmp_path: Path) -> None:
    """The message says what can be given instead."""
    [message] = messages(read_essays(tmp_path))
    assert (
        "it has no .txt or .md file; folders in it are not searched. Give a folder of .txt and .md files" in message
    )
    for name in ("nowhere", "nowhere.csv", "nowhere.txt"):
        [message] = messages(read_essays(tmp_path / name))
        assert "there is no such file or folder." in message
