"""Tests of reading the CSV inputs and the selection file: the values, and the place of each reported mistake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from essay_cohorts.calls import JudgeModel
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.errors import Checked, Problem
from tests.store_builder import StoreBuilder

TEMPLATES = "1_raw/evaluation_templates.csv"
MODELS = "1_raw/llm_models.csv"
REPLICATION = "1_raw/replication_config.csv"
TEXTS = "1_raw/templates/evaluation"


@pytest.fixture
def catalog(store: StoreBuilder) -> Catalog:
    """Return the catalog over `store`."""
    return Catalog(root=store.root)


def places(checked: Checked[Any]) -> list[str]:
    """Return the places of the problems."""
    return [problem.place for problem in checked.problems]


def only(checked: Checked[Any]) -> Problem:
    """Return the only problem."""
    [problem] = checked.problems
    return problem


def write_texts(store: StoreBuilder, *template_ids: str) -> None:
    """Write a text for each template."""
    for template_id in template_ids:
        store.write(f"{TEXTS}/{template_id}.txt", f"{template_id}: {{{{ response }}}}")


# ---------------------------------------------------------------- templates


def test_every_row_names_its_parser(store: StoreBuilder, catalog: Catalog) -> None:
    """Inactive templates without text are read too. Of two rows with one id, the active or else the first counts."""
    rows = "a,one,false\nb,,true\na,two,true\na,three,0\nc,four,false\nc,five,false\n"
    store.write(TEMPLATES, f"template_id,parser,active\n{rows}")
    read = catalog.template_rows()
    assert read.problems == ()
    assert [(t.template_id, t.parser, t.row_place) for t in read.value.values()] == [
        ("a", "two", f"{TEMPLATES}:4"),
        ("b", "", f"{TEMPLATES}:3"),
        ("c", "four", f"{TEMPLATES}:6"),
    ]


def test_every_invalid_row_is_reported(store: StoreBuilder, catalog: Catalog) -> None:
    """An invalid row is reported and not skipped, because it may name a parser."""
    store.write(TEMPLATES, "template_id,parser,active\n../a,,true\nb,,perhaps\n")
    assert places(catalog.template_rows()) == [f"{TEMPLATES}:2, column template_id", f"{TEMPLATES}:3, column active"]


def test_templates_in_file_order(store: StoreBuilder, catalog: Catalog) -> None:
    """The active templates come in the order of the file, each with its text and the places for messages."""
    store.write(TEMPLATES, "template_id,parser,active\nzeta,,true\nalpha, in_last_line ,1\nbeta,,false\n")
    write_texts(store, "zeta", "alpha")
    read = catalog.templates()
    assert read.problems == ()
    assert [(t.template_id, t.text, t.parser) for t in read.value] == [
        ("zeta", "zeta: {{ response }}", ""),
        ("alpha", "alpha: {{ response }}", "in_last_line"),
    ]
    assert read.value[1].place == f"{TEXTS}/alpha.txt"
    assert read.value[1].row_place == f"{TEMPLATES}:3"


def test_what_a_template_reads(store: StoreBuilder, catalog: Catalog) -> None:
    """The column `reads` says whether reasoning may replace an empty reply; an empty or missing cell says no."""
    write_texts(store, "a", "b", "c")
    store.write(TEMPLATES, "template_id,active,reads\na,1,\nb,1,reply\nc,1, reply_or_reasoning \n")
    assert [t.reads for t in catalog.templates().value] == ["reply", "reply", "reply_or_reasoning"]
    store.write(TEMPLATES, "template_id,active\na,1\n")
    assert [t.reads for t in catalog.templates().value] == ["reply"]


@pytest.mark.parametrize(
    ("cell", "next_step"),
    [
        pytest.param("reply_or_reason", 'Did you mean "reply_or_reasoning"?', id="a typo"),
        pytest.param("x", "Known: reply, reply_or_reasoning.", id="another word"),
    ],
)
def test_other_words_in_reads(store: StoreBuilder, catalog: Catalog, cell: str, next_step: str) -> None:
    """An unknown word is an error that lists the known words; the cell of an inactive template is ignored."""
    write_texts(store, "a")
    store.write(TEMPLATES, f"template_id,active,reads\nb,0,{cell}\na,1,{cell}\n")
    problem = only(catalog.templates())
    assert (problem.place, problem.next_step) == (f"{TEMPLATES}:3, column reads", next_step)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        *(pytest.param(text, True, id=f"true: {text!r}") for text in ("true", "TRUE", "True", "tRuE", "1", " true ")),
        *(pytest.param(text, False, id=f"false: {text!r}") for text in ("false", "FALSE", "False", "0", "  0  ")),
    ],
)
def test_booleans(store: StoreBuilder, catalog: Catalog, cell: str, expected: bool) -> None:
    """The words true, false, 1 and 0 are accepted in any case and with blanks around them."""
    write_texts(store, "always", "perhaps")
    store.write(TEMPLATES, f"template_id,active\nalways,true\nperhaps,{cell}\n")
    read = catalog.templates()
    assert read.problems == ()
    assert ("perhaps" in [template.template_id for template in read.value]) is expected


@pytest.mark.parametrize("cell", [pytest.param(cell, id=repr(cell)) for cell in ("yes", "", "t", "2", "truee", "-1")])
def test_other_booleans_are_errors(store: StoreBuilder, catalog: Catalog, cell: str) -> None:
    """Any other value is an error that names file, line and column; it is never read as false."""
    write_texts(store, "always", "perhaps")
    store.write(TEMPLATES, f"template_id,active\nalways,true\nperhaps,{cell}\n")
    problem = only(catalog.templates())
    assert problem.place == f"{TEMPLATES}:3, column active"
    assert f'"{cell}"' in problem.finding
    assert problem.next_step == "Write true, false, 1 or 0."


def test_every_wrong_boolean_of_a_column_is_reported(store: StoreBuilder, catalog: Catalog) -> None:
    """Each unknown word in the column is reported, and none is read as false."""
    store.write(TEMPLATES, "template_id,active\na,on\nb,off\nc,on\n")
    assert places(catalog.templates()) == [f"{TEMPLATES}:{line}, column active" for line in (2, 3, 4)]


@pytest.mark.parametrize("template_id", [pytest.param(text, id=text) for text in ("007", "1e5", "0x10", "1.0", "no")])
def test_ids_are_text(store: StoreBuilder, catalog: Catalog, template_id: str) -> None:
    """An id that looks like a number or a boolean stays the text that it is."""
    write_texts(store, template_id)
    store.write(TEMPLATES, f"template_id,active\n{template_id},true\n")
    store.write(MODELS, f"id,model,for_evaluation\n{template_id},{template_id},true\n")
    assert [template.template_id for template in catalog.templates().value] == [template_id]
    assert [(model.id, model.model) for model in catalog.models().value] == [(template_id, template_id)]


def test_bom_crlf_and_extra_columns(store: StoreBuilder, catalog: Catalog) -> None:
    """A file saved by a spreadsheet program, with BOM, CRLF, other column order and more columns, reads the same."""
    write_texts(store, "novelty")
    store.write(TEMPLATES, "\ufeffactive,owner,template_id\r\n1,somebody,novelty\r\n\r\n".encode())
    store.write(MODELS, "\ufeffid,note,model,for_evaluation\r\nm,x,api/m,TRUE\r\n".encode())
    store.write(REPLICATION, "\ufeffstage,replicates,note\r\nevaluation,4,x\r\n".encode())
    store.write("2_tasks/selected_essays.txt", "\ufeff# mode: evaluation-only\r\ne_1\r\n".encode())
    assert [template.template_id for template in catalog.templates().value] == ["novelty"]
    assert catalog.models().value == (JudgeModel(id="m", model="api/m"),)
    assert catalog.replicates() == Checked(value=4)
    selection = catalog.selection().value
    assert selection is not None
    assert selection.text.startswith("# mode")


def test_line_numbers_behind_quoted_newlines(store: StoreBuilder, catalog: Catalog) -> None:
    """A cell that spans several lines does not shift the line numbers of later rows."""
    write_texts(store, "a", "b", "c")
    rows = 'a,"two\nlines",true\nb,"three\r\n\r\nlines",maybe\n\nc,"one ""quoted"" line",perhaps\n'
    store.write(TEMPLATES, f"template_id,description,active\n{rows}")
    read = catalog.templates()
    assert places(read) == [f"{TEMPLATES}:4, column active", f"{TEMPLATES}:8, column active"]
    assert [template.row_place for template in read.value] == [f"{TEMPLATES}:2"]


def test_comments_are_ignored(store: StoreBuilder, catalog: Catalog) -> None:
    """Lines that begin with # may be anywhere, with commas and quotes; line numbers count them."""
    write_texts(store, "a", "b")
    comments = '# head; with a semicolon, "quotes"\n'
    store.write(TEMPLATES, f"{comments}template_id,active\n# a, b, c\na,true\n  # indented\nb,maybe\n")
    read = catalog.templates()
    assert places(read) == [f"{TEMPLATES}:6, column active"]
    assert [template.row_place for template in read.value] == [f"{TEMPLATES}:4"]
    store.write(TEMPLATES, "# note\ntemplate_id;active\n")
    assert "separated by semicolons" in catalog.templates().problems[0].finding
    store.write(TEMPLATES, "# note\nactive\n")
    assert catalog.templates().problems[0].place == f"{TEMPLATES}:2"


@pytest.mark.parametrize(
    ("text", "place", "finding"),
    [
        pytest.param("template_id\na\n", f"{TEMPLATES}:1", '"active" is missing', id="a column is missing"),
        pytest.param("", f"{TEMPLATES}:1", '"template_id" is missing', id="an empty file"),
        pytest.param("template_id,active,active\na,1,1\n", f"{TEMPLATES}:1", '"active" appears twice', id="twice"),
        pytest.param("template_id,active\na\n", f"{TEMPLATES}:2", "1 cell, the header 2", id="a cell too few"),
        pytest.param("template_id,active\na,1,x\n", f"{TEMPLATES}:2", "3 cells, the header 2", id="a cell too many"),
        pytest.param('template_id,active\n"a,1\n', f"{TEMPLATES}:", "not CSV", id="an open quote"),
        pytest.param('template_id,active\n"a"b,1\n', f"{TEMPLATES}:2", "not CSV", id="text behind a quote"),
        pytest.param("template_id,active\n../a,1\n", f"{TEMPLATES}:2, column template_id", "'../a'", id="a path"),
        pytest.param("template_id,active\n,1\n", f"{TEMPLATES}:2, column template_id", "it is empty", id="no id"),
        pytest.param("template_id,active\nnovelty,0\n", TEMPLATES, "no template has active true", id="none active"),
        pytest.param("template_id,active\n", TEMPLATES, "no template has active true", id="only a header"),
        pytest.param(
            "template_id,active\nunwritten,1\n",
            f"{TEMPLATES}:2, column template_id",
            f"no file {TEXTS}/unwritten.txt",
            id="text missing",
        ),
        pytest.param(
            "template_id,active\nnovelty,1\nNovelty,1\n",
            f"{TEMPLATES}:3, column template_id",
            "differ only by case",
            id="ids that differ by case",
        ),
        pytest.param(b"template_id,active\ncaf\xe9,1\n", TEMPLATES, "not UTF-8 (byte 22)", id="Latin-1"),
    ],
)
def test_bad_templates(store: StoreBuilder, catalog: Catalog, text: str | bytes, place: str, finding: str) -> None:
    """Each mistake is reported with its place and the next step."""
    write_texts(store, "Novelty")
    store.write(TEMPLATES, text)
    problem = catalog.templates().problems[0]
    assert problem.place.startswith(place)
    assert finding in problem.finding
    assert problem.next_step.endswith(".") or "header is" in problem.next_step or ": " in problem.next_step


def test_ids_that_differ_by_case_may_be_inactive(store: StoreBuilder, catalog: Catalog) -> None:
    """An inactive row may have the name of an active row, because only active rows can share gen_ids."""
    store.write(TEMPLATES, "template_id,active\nnovelty,1\nNOVELTY,0\nnovelty,0\n")
    assert catalog.templates().problems == ()


def test_an_id_that_appears_twice_is_one_problem(store: StoreBuilder, catalog: Catalog) -> None:
    """Two active rows with one id are reported as one problem."""
    store.write(TEMPLATES, "template_id,active\nnovelty,1\nnovelty,1\n")
    assert "novelty" in only(catalog.templates()).finding


def test_every_row_that_clashes_is_named(store: StoreBuilder, catalog: Catalog) -> None:
    """Each row whose id equals an earlier row's id, ignoring case, is reported on its own line."""
    write_texts(store, "Novelty", "other")
    store.write(TEMPLATES, "template_id,active\nnovelty,1\nNovelty,1\nother,1\nnovelty,1\n")
    assert places(catalog.templates()) == [f"{TEMPLATES}:{line}, column template_id" for line in (3, 5)]


def test_the_order_of_problems_is_the_same_in_every_process(store: StoreBuilder) -> None:
    """Several repeated columns are reported in the same order, whatever the hash seed."""
    store.write(TEMPLATES, "template_id,active,a,a,b,b,c,c,d,d,e,e\n")
    code = (
        "from essay_cohorts.catalog.catalog import Catalog; from pathlib import Path; import sys;"
        "print([p.finding for p in Catalog(root=Path(sys.argv[1])).templates().problems])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, str(store.root)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "include")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_a_missing_file_is_a_problem(store: StoreBuilder, catalog: Catalog) -> None:
    """A missing CSV file is reported and never read as an empty table."""
    for name, read in ((TEMPLATES, catalog.templates), (MODELS, catalog.models), (REPLICATION, catalog.replicates)):
        (store.root / name).unlink()
        problem = only(read())
        assert problem.place == name
        assert "cannot be read" in problem.finding


def test_template_text_that_is_not_utf8(store: StoreBuilder, catalog: Catalog) -> None:
    """A template text that is not UTF-8 is a problem of its file, with the position of the byte."""
    store.write(f"{TEXTS}/novelty.txt", b"caf\xe9 {{ response }}")
    problem = only(catalog.templates())
    assert (problem.place, problem.finding) == (f"{TEXTS}/novelty.txt", "it is not UTF-8 (byte 3).")


def test_a_bom_in_a_template_text_is_not_sent(store: StoreBuilder, catalog: Catalog) -> None:
    """A BOM at the start of a template's text does not become part of the prompt."""
    store.write(f"{TEXTS}/novelty.txt", b"\xef\xbb\xbfJudge {{ response }}")
    assert catalog.templates().value[0].text == "Judge {{ response }}"


def test_a_system_message_is_optional(store: StoreBuilder, catalog: Catalog) -> None:
    """The file next to a template's text is its system message; without this file there is no system message."""
    store.write(f"{TEXTS}/novelty.system.txt", b"\xef\xbb\xbfBe strict.\n")
    assert [(t.template_id, t.system) for t in catalog.templates().value] == [
        ("novelty", "Be strict.\n"),
        ("coherence", ""),
    ]


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        pytest.param(b"caf\xe9", "not UTF-8 (byte 3)", id="Latin-1"),
        pytest.param(b" \n", "the system message is empty", id="blank"),
        pytest.param(None, "cannot be read", id="a folder"),
    ],
)
def test_bad_system_messages(store: StoreBuilder, catalog: Catalog, content: bytes | None, finding: str) -> None:
    """A system message that cannot be sent is reported and not silently left out."""
    name = f"{TEXTS}/novelty.system.txt"
    if content is None:
        (store.root / name).mkdir()
    else:
        store.write(name, content)
    problem = only(catalog.templates())
    assert problem.place == name
    assert finding in problem.finding


def test_one_file_is_not_two_texts(store: StoreBuilder, catalog: Catalog) -> None:
    """Template `a.system` next to template `a` is refused, because its text would be the system message of `a`."""
    store.write(TEMPLATES, "template_id,active\na,1\na.system,1\n")
    write_texts(store, "a", "a.system")
    problem = only(catalog.templates())
    assert problem.place == f"{TEMPLATES}:2, column template_id"
    assert '"a.system"' in problem.next_step


@pytest.mark.parametrize(
    ("header", "words"),
    [
        pytest.param("template_id;active", "semicolons", id="semicolons"),
        pytest.param('"template_id";"active"', "semicolons", id="quoted"),
        pytest.param("\ufefftemplate_id;active", "semicolons", id="with a BOM"),
        pytest.param("template_id\tactive", "tabs", id="tabs"),
    ],
)
def test_another_separator_is_named(store: StoreBuilder, catalog: Catalog, header: str, words: str) -> None:
    """A file separated by semicolons or tabs, as spreadsheet programs write it, is one problem with this cause."""
    store.write(TEMPLATES, f"{header}\r\nnovelty;true\r\n")
    problem = only(catalog.templates())
    assert (problem.place, problem.finding) == (f"{TEMPLATES}:1", f"the columns are separated by {words}.")
    assert "with commas" in problem.next_step


@pytest.mark.parametrize("blank", [pytest.param(line, id=repr(line)) for line in (",", ",,,,", " , ", " ", '"",""')])
def test_empty_rows_are_skipped(store: StoreBuilder, catalog: Catalog, blank: str) -> None:
    """Empty rows, which spreadsheet programs leave, are skipped and do not shift the line numbers of later rows."""
    write_texts(store, "a")
    store.write(TEMPLATES, f"template_id,active\na,1\n{blank}\nb,x\n{blank}\n")
    assert places(catalog.templates()) == [f"{TEMPLATES}:4, column active"]
    store.write(REPLICATION, f"stage,replicates\n{blank}\nevaluation,3\n")
    assert catalog.replicates() == Checked(value=3)


def test_without_active_the_named_templates_count(store: StoreBuilder, catalog: Catalog) -> None:
    """Without the column `active` the templates must be named, and the other rows are not checked."""
    store.write(TEMPLATES, "template_id,reads\na,\nb,x\nc,\n")
    write_texts(store, "a", "c")
    assert [t.template_id for t in catalog.templates(["c", "a"]).value] == ["a", "c"]
    assert catalog.templates(["c", "unknown"]) == catalog.templates(["c"])
    assert catalog.choices(TEMPLATES) == ["a", "b", "c"]
    assert list(catalog.template_rows().value) == ["a", "b", "c"]
    problem = only(catalog.templates())
    assert problem.place == f"{TEMPLATES}:1"
    assert problem.finding == 'the column "active" is missing, so the templates to use must be named.'
    assert "templates in the conf" in problem.next_step


def test_with_active_names_change_nothing(store: StoreBuilder, catalog: Catalog) -> None:
    """If a store marks its rows, only the marks decide which templates and models can be used."""
    store.write(TEMPLATES, "template_id,active\nnovelty,1\ncoherence,0\n")
    assert catalog.templates(["coherence"]) == catalog.templates()
    assert catalog.choices(TEMPLATES) == ["novelty"]
    assert catalog.models(["nobody"]) == catalog.models()
    assert catalog.choices(MODELS) == ["judge-a", "judge-b"]


def test_without_for_evaluation_the_named_models_count(store: StoreBuilder, catalog: Catalog) -> None:
    """Without the column `for_evaluation` the models must be named, and the other rows are not checked."""
    store.write(MODELS, "id,model,temperature\nm,api/m,0\nmode\u0300le,api/x,1\nwriter,,hot\n")
    assert [m.id for m in catalog.models(["mod\u00e8le", "m"]).value] == ["m", "mod\u00e8le"]
    assert catalog.choices(MODELS) == ["m", "mod\u00e8le", "writer"]
    assert places(catalog.models(["writer"])) == [f"{MODELS}:4, column model", f"{MODELS}:4, column temperature"]
    problem = only(catalog.models())
    assert problem.place == f"{MODELS}:1"
    assert problem.finding == 'the column "for_evaluation" is missing, so the models to use must be named.'


# ---------------------------------------------------------------- models


def test_models_with_all_columns(store: StoreBuilder, catalog: Catalog) -> None:
    """The models for evaluation come in file order; empty cells become None."""
    store.write(
        MODELS,
        "id,model,for_evaluation,temperature,max_tokens,max_tokens_field,input_usd_per_mtok,output_usd_per_mtok,"
        "cached_input_usd_per_mtok,request\n"
        'z,api/z,true,0.3,2048,max_completion_tokens,1.5,6,0.15,"{""top_p"": 0.9, ""seed"": 1}"\n'
        "writer,api/w,false,,,,,,x,y\n"
        "a,api/a,1,,,,,,,\n"
        "free,api/f,1,0,1,max_tokens,0,0,0,{}\n",
    )
    read = catalog.models()
    assert read.problems == ()
    assert read.value == (
        JudgeModel(
            id="z",
            model="api/z",
            temperature=0.3,
            max_tokens=2048,
            max_tokens_field="max_completion_tokens",
            input_usd_per_mtok=1.5,
            output_usd_per_mtok=6.0,
            cached_input_usd_per_mtok=0.15,
            request='{"seed":1,"top_p":0.9}',
        ),
        JudgeModel(id="a", model="api/a"),
        JudgeModel(
            id="free",
            model="api/f",
            temperature=0.0,
            max_tokens=1,
            input_usd_per_mtok=0.0,
            output_usd_per_mtok=0.0,
            cached_input_usd_per_mtok=0.0,
        ),
    )


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        *(
            pytest.param("temperature", cell, id=f"temperature {cell}")
            for cell in ("-0.1", "2.1", "warm", "nan", "inf", "-inf")
        ),
        *(
            pytest.param("max_tokens", cell, id=f"max_tokens {cell}")
            for cell in ("0", "-1", "1.5", "many", "10000001", "nan")
        ),
        *(
            pytest.param(column, cell, id=f"{column} {cell}")
            for column in ("input_usd_per_mtok", "output_usd_per_mtok", "cached_input_usd_per_mtok")
            for cell in ("-1", "nan", "inf", "1e400", "$3", "1000001")
        ),
        pytest.param("max_tokens_field", "max_output_tokens", id="unknown max_tokens_field"),
        *(
            pytest.param("connection", cell, id=f"connection {cell}")
            for cell in ("my vllm", "vllm/local", "-vllm", "é", "a" * 101)
        ),
        pytest.param("max_tokens_field", "MAX_TOKENS", id="max_tokens_field in capitals"),
        pytest.param("id", "", id="no id"),
        pytest.param("model", " ", id="no model"),
        pytest.param("for_evaluation", "y", id="unknown boolean"),
    ],
)
def test_bad_model_cells(store: StoreBuilder, catalog: Catalog, column: str, cell: str) -> None:
    """An invalid cell is an error with file, line and column that quotes the cell."""
    cells = {"id": "m", "model": "api/m", "for_evaluation": "true", column: cell}
    store.write(MODELS, f"{','.join(cells)}\n{','.join(cells.values())}\n")
    problem = only(catalog.models())
    assert problem.place == f"{MODELS}:2, column {column}"
    assert cell.strip() in problem.finding
    assert problem.next_step


@pytest.mark.parametrize(
    ("cell", "connection"),
    [
        pytest.param("", "llm_default", id="empty"),
        pytest.param(" ", "llm_default", id="blank"),
        pytest.param("llm_default", "llm_default", id="the default by name"),
        pytest.param("Open-router_2.eu", "Open-router_2.eu", id="every kind of character"),
    ],
)
def test_the_connection_of_a_judge(store: StoreBuilder, catalog: Catalog, cell: str, connection: str) -> None:
    """A row names its connection; without a name the judge is asked over the default one."""
    store.write(MODELS, f"id,model,for_evaluation,connection\nm,m,1,{cell}\n")
    assert catalog.models() == Checked(value=(JudgeModel(id="m", model="m", connection=connection),))


def test_a_misspelt_connection_column_is_named(store: StoreBuilder, catalog: Catalog) -> None:
    """A column whose values would be ignored is an error, because the judge would be asked at another server."""
    store.write(MODELS, "id,model,for_evaluation,conection\nm,m,1,vllm\n")
    assert only(catalog.models()).next_step == 'Did you mean "connection"?'


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        pytest.param("max_tokens", "1_000", id="underscore"),
        pytest.param("input_usd_per_mtok", "1_5", id="underscore for a point"),
    ],
)
def test_numbers_in_pythons_own_spelling(store: StoreBuilder, catalog: Catalog, column: str, cell: str) -> None:
    """Underscores in numbers are an error, because 1_5 is more likely a typo of 1.5 than the number 15."""
    store.write(MODELS, f"id,model,for_evaluation,{column}\nm,m,1,{cell}\n")
    assert places(catalog.models()) == [f"{MODELS}:2, column {column}"]


def test_cells_of_other_models_do_not_matter(store: StoreBuilder, catalog: Catalog) -> None:
    """The cells of a model that is not for evaluation are not checked."""
    store.write(MODELS, "id,model,for_evaluation,temperature\nwriter,,false,hot\njudge,m,true,\n")
    assert catalog.models() == Checked(value=(JudgeModel(id="judge", model="m"),))


def test_all_problems_of_a_row_and_of_all_rows(store: StoreBuilder, catalog: Catalog) -> None:
    """All problems of the file are reported at once, and the valid rows are still read."""
    store.write(
        MODELS,
        "id,model,for_evaluation,temperature,max_tokens\n,,true,9,0\ngood,m,true,1,10\nbad,m,true,x,10\nc,m,perhaps,,\n",
    )
    read = catalog.models()
    assert places(read) == [
        *(f"{MODELS}:2, column {column}" for column in ("id", "model", "temperature", "max_tokens")),
        f"{MODELS}:4, column temperature",
        f"{MODELS}:5, column for_evaluation",
    ]
    assert [model.id for model in read.value] == ["good"]


@pytest.mark.parametrize(
    ("rows", "finding"),
    [
        pytest.param("m,m,0\n", "no model has for_evaluation true", id="none for evaluation"),
        pytest.param("gpt-X,m,1\nGPT-x,m,1\n", "differ only by case", id="ids by case"),
    ],
)
def test_bad_sets_of_models(store: StoreBuilder, catalog: Catalog, rows: str, finding: str) -> None:
    """It is an error if no model is for evaluation, or if two models would share their gen_ids."""
    store.write(MODELS, f"id,model,for_evaluation\n{rows}")
    assert finding in only(catalog.models()).finding


def write_request(store: StoreBuilder, cell: str, **others: str) -> None:
    """Write one judge with this cell in the column `request`."""
    cells = {"id": "m", "model": "api/m", "for_evaluation": "true", **others}
    quoted = cell.replace('"', '""')
    store.write(MODELS, f'{",".join(cells)},request\n{",".join(cells.values())},"{quoted}"\n')


@pytest.mark.parametrize(
    ("cell", "finding"),
    [
        pytest.param("low", "not a JSON object: Expecting value", id="a word"),
        pytest.param('{"seed": 1', "not a JSON object: Expecting", id="cut off"),
        pytest.param("[1]", "it is not an object", id="a list"),
        pytest.param("null", "it is not an object", id="null"),
        pytest.param('{"seed": NaN}', "NaN is not JSON", id="NaN"),
        pytest.param('{"seed": 1e999}', "not a JSON object", id="infinite"),
        pytest.param('{"seed": "\\ud800"}', "not a JSON object", id="half a character"),
        pytest.param('{"seed": 1, "seed": 2}', "a key appears twice", id="a key twice"),
        pytest.param("[" * 100_000, "nested too deeply", id="nested"),
        *(
            pytest.param(f'{{"{key}": 1}}', f'the key "{key}" cannot be set here', id=key)
            for key in ("model", "messages", "stream", "n", "max_tokens", "max_completion_tokens")
        ),
    ],
)
def test_bad_requests(store: StoreBuilder, catalog: Catalog, cell: str, finding: str) -> None:
    """The cell must be a JSON object without the keys that other columns or the program set."""
    write_request(store, cell)
    problem = only(catalog.models())
    assert problem.place == f"{MODELS}:2, column request"
    assert finding in problem.finding
    assert problem.next_step


def test_a_temperature_in_both_places(store: StoreBuilder, catalog: Catalog) -> None:
    """A temperature is allowed in the request, but not in the request and the column at once."""
    write_request(store, '{"temperature": 1}', temperature="")
    assert catalog.models().value[0].request == '{"temperature":1}'
    write_request(store, '{"temperature": 1}', temperature="1")
    assert only(catalog.models()).next_step == "Remove the key and use the column temperature."


def test_equal_requests_are_equal(store: StoreBuilder, catalog: Catalog) -> None:
    """The order of the keys and blanks in a request do not change the judge."""
    write_request(store, '{"b": "é", "a": {"d": 1, "c": 2}}')
    first = catalog.models().value
    write_request(store, '{"a":{"c":2,"d":1},"b":"é"}')
    assert catalog.models().value == first


def test_an_id_has_one_form(store: StoreBuilder, catalog: Catalog) -> None:
    """Two Unicode spellings of an accent give the same id; the model name sent to the API keeps its spelling."""
    store.write(MODELS, "id,model,for_evaluation\nmode\u0300le,mode\u0300le,1\n")
    assert [(m.id, m.model) for m in catalog.models().value] == [("mod\u00e8le", "mode\u0300le")]
    store.write(MODELS, "id,model,for_evaluation\nmode\u0300le,a,1\nmod\u00e8le,b,1\n")
    assert "already" in only(catalog.models()).finding


# ---------------------------------------------------------------- misspelt columns


@pytest.mark.parametrize(
    ("name", "header", "misspelt", "meant"),
    [
        *(
            pytest.param(MODELS, "id,model,for_evaluation,{}", misspelt, meant, id=misspelt)
            for misspelt, meant in (
                ("temprature", "temperature"),
                ("Temperature", "temperature"),
                ("temp", "temperature"),
                ("max_token", "max_tokens"),
                ("maxtokens", "max_tokens"),
                ("max_output_tokens", "max_tokens"),
                ("max_completion_tokens", "max_tokens"),
                ("max_token_field", "max_tokens_field"),
                ("input_usd_per_token", "input_usd_per_mtok"),
            )
        ),
        pytest.param(TEMPLATES, "template_id,active,{}", "parsr", "parser", id="parsr"),
        pytest.param(REPLICATION, "stage,{}", "replicate", "replicates", id="replicate"),
    ],
)
def test_a_misspelt_column_is_a_problem(
    store: StoreBuilder, catalog: Catalog, name: str, header: str, misspelt: str, meant: str
) -> None:
    """A misspelt column is an error that suggests the right name, because its values would otherwise be ignored."""
    store.write(name, header.format(misspelt) + "\n")
    reads: dict[str, Callable[[], Checked[Any]]] = {
        MODELS: catalog.models,
        TEMPLATES: catalog.templates,
        REPLICATION: catalog.replicates,
    }
    problem = reads[name]().problems[-1]
    assert problem.place == f"{name}:1"
    assert f'"{misspelt}" is unknown' in problem.finding
    assert problem.next_step == f'Did you mean "{meant}"?'


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        pytest.param("temperature,temperature_note", "0,x", id="the column that is meant is there"),
        pytest.param("owner,price_list,reviewed_by", "a,b,c", id="like no known column"),
        pytest.param("provider,display_name,for_generation,specialization", "a,b,no,d", id="of the original system"),
        pytest.param(",", ",", id="without a name"),
    ],
)
def test_other_unknown_columns_are_allowed(store: StoreBuilder, catalog: Catalog, columns: str, row: str) -> None:
    """A file may have additional columns."""
    store.write(MODELS, f"id,model,for_evaluation,{columns}\nm,api/m,true,{row}\n")
    assert catalog.models().problems == ()


# ---------------------------------------------------------------- replicates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("stage,replicates\nevaluation,4\n", 4, id="one row"),
        pytest.param("stage,replicates\ndraft,1\nessay,2\nevaluation,3\n", 3, id="a row a stage"),
        pytest.param("replicates,note,stage\n7,x, Evaluation \n", 7, id="other order, blanks and case"),
        pytest.param("stage,replicates\nevaluation,1000\n", 1000, id="the most"),
    ],
)
def test_replicates(store: StoreBuilder, catalog: Catalog, text: str, expected: int) -> None:
    """The row of stage evaluation says how many evaluations each cell should have."""
    store.write(REPLICATION, text)
    assert catalog.replicates() == Checked(value=expected)


@pytest.mark.parametrize(
    ("rows", "place", "finding"),
    [
        pytest.param("essay,1\n", REPLICATION, 'no rows for the stage "evaluation"', id="missing"),
        pytest.param("evaluation,\n", f"{REPLICATION}:2, column replicates", "empty", id="empty cell"),
        pytest.param("evaluation,\nevaluation,3\n", f"{REPLICATION}:2, column replicates", "empty", id="one empty"),
        pytest.param("evaluation,2\nevaluation,3\n", REPLICATION, "2 rows", id="double"),
        pytest.param("evaluation,2\nevaluatoin,2\n", f"{REPLICATION}:3, column stage", '"evaluatoin"', id="unknown"),
        *(
            pytest.param(
                f"evaluation,{cell}\n", f"{REPLICATION}:2, column replicates", f'"{cell}"', id=f"count {cell}"
            )
            for cell in ("0", "-1", "four", "1.5", "1001", "nan")
        ),
        pytest.param("evaluation\n", f"{REPLICATION}:2", "1 cell, ", id="uneven"),
    ],
)
def test_bad_replicates(store: StoreBuilder, catalog: Catalog, rows: str, place: str, finding: str) -> None:
    """The stage evaluation must have exactly one row, with a whole number from 1 to 1,000."""
    store.write(REPLICATION, f"stage,replicates\n{rows}")
    problem = only(catalog.replicates())
    assert problem.place == place
    assert finding in problem.finding
    assert problem.next_step


# ---------------------------------------------------------------- selection


@pytest.mark.parametrize("name", [pytest.param(f"selected_{stage}.txt", id=stage) for stage in ("essays", "drafts")])
def test_the_one_selection_file_is_read(store: StoreBuilder, catalog: Catalog, name: str) -> None:
    """The selection is read from whichever of the two files exists, and keeps this file's name."""
    store.select("# mode: evaluation-only", "e_1", name=name)
    selection = catalog.selection().value
    assert selection is not None
    assert (selection.place, selection.text) == (f"2_tasks/{name}", "# mode: evaluation-only\ne_1\n")


def test_both_selection_files(store: StoreBuilder, catalog: Catalog) -> None:
    """If both selection files exist, the error names both."""
    store.select("e_1")
    store.select("e_1", name="selected_drafts.txt")
    problem = only(catalog.selection())
    assert "selected_essays.txt" in problem.finding
    assert "selected_drafts.txt" in problem.finding
    assert "Delete" in problem.next_step


def test_no_selection_file(catalog: Catalog) -> None:
    """Without a selection file the error names the file to write and the conf key to use instead."""
    problem = only(catalog.selection())
    assert "2_tasks/selected_essays.txt" in problem.next_step
    assert "essay_ids" in problem.next_step


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        pytest.param(b"caf\xe9\n", "not UTF-8 (byte 3)", id="Latin-1"),
        pytest.param("e_1\n".encode("utf-16"), "not UTF-8", id="UTF-16"),
        pytest.param(None, "cannot be read", id="a folder"),
    ],
)
def test_selection_file_that_cannot_be_read(
    store: StoreBuilder, catalog: Catalog, content: bytes | None, finding: str
) -> None:
    """A selection in another encoding, or a folder in its place, is a problem of that file."""
    if content is None:
        (store.root / "2_tasks" / "selected_essays.txt").mkdir(parents=True)
    else:
        store.write("2_tasks/selected_essays.txt", content)
    problem = only(catalog.selection())
    assert problem.place == "2_tasks/selected_essays.txt"
    assert finding in problem.finding


def test_offline_replies_need_the_marker_file(store: StoreBuilder, catalog: Catalog) -> None:
    """Scores of the offline judge are allowed only while the marker file exists in the data root."""
    assert catalog.offline_replies_allowed()
    (store.root / "1_raw" / "OFFLINE_OK").unlink()
    assert not catalog.offline_replies_allowed()


def test_files_are_read_again_each_time(store: StoreBuilder, catalog: Catalog) -> None:
    """The catalog caches nothing: each call reads the files again."""
    assert catalog.replicates().value == 4
    store.write(REPLICATION, "stage,replicates\nevaluation,2\n")
    assert catalog.replicates().value == 2
