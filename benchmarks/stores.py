"""Generated data roots of any size; the same arguments give the same bytes."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from essay_cohorts.domain import Template
from essay_cohorts.judging.prompts import prompt_renderer

TEMPLATES, MODELS, REPLICATES = ("novelty", "coherence"), ("judge-a", "judge-b"), 4
PER_ESSAY = len(TEMPLATES) * len(MODELS) * REPLICATES
_ESSAY = "Tides and ledgers: what the harbour master wrote down, and what she left out of it.\n" * 40
_DRAFT = "d_only"
_TEMPLATE = "<<<ESSAY {{ boundary }}\n{{ response }}\nESSAY {{ boundary }}>>>\nEnd with a line SCORE: n\n"
_REPLY = "The essay weighs its sources with care, and says so.\n" * 20
# Today's prompt, so that planning finds no evaluation that was made with another one.
_RENDER = prompt_renderer(Template(template_id="", text=_TEMPLATE, parser="", place="", row_place=""))
_RUN = {"dag_id": "evaluation_backfill", "run_id": "manual__bench", "task_id": "evaluation.evaluation_raw"}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The templates, models and replicates of each essay; a share `scored` has a score, the rest is only seeded."""

    templates: tuple[str, ...] = TEMPLATES
    models: tuple[str, ...] = MODELS
    replicates: int = REPLICATES
    scored: float = 1.0

    @property
    def per_essay(self) -> int:
        """How many evaluations an essay has."""
        return len(self.templates) * len(self.models) * self.replicates


@dataclass(frozen=True, kw_only=True)
class Store:
    """A generated data root: `judged` essays have all their evaluations, `fresh` essays have none."""

    root: Path
    judged: tuple[str, ...]
    fresh: tuple[str, ...]

    def spread(self, count: int) -> list[str]:
        """Return `count` judged essays, spread evenly over the store."""
        count = min(count, len(self.judged))
        return [self.judged[number * len(self.judged) // count] for number in range(count)]


def generate_store(
    root: Path, *, evaluations: int, fresh: int = 0, whole: bool = False, grid: Grid = Grid()
) -> Store:
    """Write at least `evaluations` evaluations, `grid.per_essay` per essay, and `fresh` essays without evaluations.

    Each evaluation has metadata.json and parsed.txt, which planning reads; with `whole` it has its other files, too.
    """
    draw = random.Random(evaluations)  # noqa: S311  (scores for measurements, the same every time)
    judged = tuple(f"e_{number:06d}" for number in range(-(-evaluations // grid.per_essay)))
    new = tuple(f"n_{number:06d}" for number in range(fresh))
    _write_inputs(root, grid)
    for essay in (*judged, *new):
        _write_folder(root / "gens/essay" / essay, _essay_files(essay))
    (root / "gens/evaluation").mkdir(parents=True)
    for essay in judged:
        for gen_id, files in _evaluations(essay, draw, grid, whole=whole):
            _write_folder(root / "gens/evaluation" / gen_id, files)
    return Store(root=root, judged=judged, fresh=new)


def write_selection(root: Path, essays: list[str]) -> None:
    """Write a selection file in backfill mode."""
    head = "# mode: evaluation-only\n# include-existing-evaluations\n"
    (root / "2_tasks/selected_essays.txt").write_text(head + "".join(f"{essay}\n" for essay in essays))


def _write_inputs(root: Path, grid: Grid) -> None:
    texts = root / "1_raw/templates/evaluation"
    texts.mkdir(parents=True)
    rows = "".join(f"{template},in_last_line,true\n" for template in grid.templates)
    (root / "1_raw/evaluation_templates.csv").write_text(f"template_id,parser,active\n{rows}")
    for template in grid.templates:
        (texts / f"{template}.txt").write_text(_TEMPLATE)
    rows = "".join(f"{model},example/{model},true\n" for model in grid.models)
    (root / "1_raw/llm_models.csv").write_text(f"id,model,for_evaluation\n{rows}")
    (root / "1_raw/replication_config.csv").write_text(f"stage,replicates\nevaluation,{grid.replicates}\n")
    (root / "1_raw/OFFLINE_OK").touch()
    (root / "2_tasks").mkdir()
    (root / "gens/essay").mkdir(parents=True)
    (root / "gens/draft").mkdir()
    _write_folder(root / "gens/draft" / _DRAFT, {"metadata.json": _json({"stage": "draft", "gen_id": _DRAFT})})


def _essay_files(essay: str) -> dict[str, str]:
    metadata = {"stage": "essay", "gen_id": essay, "parent_gen_id": _DRAFT, "combo_id": "c", "replicate": 1}
    return {"metadata.json": _json(metadata), "parsed.txt": _essay_text(essay)}


def _essay_text(essay: str) -> str:
    return f"Essay {essay}.\n{_ESSAY}"


def _evaluations(essay: str, draw: random.Random, grid: Grid, *, whole: bool) -> Iterator[tuple[str, dict[str, str]]]:
    prompt = _RENDER(_essay_text(essay)).text if whole else ""
    for template in grid.templates:
        for model in grid.models:
            for replicate in range(1, grid.replicates + 1):
                gen_id = f"v_{draw.getrandbits(64):016x}"
                metadata: dict[str, str | int] = {"stage": "evaluation", "gen_id": gen_id, "origin_cohort_id": "old"}
                metadata |= {"mode": "llm", "template_id": template, "combo_id": "c", "parent_gen_id": essay}
                metadata |= {"llm_model_id": model, "replicate": replicate}
                score = draw.randint(0, 90) / 10
                if grid.scored < 1 and draw.random() >= grid.scored:
                    yield gen_id, {"metadata.json": _json(metadata)}
                    continue
                files = {"metadata.json": _json(metadata), "parsed.txt": f"{score}\n"}
                yield gen_id, files | (_reply_files(model, prompt, score) if whole else {})


def _reply_files(model: str, prompt: str, score: float) -> dict[str, str]:
    raw = {**_RUN, "map_index": 0, "try_number": 1, "llm_model_id": model, "cost_usd": 0.001, "duration_s": 1.0}
    verdict = {"parser_name": "in_last_line", "parser_version": "2", "success": True, "score": score, "reason": ""}
    return {
        "prompt.txt": prompt,
        "raw.txt": f"{_REPLY}\nSCORE: {score}\n",
        "raw_metadata.json": _json(raw),
        "parsed_metadata.json": _json(verdict),
    }


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def _write_folder(folder: Path, files: dict[str, str]) -> None:
    path = str(folder)
    os.mkdir(path)  # noqa: PTH102  (pathlib would take a third of the time for a million folders)
    for name, text in files.items():
        with open(f"{path}/{name}", "w") as file:  # noqa: PTH123
            file.write(text)
