"""Generated data roots of any size, the same for the same size."""

from __future__ import annotations

import json
from pathlib import Path

TEMPLATES, MODELS, REPLICATES = ("novelty", "coherence"), ("judge-a", "judge-b"), 4
_PER_ESSAY = len(TEMPLATES) * len(MODELS) * REPLICATES


def generate_store(root: Path, *, evaluations: int) -> None:
    """A store of about so many scored evaluations, all of selected essays, every cell full."""
    essays = [f"e_{number}" for number in range(-(-evaluations // _PER_ESSAY))]
    _write_inputs(root, essays)
    for essay in essays:
        _write(
            root / "gens/essay" / essay, {"parent_gen_id": "d_none", "combo_id": "c"}, "Tides and ledgers.\n" * 100
        )
        for template in TEMPLATES:
            for model in MODELS:
                for replicate in range(1, REPLICATES + 1):
                    name = f"v_{essay}_{template}_{model}_{replicate}"
                    cell = {"parent_gen_id": essay, "template_id": template, "llm_model_id": model}
                    _write(root / "gens/evaluation" / name, {**cell, "replicate": replicate}, "6.0\n")


def _write_inputs(root: Path, essays: list[str]) -> None:
    texts = root / "1_raw/templates/evaluation"
    texts.mkdir(parents=True)
    rows = "".join(f"{template},true\n" for template in TEMPLATES)
    (root / "1_raw/evaluation_templates.csv").write_text(f"template_id,active\n{rows}")
    for template in TEMPLATES:
        (texts / f"{template}.txt").write_text("{{ boundary }}\n{{ response }}\n{{ boundary }}\nSCORE:\n")
    rows = "".join(f"{model},{model},true\n" for model in MODELS)
    (root / "1_raw/llm_models.csv").write_text(f"id,model,for_evaluation\n{rows}")
    (root / "1_raw/replication_config.csv").write_text(f"stage,replicates\nevaluation,{REPLICATES}\n")
    (root / "2_tasks").mkdir()
    head = "# mode: evaluation-only\n# include-existing-evaluations\n"
    (root / "2_tasks/selected_essays.txt").write_text(head + "".join(f"{essay}\n" for essay in essays))


def _write(folder: Path, metadata: dict[str, object], parsed: str) -> None:
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text(json.dumps(metadata))
    (folder / "parsed.txt").write_text(parsed)
