"""Adding a template or a judge: a checked row, and every other byte of the file as it was."""

from __future__ import annotations

import pytest

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.catalog.models import MODELS
from essay_cohorts.catalog.templates import TEMPLATES
from essay_cohorts.errors import BadInput
from essay_cohorts.importing.catalog_edits import NewTemplate, add_model, add_template
from essay_cohorts.rubric import Scale
from essay_cohorts.settings import Settings
from tests.store_builder import StoreBuilder

TEXT = "{{ boundary }}{{ response }}{{ boundary }}\nSCORE: n\n"


def new(template_id: str = "clarity", text: str = TEXT, **cells: str) -> NewTemplate:
    """Return a template to add."""
    return NewTemplate(template_id=template_id, text=text, cells=cells)


@pytest.mark.parametrize(
    ("before", "row"),
    [
        pytest.param("template_id,parser,active\nnovelty,,true\n", "clarity,,true\n", id="plain"),
        pytest.param("template_id,parser,active\nnovelty,,true", "\nclarity,,true\n", id="no final line end"),
        pytest.param("# a note\ntemplate_id,parser,active\n# more\n", "clarity,,true\n", id="comments"),
        pytest.param("template_id,active\r\nnovelty,true\r\n", "clarity,true\r\n", id="CRLF"),
        pytest.param("\ufefftemplate_id,active\n", "clarity,true\n", id="BOM"),
        pytest.param("active,description,template_id\n", "true,,clarity\n", id="order"),
    ],
)
def test_a_row_is_appended(store: StoreBuilder, before: str, row: str) -> None:
    """The rest of the file stays byte for byte, and the template can be used."""
    store.write(TEMPLATES, before)
    _, written = add_template(Settings(data_root=store.root), new())
    assert (store.root / TEMPLATES).read_bytes().decode() == before + row
    assert written == ["1_raw/templates/evaluation/clarity.txt", TEMPLATES]
    assert "clarity" in [template.template_id for template in Catalog(root=store.root).templates().value]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param(new("../x"), "'../x' is not a valid id.", id="id"),
        pytest.param(new("#x"), "'#x' is not a valid id.", id="a comment"),
        pytest.param(new("novelty"), '"novelty" is on line 2 already.', id="known"),
        pytest.param(new("NOVELTY"), "differ only by case", id="known but for case"),
        pytest.param(new(text="no essay"), "{{ response }}", id="no essay in the text"),
        pytest.param(new(text="{{ response"), "clarity.txt", id="broken template"),
        pytest.param(new(parser="in_last_lin"), 'Did you mean "in_last_line"?', id="parser"),
    ],
)
def test_a_template_that_cannot_be_used_is_not_written(
    store: StoreBuilder, template: NewTemplate, message: str
) -> None:
    """Nothing is written, and the message names the place."""
    tree = store.tree_hash()
    with pytest.raises(BadInput) as error:
        add_template(Settings(data_root=store.root), template)
    assert message in str(error.value)
    assert store.tree_hash() == tree


@pytest.mark.parametrize("line_end", [pytest.param("\n", id="LF"), pytest.param("\r\n", id="CRLF")])
def test_a_missing_column_is_added(store: StoreBuilder, line_end: str) -> None:
    """Each row gets an empty cell at its end, also a row of several lines; comments and blank lines stay."""
    rows = ["# mine", "template_id,active,description", "", 'novelty,1,"two,', 'lines"', "# between", "coherence,0,x"]
    store.write(TEMPLATES, line_end.join(rows))
    added = NewTemplate(template_id="clarity", text=TEXT, cells={"score_min": "1", "score_max": "5"})
    template, _ = add_template(Settings(data_root=store.root), added)
    assert template.rubric.scale == Scale(1, 5)
    assert (store.root / TEMPLATES).read_bytes().decode() == "".join(
        f"{row}{line_end}"
        for row in (
            "# mine",
            "template_id,active,description,score_min,score_max",
            "",
            'novelty,1,"two,',
            'lines",,',
            "# between",
            "coherence,0,x,,",
            "clarity,true,,1,5",
        )
    )


def test_a_text_that_exists_is_not_overwritten(store: StoreBuilder) -> None:
    """A file with another text stays; the same text may be there already."""
    store.write("1_raw/templates/evaluation/clarity.txt", "Mine: {{ response }}")
    with pytest.raises(BadInput, match="the file exists with another text"):
        add_template(Settings(data_root=store.root), new())
    store.write("1_raw/templates/evaluation/clarity.txt", TEXT)
    add_template(Settings(data_root=store.root), new())


def test_a_system_message_is_written_too(store: StoreBuilder) -> None:
    """The system message is a file of its own."""
    added = NewTemplate(template_id="clarity", text=TEXT, system="You are strict.", cells={})
    add_template(Settings(data_root=store.root), added)
    assert store.read("1_raw/templates/evaluation/clarity.system.txt") == "You are strict."


def test_a_judge_is_added_and_used(store: StoreBuilder) -> None:
    """The row has the cells of its columns and marks the judge for evaluation."""
    before = store.read(MODELS)
    assert add_model(Settings(data_root=store.root), {"id": "judge-c", "model": "api/c", "temperature": ""}) == [
        MODELS
    ]
    assert store.read(MODELS).startswith(before)
    assert Catalog(root=store.root).models().value[-1].model == "api/c"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        pytest.param({"id": "judge-a", "model": "x"}, "on line 2 already", id="known"),
        pytest.param({"id": "#c", "model": "x"}, "it begins with #", id="a comment"),
        pytest.param({"id": "", "model": "x"}, "column id: it is empty.", id="no id"),
        pytest.param({"id": "c", "model": ""}, "column model: it is empty.", id="no model"),
    ],
)
def test_a_judge_that_cannot_be_used_is_not_written(store: StoreBuilder, cells: dict[str, str], message: str) -> None:
    """Nothing is written, and the message names the line and the column."""
    tree = store.tree_hash()
    with pytest.raises(BadInput) as error:
        add_model(Settings(data_root=store.root), cells)
    assert message in str(error.value)
    assert store.tree_hash() == tree
