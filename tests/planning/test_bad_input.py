"""Bad input: planning reports all problems together, before anything is written or paid for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from essay_cohorts.errors import BadInput
from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

SELECTION = "2_tasks/selected_essays.txt"
TEMPLATES = "1_raw/evaluation_templates.csv"
NOVELTY = "1_raw/templates/evaluation/novelty.txt"
MODELS = "1_raw/llm_models.csv"
REPLICATION = "1_raw/replication_config.csv"
MEMBERSHIP = "cohorts/c/membership.csv"
HEADER = "stage,gen_id,cohort_id,parent_gen_id,combo_id,template_id,llm_model_id,replicate"
MODE, INCLUDE = "# mode: evaluation-only", "# include-existing-evaluations"
ID_RULE = "An id is 1 to 100 of the characters"
FIRST, SECOND = "e_essay1", "e_essay2"

Damage = Callable[[StoreBuilder], object]


class Expected(NamedTuple):
    """An expected problem: its place, and a part of its finding and of its next step."""

    place: str
    finding: str
    next_step: str


def select(*lines: str) -> Damage:
    """Return a damage that replaces the selection file."""
    return lambda store: store.select(*lines)


def write(name: str, text: str | bytes) -> Damage:
    """Return a damage that replaces the content of a file."""
    return lambda store: store.write(name, text)


def change(name: str, old: str, new: str) -> Damage:
    """Return a damage that replaces one text in a file."""

    def apply(store: StoreBuilder) -> None:
        text = store.read(name)
        assert old in text, "this row of the table changes nothing"
        store.write(name, text.replace(old, new, 1))

    return apply


def remove(name: str) -> Damage:
    """Return a damage that deletes a file."""
    return lambda store: (store.root / name).unlink()


def both(*damages: Damage) -> Damage:
    """Return a damage that does several damages."""
    return lambda store: [damage(store) for damage in damages]


def nothing(store: StoreBuilder) -> None:
    """Leave the store as it is: only the conf is wrong."""


def row(
    name: str,
    damage: Damage,
    *expected: tuple[str, str, str],
    conf: dict[str, Any] | None = None,
) -> Any:
    """Return one row of the table of bad inputs."""
    return pytest.param(damage, conf or {}, [Expected(*parts) for parts in expected], id=name)


def conf_row(name: str, conf: dict[str, Any], place: str, finding: str, next_step: str) -> Any:
    """Return a row of the table in which only the conf is wrong."""
    return row(name, nothing, (f"conf: {place}", finding, next_step), conf=conf)


SELECTIONS = [
    row("no selection file", remove(SELECTION), ("2_tasks", "no selection file", "selected_essays.txt")),
    row(
        "both selection files",
        lambda store: store.select(MODE, FIRST, name="selected_drafts.txt"),
        ("2_tasks", "both", "Delete the file"),
    ),
    row(
        "empty selection file",
        write(SELECTION, ""),
        (SELECTION, "no essay", "one per line"),
        (SELECTION, "no mode", MODE),
    ),
    row("only directives", select(MODE, INCLUDE), (SELECTION, "selects no essay", "one per line")),
    row("no mode anywhere", select(INCLUDE, FIRST), (SELECTION, "no mode is given", f"Add the line: {MODE}")),
    row(
        "no mode, and an id twice that has mode in it",
        both(
            select("e_model9", "e_model9", FIRST),
            lambda store: store.json("gens/essay/e_model9/metadata.json", {}),
            write("gens/essay/e_model9/parsed.txt", "x"),
        ),
        (f"{SELECTION}:2", "already on line 1", "Delete one"),
        (SELECTION, "no mode is given", f"Add the line: {MODE}"),
    ),
    row(
        "misspelt mode",
        select("# mode: evalution-only", FIRST),
        (f"{SELECTION}:1", '"evalution-only" is not a mode', 'Did you mean "evaluation-only"?'),
    ),
    row(
        "mode without a colon",
        select("", "# mode evaluation-only", FIRST),
        (f"{SELECTION}:2", "looks like a misspelt directive", MODE),
    ),
    row(
        "reuse-drafts",
        select("# mode: reuse-drafts", FIRST),
        (
            f"{SELECTION}:1",
            '"reuse-drafts" is known, but evaluation_backfill does not run it',
            "judges essays that exist",
        ),
    ),
    row(
        "regenerate",
        select(FIRST, "#MODE:Regenerate"),
        (
            f"{SELECTION}:2",
            '"Regenerate" is known, but evaluation_backfill does not run it',
            "judges essays that exist",
        ),
    ),
    row(
        "misspelt directive",
        select(MODE, "# include-existing-evaluation", FIRST),
        (f"{SELECTION}:2", "looks like a misspelt directive", INCLUDE),
    ),
    row("an id twice", select(MODE, FIRST, SECOND, FIRST), (f"{SELECTION}:4", "already on line 2", "Delete one")),
    row("no such essay", select(MODE, "e_nowhere"), (f"{SELECTION}:2", "no essay e_nowhere", "Correct the id")),
    row(
        "a draft",
        select(MODE, "d_draft1"),
        (f"{SELECTION}:2", "d_draft1 is a draft", "Select the essays made from it"),
    ),
    row("an evaluation", select(MODE, "v_old"), (f"{SELECTION}:2", "v_old is an evaluation", "Select its essay")),
    row("not UTF-8", write(SELECTION, b"# caf\xe9\n"), (SELECTION, "not UTF-8 (byte 5)", "Save it as UTF-8")),
    *(
        row(
            f"an invalid id: {text[:12]!r}",
            select(MODE, FIRST, text),
            (f"{SELECTION}:3", "is not a valid gen_id", ID_RULE),
        )
        for text in ("../x", "/etc/passwd", "e 1", "é", "e" * 101, ".hidden", "-x", "e_1 # a remark")
    ),
    row(
        "every problem of a file at once",
        select("# mode: evalution-only", "# include-existing-evaluation", "e_nowhere", FIRST, "d_draft2", FIRST),
        (f"{SELECTION}:1", "is not a mode", "evaluation-only"),
        (f"{SELECTION}:2", "looks like a misspelt directive", INCLUDE),
        (f"{SELECTION}:3", "no essay e_nowhere", "Correct the id"),
        (f"{SELECTION}:5", "d_draft2 is a draft", "Select the essays"),
        (f"{SELECTION}:6", "already on line 4", "Delete one"),
    ),
    row(
        "a second mode",
        select(MODE, "# mode: regenerate", FIRST),
        (
            f"{SELECTION}:2",
            '"regenerate" is known, but evaluation_backfill does not run it',
            "judges essays that exist",
        ),
    ),
]

ESSAYS = [
    row(
        "an essay's metadata is missing",
        remove(f"gens/essay/{SECOND}/metadata.json"),
        (f"{SELECTION}:4", f"gens/essay/{SECOND}/metadata.json is missing", "do not select the essay"),
    ),
    *(
        row(
            f"an essay's metadata is {name}",
            write(f"gens/essay/{FIRST}/metadata.json", content),
            (f"{SELECTION}:3", f"gens/essay/{FIRST}/metadata.json is missing or is not a JSON object", "Restore it"),
        )
        for name, content in (("torn", '{"stage"'), ("empty", ""), ("a list", "[]"), ("no text", b"\xff\xfe\xfd"))
    ),
    row(
        "an essay's text is missing",
        remove(f"gens/essay/{FIRST}/parsed.txt"),
        (f"{SELECTION}:3", f"gens/essay/{FIRST}/parsed.txt, the essay's text, is missing", "Restore it"),
    ),
    row(
        "an essay's text is empty",
        write(f"gens/essay/{FIRST}/parsed.txt", ""),
        (f"{SELECTION}:3", "the essay's text, is empty", "Restore it"),
    ),
    row(
        "two essays' texts are blank",
        both(write(f"gens/essay/{FIRST}/parsed.txt", " \n\t"), write(f"gens/essay/{SECOND}/parsed.txt", "\n")),
        (f"{SELECTION}:3", f"{FIRST}/parsed.txt", "Restore it"),
        (f"{SELECTION}:4", f"{SECOND}/parsed.txt", "Restore it"),
    ),
    row(
        "an essay's text is not UTF-8",
        write(f"gens/essay/{FIRST}/parsed.txt", b"Essay number 1. caf\xe9"),
        (f"{SELECTION}:3", "not UTF-8 (byte 19)", "Save it as UTF-8"),
    ),
]

CATALOGS = [
    row("no templates file", remove(TEMPLATES), (TEMPLATES, "cannot be read", "Put the file there")),
    row(
        "templates without a column",
        change(TEMPLATES, ",active", ",enabled"),
        (f"{TEMPLATES}:1", 'column "active" is missing', "Name them by templates in the conf"),
    ),
    row(
        "active is yes",
        change(TEMPLATES, "novelty,novelty,,in_last_line,llm,true", "novelty,novelty,,in_last_line,llm,yes"),
        (f"{TEMPLATES}:2, column active", '"yes" is neither true nor false', "Write true, false, 1 or 0"),
    ),
    row(
        "a row with one cell too many",
        change(TEMPLATES, "coherence,coherence,,", "coherence,coherence,,,"),
        (f"{TEMPLATES}:3", "7 cells, the header 6", "Add or remove commas"),
    ),
    row(
        "an open quote",
        change(TEMPLATES, "coherence,coherence", 'coherence,"coherence'),
        (f"{TEMPLATES}:3", "not CSV", "Fix the quotes"),
    ),
    row(
        "a template id that is a path",
        change(TEMPLATES, "coherence,coherence", "../coherence,coherence"),
        (f"{TEMPLATES}:3, column template_id", "'../coherence' is not a valid id", ID_RULE),
    ),
    row(
        "no active template",
        lambda store: store.write(TEMPLATES, store.read(TEMPLATES).replace("true", "false")),
        (TEMPLATES, "no template has active true", "Set active to true"),
    ),
    row(
        "templates that differ by case",
        both(
            change(TEMPLATES, "coherence,coherence", "Novelty,coherence"),
            write("1_raw/templates/evaluation/Novelty.txt", "{{ response }}"),
        ),
        (f"{TEMPLATES}:3, column template_id", "differ only by case", "Rename or"),
    ),
    row(
        "unknown parser",
        change(TEMPLATES, "novelty,novelty,,in_last_line", "novelty,novelty,,in_last_lines"),
        (f"{TEMPLATES}:2, column parser", 'no parser "in_last_lines"', 'Did you mean "in_last_line"?'),
    ),
    row(
        "a template's text is missing",
        remove(NOVELTY),
        (f"{TEMPLATES}:2, column template_id", f"no file {NOVELTY}", "Write it"),
    ),
    row(
        "a syntax error",
        write(NOVELTY, "Judge.\n{{ response }}\n{% if %}\n"),
        (f"{NOVELTY}:3", "Jinja2 cannot read the template", "Fix the line"),
    ),
    row(
        "two undefined variables",
        write(NOVELTY, "Judge {{ name }}.\n{{ response }}\nand {{ essay }}\n"),
        (f"{NOVELTY}:1", "{{ name }}, which has no value", "response"),
        (f"{NOVELTY}:3", "{{ essay }}, which has no value", "response"),
    ),
    row(
        "a template without the essay",
        write(NOVELTY, "Judge it."),
        (NOVELTY, "never shows the essay", "{{ response }}"),
    ),
    row(
        "a template that includes another",
        write(NOVELTY, "{{ response }}{% include 'secret.txt' %}"),
        (f"{NOVELTY}:1", "cannot be rendered", "Use plain text"),
    ),
    row(
        "a template that accesses Python internals",
        write(NOVELTY, "{{ response.__class__.__mro__ }}"),
        (f"{NOVELTY}:1", "cannot be rendered", "Use plain text"),
    ),
    row(
        "a template that fails for one essay only",
        both(
            write(NOVELTY, "{{ response }}{% if 'number 2' in response %}{{ 1 / 0 }}{% endif %}"),
        ),
        (NOVELTY, f"cannot be rendered for essay {SECOND}: ZeroDivisionError", "Fix the template"),
    ),
    row(
        "a template in Latin-1",
        write(NOVELTY, b"caf\xe9 {{ response }}"),
        (NOVELTY, "not UTF-8", "Save it as UTF-8"),
    ),
    row("no models file", remove(MODELS), (MODELS, "cannot be read", "Put the file there")),
    row(
        "no model for evaluation",
        lambda store: store.write(MODELS, store.read(MODELS).replace("true", "0")),
        (MODELS, "no model has for_evaluation true", "Set for_evaluation to true"),
    ),
    row(
        "several cells of a model",
        write(
            MODELS,
            "id,model,for_evaluation,temperature,max_tokens,max_tokens_field,input_usd_per_mtok\n"
            "judge-a,a,true,hot,0,tokens,nan\njudge-b,b,maybe,,,,\n",
        ),
        (f"{MODELS}:2, column max_tokens_field", '"tokens"', "max_tokens"),
        (f"{MODELS}:2, column temperature", '"hot"', "a number from 0 to 2"),
        (f"{MODELS}:2, column max_tokens", '"0"', "a whole number from 1"),
        (f"{MODELS}:2, column input_usd_per_mtok", '"nan"', "a number from 0"),
        (f"{MODELS}:3, column for_evaluation", '"maybe"', "Write true, false, 1 or 0"),
    ),
    row(
        "models that differ by case",
        change(MODELS, "judge-b,example", "JUDGE-A,example"),
        (f"{MODELS}:3, column id", "differ only by case", "Rename or deactivate"),
    ),
    row("no replication file", remove(REPLICATION), (REPLICATION, "cannot be read", "Put the file there")),
    row(
        "no row for evaluations",
        write(REPLICATION, "stage,replicates\nessay,1\n"),
        (REPLICATION, 'no rows for the stage "evaluation"', "evaluation,4"),
    ),
    row(
        "two rows for evaluations",
        write(REPLICATION, "stage,replicates\nevaluation,1\nevaluation,2\n"),
        (REPLICATION, "2 rows", "Write one"),
    ),
    row(
        "replicates that are not a number",
        write(REPLICATION, "stage,replicates\nevaluation,four\n"),
        (f"{REPLICATION}:2, column replicates", '"four"', "a whole number from 1"),
    ),
    row(
        "a stage that does not exist",
        write(REPLICATION, "stage,replicates\nevaluation,4\nreview,1\n"),
        (f"{REPLICATION}:3, column stage", '"review" is not a stage', "Known: draft, essay, evaluation"),
    ),
]

CONFS = [
    conf_row("an unknown key", {"dryrun": True}, "dryrun", "no such setting", 'Did you mean "dry_run"?'),
    conf_row("dry_run is 1", {"dry_run": 1}, "dry_run", "1 is not valid", "Write true or false"),
    conf_row("dry_run is a text", {"dry_run": "true"}, "dry_run", "'true' is not valid", "Write true or false"),
    conf_row("retry_unscored is a text", {"retry_unscored": "no"}, "retry_unscored", "'no'", "Write true or false"),
    conf_row(
        "include is a text",
        {"include_existing_evaluations": "yes"},
        "include_existing_evaluations",
        "'yes'",
        "Write true or false",
    ),
    *(
        conf_row(f"cohort_id is {value!r}", {"cohort_id": value}, "cohort_id", repr(value), ID_RULE)
        for value in ("../x", "", ".c", "a/b", "a" * 101, 5, ["c"])
    ),
    conf_row(
        "mode of another DAG",
        {"mode": "reuse-drafts"},
        "mode",
        "known, but evaluation_backfill does not run it",
        "judges essays that exist",
    ),
    conf_row(
        "misspelt mode in the conf", {"mode": "evaluation_only"}, "mode", "is not a mode", 'mean "evaluation-only"?'
    ),
    row(
        "mode is a number",
        nothing,
        ("conf: mode", "5 is not valid", "evaluation-only"),
        conf={"mode": 5},
    ),
    *(
        conf_row(f"replicates is {value!r}", {"replicates": value}, "replicates", repr(value), "from 1 to 1000")
        for value in (0, -1, 1001, "4", 1.5, True)
    ),
    *(
        conf_row(
            f"max_concurrency is {value!r}", {"max_concurrency": value}, "max_concurrency", repr(value), "1 to 500"
        )
        for value in (0, 501, "16")
    ),
    conf_row("batch_size is 0", {"batch_size": 0}, "batch_size", "0 is not valid", "from 1"),
    conf_row(
        "batch_size makes too many slices",
        {"batch_size": 1, "replicates": 300},
        "batch_size",
        "Airflow maps 1,024 at most",
        "Write 3 or more",
    ),
    conf_row("max_unscored is negative", {"max_unscored": -1}, "max_unscored", "-1 is not valid", "from 0"),
    conf_row("essay_ids is empty", {"essay_ids": []}, "essay_ids", "[] is not valid", "at least one entry"),
    conf_row("essay_ids is a text", {"essay_ids": FIRST}, "essay_ids", repr(FIRST), "Write a list"),
    conf_row("a path as essay", {"essay_ids": [FIRST, "../x"]}, "essay_ids, entry 2", "'../x' is not valid", ID_RULE),
    conf_row("a number as essay", {"essay_ids": [7]}, "essay_ids, entry 1", "7 is not valid", ID_RULE),
    conf_row("an essay twice", {"essay_ids": [FIRST, FIRST]}, "essay_ids, entry 2", "listed twice", "Delete one"),
    conf_row(
        "no such essay in the conf",
        {"essay_ids": [FIRST, "e_nowhere"]},
        "essay_ids, entry 2",
        "no essay e_nowhere",
        "Correct the id",
    ),
    conf_row(
        "a draft in the conf", {"essay_ids": ["d_draft1"]}, "essay_ids, entry 1", "is a draft", "Select the essays"
    ),
    conf_row(
        "unknown template",
        {"templates": ["coherence", "noveltie"]},
        "templates, entry 2",
        f'"noveltie" is not active in {TEMPLATES}',
        'Did you mean "novelty"?',
    ),
    conf_row("templates is empty", {"templates": []}, "templates", "[] is not valid", "at least one entry"),
    conf_row("a path as template", {"templates": ["../x"]}, "templates, entry 1", "'../x' is not valid", ID_RULE),
    conf_row(
        "unknown model",
        {"models": ["judge-c"]},
        "models, entry 1",
        f'"judge-c" is not active in {MODELS}',
        'Did you mean "judge-',
    ),
    conf_row("a number as model", {"models": [5]}, "models, entry 1", "5 is not valid", "a model's id"),
    row(
        "several keys at once",
        nothing,
        ("conf: dryrun", "no such setting", "dry_run"),
        ("conf: cohort_id", "'../x' is not valid", ID_RULE),
        ("conf: replicates", "0 is not valid", "from 1 to 1000"),
        ("conf: models, entry 1", "is not active", "judge-"),
        conf={"dryrun": True, "cohort_id": "../x", "replicates": 0, "models": ["judge-c"]},
    ),
]

MEMBERSHIPS = [
    row(
        "an empty membership",
        write(MEMBERSHIP, ""),
        (f"{MEMBERSHIP}:1", "its header is not", "plan the cohort again"),
    ),
    row(
        "a membership with another header",
        write(MEMBERSHIP, "gen_id,stage\nv_old,evaluation\n"),
        (f"{MEMBERSHIP}:1", "its header is not", "plan the cohort again"),
    ),
    row(
        "a torn membership",
        write(MEMBERSHIP, f"{HEADER}\nevaluation,v_old,c,{FIRST},combo,novelty,judge-a,1\nevaluation,v_"),
        (f"{MEMBERSHIP}:3", "not a member", "plan the cohort again"),
    ),
    row(
        "a membership with two broken lines",
        write(
            MEMBERSHIP,
            f"{HEADER}\nreview,v_1,c,e,b,t,m,1\nevaluation,v_old,c,e,b,t,m,1\nevaluation,v_2,c,e,b,t,m,two\n",
        ),
        (f"{MEMBERSHIP}:2", "not a member", "plan the cohort again"),
        (f"{MEMBERSHIP}:4", "not a member", "plan the cohort again"),
    ),
    row(
        "a membership that is not UTF-8",
        write(MEMBERSHIP, b"\xff\xfe"),
        (MEMBERSHIP, "UTF-8", "plan the cohort again"),
    ),
]

SEVERAL = [
    row(
        "a conf, a selection, a template and a model are wrong",
        both(
            select(MODE, "e_nowhere"),
            write(NOVELTY, "{{ respons }}{{ response }}"),
            change(MODELS, "false,true", "false,perhaps"),
            write(REPLICATION, "stage,replicates\nevaluation,0\n"),
        ),
        ("conf: maxconcurrency", "no such setting", "max_concurrency"),
        (f"{SELECTION}:2", "no essay e_nowhere", "Correct the id"),
        (f"{NOVELTY}:1", "{{ respons }}", "response"),
        (f"{MODELS}:2, column for_evaluation", '"perhaps"', "true, false"),
        (f"{REPLICATION}:2, column replicates", '"0"', "from 1"),
        conf={"maxconcurrency": 4},
    ),
    row(
        "a selection and its essays",
        both(select(MODE, FIRST, "e_nowhere"), remove(f"gens/essay/{FIRST}/parsed.txt")),
        (f"{SELECTION}:2", "the essay's text, is missing", "Restore it"),
        (f"{SELECTION}:3", "no essay e_nowhere", "Correct the id"),
    ),
    row(
        "two template texts",
        both(write(NOVELTY, "{{"), write("1_raw/templates/evaluation/coherence.txt", "none")),
        (f"{NOVELTY}:1", "Jinja2 cannot read", "Fix the line"),
        ("1_raw/templates/evaluation/coherence.txt", "never shows the essay", "{{ response }}"),
    ),
]

TABLE = [*SELECTIONS, *ESSAYS, *CATALOGS, *CONFS, *MEMBERSHIPS, *SEVERAL]


@pytest.fixture
def good(store: StoreBuilder) -> StoreBuilder:
    """Return a store that can be planned: two essays selected on lines 3 and 4, one evaluation."""
    store.essay(1)
    store.essay(2)
    store.evaluation("v_old", FIRST)
    store.backfill(FIRST, SECOND)
    return store


def test_the_good_store_is_good(good: StoreBuilder, dag: PlayedDag) -> None:
    """Without damage the store can be planned, so the tests below fail only because of their damage."""
    assert dag.plan({"cohort_id": "c"}).planned == 2 * 2 * 2 * 4


@pytest.mark.parametrize(("damage", "conf", "expected"), TABLE)
def test_bad_input(
    good: StoreBuilder,
    dag: PlayedDag,
    judge_server: JudgeServer,
    damage: Damage,
    conf: dict[str, Any],
    expected: list[Expected],
) -> None:
    """All mistakes are reported together, each with place, finding and next step; nothing is written or called."""
    damage(good)
    before = good.tree_hash()
    with pytest.raises(BadInput) as caught:
        dag.plan({"cohort_id": "c", **conf})
    found = sorted(caught.value.problems, key=lambda problem: problem.place)
    wanted = sorted(expected, key=lambda problem: problem.place)
    assert [problem.place for problem in found] == [problem.place for problem in wanted]
    for problem, wanted_problem in zip(found, wanted, strict=True):
        assert wanted_problem.finding in problem.finding
        assert wanted_problem.next_step in problem.next_step
        assert str(problem) in str(caught.value)
    assert good.tree_hash() == before
    assert judge_server.calls() == 0
