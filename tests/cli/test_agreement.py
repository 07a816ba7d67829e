"""The command `agreement`: tables and JSON of judges beside people."""

from __future__ import annotations

import json
import re
from itertools import takewhile
from typing import Any

import pytest

from tests.cli.command import FinishedCommand, run_command
from tests.store_builder import StoreBuilder


def run(store: StoreBuilder, *words: str) -> FinishedCommand:
    """Run the command on this data root."""
    return run_command("agreement", *words, "--data-root", store.root)


def table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the lines below a heading, up to the notes or an empty line."""
    below = text.split(heading, 1)[1].split("\n", 1)[1]
    lines = below.split("\n\n")[0].splitlines()
    return [line.split() for line in takewhile(lambda line: not re.match(r"(\?+|[a-z])  \w", line), lines)]


@pytest.fixture
def rated(store: StoreBuilder) -> StoreBuilder:
    """Return five essays scored by two judges on 1 to 4 with a criterion, and rated by two people."""
    store.write(
        "1_raw/evaluation_templates.csv", "template_id,active,score_min,score_max,criteria\nnovelty,true,1,4,wit\n"
    )
    version = "2+scale=1..4+criteria=wit"
    for number, (a, b, anna, bo) in enumerate(
        [(1, 2, 1, 1), (2, 2, 3, 2), (3, 4, 3, 4), (4, 3, 4, 4), (2, 1, 1, 2)], 1
    ):
        essay = store.essay(number)
        for model, score in (("judge-a", a), ("judge-b", b)):
            gen_id = store.evaluation(f"v_{number}{model[-1]}", essay, model=model, score=float(score))
            verdict = {"parser_name": "in_last_line", "parser_version": version, "success": True, "score": score}
            criteria = {"wit": {"score": float(number % 4 + 1)}}
            store.json(f"gens/evaluation/{gen_id}/parsed_metadata.json", {**verdict, "criteria": criteria})
        more = {"criteria": {"wit": {"score": float(number % 3 + 1)}}}
        rubric = "1+scale=1..4+criteria=wit"
        store.rating(f"v_{number}anna", essay, "anna", float(anna), version=rubric, more=more)
        store.rating(f"v_{number}bo", essay, "bo", float(bo), version=rubric)
    return store


def test_the_tables(rated: StoreBuilder) -> None:
    """Judges and raters have a line for each score, the confusion table has people in rows, and nothing is NaN."""
    done = run(rated, "--with-humans")
    assert done.returncode == 0, done.stderr
    judges = table(done.stdout, "Judges and people")
    assert judges[0][:4] == ["template", "criterion", "judge", "essays"]
    assert [line[:4] for line in judges[1:]] == [
        ["novelty", "(overall)", "(all", "judges)"],
        ["novelty", "(overall)", "judge-a", "5"],
        ["novelty", "(overall)", "judge-b", "5"],
        ["novelty", "wit", "(all", "judges)"],
        ["novelty", "wit", "judge-a", "5"],
        ["novelty", "wit", "judge-b", "5"],
    ]
    raters = table(done.stdout, "Each rater and the other raters")
    assert [line[2] for line in raters[1:]] == ["anna", "bo"]
    assert table(done.stdout, "All raters")[1][:4] == ["novelty", "(overall)", "2", "5"]
    confusion = table(done.stdout, "by that of judge-a (columns)")
    assert confusion == [
        ["1", "2", "3", "4"],
        ["1", "1", "·", "·", "·"],
        ["2", "·", "1", "·", "·"],
        ["3", "·", "1", "·", "·"],
        ["4", "·", "·", "1", "1"],
    ]
    assert "2,000 resamples, seed 20260101" in done.stdout
    assert "nan" not in done.stdout.lower()


def test_json_is_strict_and_has_every_figure(rated: StoreBuilder) -> None:
    """One JSON object with the method; each figure has its interval and its note."""
    done = run(rated, "--with-humans", "--json")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found: dict[str, Any] = json.loads(done.stdout, parse_constant=refuse)
    assert [*found] == ["method", "judges", "raters", "between_raters", "on_other_scales", "mixed"]
    first = found["judges"][1]
    assert (first["model_id"], first["criterion"], first["essays"]) == ("judge-a", "", 5)
    assert first["bias"]["value"] == pytest.approx((0 - 0.5 - 0.5 + 0 + 0.5) / 5)
    for name in ("alpha", "kappa", "rho", "bias"):
        assert [*first[name]] == ["value", "low", "high", "essays", "reliable", "note"]
    assert first["confusion"]["points"] == [1, 2, 3, 4]


def test_people_s_scores_count_at_once(rated: StoreBuilder, tmp_path: Any) -> None:
    """The store itself is read, so that no other command must run between an import and the figures."""
    (tmp_path / "s.csv").write_text("essay,template,rater,score\ne_essay1,novelty,cy,4\n", "utf-8")
    assert run_command("import", "scores", tmp_path / "s.csv", "--data-root", rated.root).returncode == 0
    found = json.loads(run(rated, "--with-humans", "--json").stdout)
    assert [each["model_id"] for each in found["raters"] if not each["criterion"]][-1] == "human-cy"


def test_other_scales_are_named(rated: StoreBuilder) -> None:
    """A rating from another scale is left out with a line that says so."""
    rated.rating("v_old", "e_essay1", "cy", 9.0)
    assert "novelty: 1 score on another scale than its judges' does not count." in run(rated, "--with-humans").stdout


def test_a_mix_of_settings_is_marked(rated: StoreBuilder) -> None:
    """Figures of a judge that was asked in two ways have the mark, and a line says what is mixed."""
    for number, temperature in ((1, 0.0), (2, 1.0)):
        record = {"temperature": temperature, "response_model": "m"}
        rated.json(f"gens/evaluation/v_{number}a/raw_metadata.json", record)
    done = run(rated, "--with-humans")
    assert "≠ novelty by judge-a: mixes 2 settings" in done.stdout
    by_judge = {line[2]: line for line in table(done.stdout, "Judges and people")[1:]}
    assert ("≠" in by_judge["judge-a"], "≠" in by_judge["judge-b"]) == (True, False)


def test_without_people_the_next_step_is_named(store: StoreBuilder) -> None:
    """A store that nobody has rated in is a message with both commands that help."""
    store.evaluation("v_1", store.essay(1))
    done = run(store, "--with-humans")
    assert (done.returncode, done.stdout) == (2, "")
    for words in (
        "no essay that a judge has scored was rated by a person",
        "sample-for-raters",
        "import scores FILE",
    ):
        assert words in done.stderr
    assert run(store, "--with-humans", "--cohort", "x/y").returncode == 2


def test_without_the_option_judges_are_compared_with_each_other(rated: StoreBuilder) -> None:
    """The same table as in `statistics`, and no person in it."""
    run_command("aggregate", "--data-root", rated.root)
    done = run(rated)
    statistics = run_command("statistics", "--data-root", rated.root)
    heading = "Agreement: Krippendorff's alpha"
    assert table(done.stdout, heading) == [*table(statistics.stdout, heading), *table(done.stdout, heading)[4:]]
    found = json.loads(run(rated, "--json").stdout)
    assert [each["model_id"] for each in found["agreement"]] == [None, "judge-a", "judge-b"]
