"""Fuzz tests of the CSV inputs: each row is read exactly, or a problem names the file and the line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.errors import Problem
from essay_cohorts.rubric import Scale, rubric_of
from tests.fuzz import fuzzed
from tests.fuzz.near_misses import (
    GOOD_IDS,
    HOSTILE_LINES,
    ODD_IDS,
    as_bytes,
    is_readable,
    lines_of,
    may_be_an_id,
    odd_texts,
    with_slips,
)
from tests.fuzz.write_record import recorded_writes

TEMPLATES, MODELS = "1_raw/evaluation_templates.csv", "1_raw/llm_models.csv"
REPLICATION, TEXTS = "1_raw/replication_config.csv", "1_raw/templates/evaluation"
TEMPLATE_COLUMNS = (
    *("template_id", "template_name", "description", "parser", "generator", "active", "reads"),
    *("score_min", "score_max", "criteria", "overall"),
)
MODEL_COLUMNS = (
    *("id", "model", "for_evaluation", "temperature", "max_tokens", "max_tokens_field"),
    *("input_usd_per_mtok", "output_usd_per_mtok", "specialization", "cached_input_usd_per_mtok", "request"),
)
HAS_TEXT = ("novelty", "007", "a.b-c_d", "Novelty")

TRUE_OR_FALSE = st.sampled_from(["true", "true", "false", "1", "0", " TRUE ", "False\t"])
ODD_BOOLEANS = st.sampled_from(["yes", "", "2", "truе", "t", "１", "true true", "nan"])
WORDS = st.sampled_from(["", *HOSTILE_LINES[:8], "in_last_line", "a,b", 'a "b"', "two\nlines"])
NAMES = st.sampled_from(["judge-a", "judge-b", "example/judge-c", "007", "ü ü", " padded "])
AMOUNTS = st.sampled_from(["", "", "0", "0.7", "2", "1e-3", ".5", "5.", " 1 "])
ODD_AMOUNTS = st.sampled_from(["2000001", "-1", "nan", "inf", "1_0", "٣", "hot", "1e999", "0x1", "1,5"])
COUNTS = st.sampled_from(["", "1", "4", "007", " 3 ", "+5"])
ODD_COUNTS = st.sampled_from(["0", "-1", "1.5", "1e2", "10000001", "9" * 5_000, "²", "1_5", "four"])
REQUESTS = st.sampled_from(["", "", "{}", '{"seed": 1}', ' {"top_p":0.9,\n"provider":{"order":["ü"]}}'])
ODD_REQUESTS = st.sampled_from(
    ["[]", "low", '{"seed": NaN}', '{"n": 2}', '{"a": "\\udc00"}', '{"a": 1e999}', '{"a":1,"a":2}', "[" * 5_000]
)

MANY_CRITERIA = ";".join(f"c{number}" for number in range(21))

# For each column, a strategy of valid cells and a strategy of invalid cells.
TEMPLATE_CELLS = {
    "template_id": (st.sampled_from(HAS_TEXT[:3]), st.sampled_from(["Novelty", *GOOD_IDS, *ODD_IDS])),
    "active": (TRUE_OR_FALSE, ODD_BOOLEANS),
    "reads": (st.sampled_from(["", "reply", " reply_or_reasoning"]), st.sampled_from(["Reply", "reasoning", "x"])),
    "score_min": (st.sampled_from(["", "0", "1", " 0.5 ", "1e0"]), ODD_AMOUNTS),
    "score_max": (st.sampled_from(["", "5", "10", "100.0", "1e3", "2.5"]), ODD_AMOUNTS),
    "criteria": (
        st.sampled_from(["", "novelty", "novelty; use of evidence", ";a;"]),
        st.sampled_from(
            ["score", "a;A", "1st", "ü", "a+b", "a;b=c", "Overall-Score", ";".join("abcdefghijklmnopqrstu")]
        ),
    ),
    "overall": (st.sampled_from(["", "reply"]), st.sampled_from(["Mean", "median", "1"])),
}
MODEL_CELLS = {
    "id": (NAMES, st.one_of(st.sampled_from(["Judge-A", "", "a\nb", "a\x00b"]), odd_texts(12))),
    "model": (NAMES, odd_texts(12)),
    "for_evaluation": (TRUE_OR_FALSE, ODD_BOOLEANS),
    "temperature": (AMOUNTS, ODD_AMOUNTS),
    "max_tokens": (COUNTS, ODD_COUNTS),
    "max_tokens_field": (
        st.sampled_from(["", "max_tokens", "max_completion_tokens"]),
        st.sampled_from(["Max_Tokens", "tokens"]),
    ),
    "input_usd_per_mtok": (AMOUNTS, ODD_AMOUNTS),
    "output_usd_per_mtok": (AMOUNTS, ODD_AMOUNTS),
    "cached_input_usd_per_mtok": (AMOUNTS, ODD_AMOUNTS),
    "request": (REQUESTS, ODD_REQUESTS),
}
REPLICATION_CELLS = {
    "stage": (
        st.sampled_from(["evaluation", "Evaluation ", "essay", "draft"]),
        st.sampled_from(["review", "", "éval"]),
    ),
    "replicates": (COUNTS, ODD_COUNTS),
}
Cells = Mapping[str, tuple[st.SearchStrategy[str], st.SearchStrategy[str]]]


def tables(columns: Sequence[str], cells: Cells) -> st.SearchStrategy[bytes]:
    """Make CSV files with these columns in several dialects: some valid, some with a wrong cell or with typos."""
    rows = st.lists(
        st.tuples(*(cells.get(column, (WORDS, WORDS))[0] for column in columns)),
        min_size=1,
        max_size=3,
        unique_by=lambda row: row[0],
    )
    wrong = st.sampled_from(sorted(cells)).flatmap(
        lambda column: st.tuples(st.integers(0, 9), st.just(columns.index(column)), cells[column][1])
    )
    written = st.builds(
        as_csv,
        st.just(columns),
        st.sampled_from([None, None, None, None, "twice", "less", "blanks", "extra"]),
        st.builds(with_cell, rows, st.one_of(st.none(), wrong)),
        st.sampled_from(["\n", "\r\n", "\r"]),
        st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        st.sampled_from(["", "", "", "\ufeff", "\n"]),
    )
    slipped = st.one_of(written, written, written, with_slips(written, most=1), st.text(max_size=40))
    ends = st.sampled_from([b"", b"", b"", b"\n", b"\n\n", b"\n,,\n", b"\xff", b"\x00"])
    return st.builds(lambda text, end: as_bytes(text) + end, slipped, ends)


def with_cell(rows: list[tuple[str, ...]], wrong: tuple[int, int, str] | None) -> list[tuple[str, ...]]:
    """Return the rows with one cell replaced."""
    if wrong is None:
        return rows
    number, column, cell = wrong
    at = number % len(rows)
    return [*rows[:at], (*rows[at][:column], cell, *rows[at][column + 1 :]), *rows[at + 1 :]]


def as_csv(
    columns: Sequence[str], header: str | None, rows: list[Sequence[str]], end: str, quoting: Any, before: str
) -> str:
    """Return the text of a table whose header has the mistake that `header` names."""
    named = {
        None: columns,
        "twice": [*columns[:-1], columns[0]],
        "less": columns[1:],
        "blanks": [f" {column}\t" for column in columns],
        "extra": [*columns, "more"],
    }[header]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator=end, quoting=quoting)
    writer.writerows([named, *([*row, "x"] if header == "extra" else row for row in rows)])
    return before + buffer.getvalue()


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Return the catalog of a data root with template texts and no CSV files; a secret file lies outside the root."""
    folder = tmp_path / "data" / TEXTS
    folder.mkdir(parents=True)
    for name in HAS_TEXT:
        (folder / f"{name}.txt").write_text(f"Text of {name}: {{{{ response }}}}\n")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "x.txt").write_text("secret")
    return Catalog(root=tmp_path / "data")


@fuzzed("templates.csv")
@given(tables(TEMPLATE_COLUMNS, TEMPLATE_CELLS))
@example(b"template_id,active\n../../../../x,true\n").via("a path as an id")
@example(b"template_id,active\n\n\nnovelty,true\n").via("blank lines")
@example(b"template_id,active,description\n007,true," + b"x" * 200_000 + b"\n").via("a cell without end")
def test_templates_are_read_or_named(catalog: Catalog, content: bytes) -> None:
    """Active templates are those whose row says so, each with its own text; else problems name file and line."""
    (catalog.root / TEMPLATES).write_bytes(content)
    with recorded_writes() as writes:
        checked = catalog.templates()
    assert writes == []
    check_problems(checked.problems, TEMPLATES, content)
    for template in checked.value:
        assert may_be_an_id(template.template_id)
        assert template.template_id in HAS_TEXT
        assert template.text == f"Text of {template.template_id}: {{{{ response }}}}\n"
        assert 0 <= template.rubric.scale.low < template.rubric.scale.high <= 1000
        assert rubric_of(f"2{template.rubric.version_parts}") == template.rubric
    if not checked.problems:
        assert all(is_boolean(row["active"]) for row in rows_of(content))
        active = [row for row in rows_of(content) if is_true(row["active"])]
        assert [t.template_id for t in checked.value] == [row["template_id"].strip() for row in active]
        assert [t.reads for t in checked.value] == [row.get("reads", "").strip() or "reply" for row in active]
        assert [t.parser for t in checked.value] == [row.get("parser", "").strip() for row in active]
        assert len({t.template_id.lower() for t in checked.value}) == len(active) > 0
        for template, row in zip(checked.value, active, strict=True):
            ends = [row.get(name, "").strip() for name in ("score_min", "score_max")]
            assert template.rubric.scale == Scale(float(ends[0] or 0), float(ends[1] or 9))
            names = (name.strip() for name in row.get("criteria", "").split(";"))
            assert template.rubric.criteria == tuple(name for name in names if name)


@fuzzed("models.csv")
@given(tables(MODEL_COLUMNS, MODEL_CELLS))
def test_models_are_read_or_named(catalog: Catalog, content: bytes) -> None:
    """Judges are the rows that say so, every number as it is written; else problems name file and line."""
    (catalog.root / MODELS).write_bytes(content)
    with recorded_writes() as writes:
        checked = catalog.models()
    assert writes == []
    check_problems(checked.problems, MODELS, content)
    if checked.problems:
        return
    assert all(is_boolean(row["for_evaluation"]) for row in rows_of(content))
    judges = [row for row in rows_of(content) if is_true(row["for_evaluation"])]
    assert [(m.id, m.model) for m in checked.value] == [(row["id"].strip(), row["model"].strip()) for row in judges]
    assert len({model.id.lower() for model in checked.value}) == len(judges) > 0
    for model, row in zip(checked.value, judges, strict=True):
        assert model.id.isprintable()
        assert model.model.isprintable()
        assert json.loads(model.request or "{}") == json.loads(row.get("request", "").strip() or "{}")
        assert not {"model", "messages", "stream", "n"} & json.loads(model.request or "{}").keys()
        assert model.max_tokens_field == (row.get("max_tokens_field", "").strip() or "max_tokens")
        for column, low, high in (
            ("temperature", 0, 2),
            ("max_tokens", 1, 10_000_000),
            ("input_usd_per_mtok", 0, 1_000_000),
            ("output_usd_per_mtok", 0, 1_000_000),
            ("cached_input_usd_per_mtok", 0, 1_000_000),
        ):
            cell, number = row.get(column, "").strip(), getattr(model, column)
            assert set(cell) <= set("0123456789.eE+-")
            assert number == (float(cell) if cell else None)
            assert number is None or low <= number <= high


@fuzzed("replication.csv")
@given(tables(("stage", "replicates"), REPLICATION_CELLS))
def test_replicates_are_read_or_named(catalog: Catalog, content: bytes) -> None:
    """The number of replicates is what the one row of evaluations says; else problems name file and line."""
    (catalog.root / REPLICATION).write_bytes(content)
    with recorded_writes() as writes:
        checked = catalog.replicates()
    assert writes == []
    check_problems(checked.problems, REPLICATION, content)
    if not checked.problems:
        cells = [r["replicates"] for r in rows_of(content) if r["stage"].strip().lower() == "evaluation"]
        assert [int(cell) for cell in cells] == [checked.value]
        assert 1 <= checked.value <= 1000


def rows_of(content: bytes) -> list[dict[str, str]]:
    """Return the rows as dictionaries by column, for a file without problems."""
    lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    header = [cell.strip() for cell in lines[0]]
    return [dict(zip(header, line, strict=True)) for line in lines[1:] if any(cell.strip() for cell in line)]


def is_boolean(cell: str) -> bool:
    return cell.strip().lower() in ("true", "false", "1", "0")


def is_true(cell: str) -> bool:
    return cell.strip().lower() in ("true", "1")


def check_problems(problems: Sequence[Problem], name: str, content: bytes) -> None:
    """Assert that each problem is readable and names the file, and a line and a column that can exist."""
    lines = len(lines_of(content.decode("utf-8", errors="replace")))
    for problem in problems:
        assert is_readable(str(problem))
        place, _, column = problem.place.partition(", column ")
        file, _, line = place.partition(":")
        assert file == name
        assert not line or 1 <= int(line) <= lines
        assert not column or column in (*TEMPLATE_COLUMNS, *MODEL_COLUMNS, "stage", "replicates")
