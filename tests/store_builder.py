"""Builds data roots for tests: real files, written by plain code that shares nothing with the package's writers."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLAIN_TEMPLATE = (
    "Judge {name}.\n<<<ESSAY {{{{ boundary }}}}\n{{{{ response }}}}\nESSAY {{{{ boundary }}}}>>>\nSCORE: n\n"
)


@dataclass(frozen=True)
class StoreBuilder:
    """A data root under construction; a method that makes a generation or a file returns its id or path."""

    root: Path

    @classmethod
    def sample(cls, root: Path, *, replicates: int = 4, offline_ok: bool = True) -> StoreBuilder:
        """Return a store with two active templates (novelty, coherence), two judges (judge-a, judge-b), no essays."""
        store = cls(root)
        store.templates("novelty", "coherence")
        store.models("judge-a", "judge-b")
        store.write("1_raw/replication_config.csv", f"stage,replicates\nessay,1\nevaluation,{replicates}\n")
        if offline_ok:
            store.write("1_raw/OFFLINE_OK", "")
        return store

    def templates(self, *ids: str) -> None:
        rows = "".join(f"{name},{name},,in_last_line,llm,true\n" for name in ids)
        header = "template_id,template_name,description,parser,generator,active\n"
        self.write("1_raw/evaluation_templates.csv", header + rows)
        for name in ids:
            self.write(f"1_raw/templates/evaluation/{name}.txt", PLAIN_TEMPLATE.format(name=name))

    def models(self, *ids: str) -> None:
        header = "id,model,provider,display_name,for_generation,for_evaluation,specialization\n"
        rows = "".join(f"{name},example/{name},example,{name},false,true,\n" for name in ids)
        self.write("1_raw/llm_models.csv", header + rows)

    def judges_at(self, **connections: str) -> None:
        """Write the judges with their connections: `judges_at(a="vllm")` is the judge judge-a at vllm."""
        rows = "".join(f"judge-{name},example/judge-{name},true,{where}\n" for name, where in connections.items())
        self.write("1_raw/llm_models.csv", "id,model,for_evaluation,connection\n" + rows)

    def essay(self, number: int, text: str | None = None) -> str:
        """Write an essay with its draft. The default text names the number, so that a prompt shows its essay."""
        draft, essay = f"d_draft{number}", f"e_essay{number}"
        source = {"origin_cohort_id": "old", "mode": "llm", "combo_id": f"combo-{number}", "replicate": 1}
        self.metadata(
            "draft", draft, {**source, "template_id": "draft-a", "parent_gen_id": "", "llm_model_id": "writer"}
        )
        self.metadata(
            "essay", essay, {**source, "template_id": "essay-x", "parent_gen_id": draft, "llm_model_id": "writer"}
        )
        body = f"Essay number {number}.\n\nTides and ledgers.\n" if text is None else text
        self.write(f"gens/essay/{essay}/parsed.txt", body)
        return essay

    def evaluation(
        self,
        gen_id: str,
        essay_id: str,
        *,
        template: str = "novelty",
        model: str = "judge-a",
        replicate: int = 1,
        score: float | str | None = 6.0,
        reply: str | None = None,
        refused: str | None = None,
        origin: str = "old",
        more: dict[str, Any] | None = None,
    ) -> str:
        """Write an evaluation: scored by default, unfinished with `score=None`, and with a raw reply given `reply`.

        `refused` also writes a verdict that refuses the reply for this reason.
        """
        folder = f"gens/evaluation/{gen_id}"
        self.metadata(
            "evaluation",
            gen_id,
            {
                "origin_cohort_id": origin,
                "mode": "llm",
                "template_id": template,
                "combo_id": "combo",
                "parent_gen_id": essay_id,
                "llm_model_id": model,
                "replicate": replicate,
                **(more or {}),
            },
        )
        if reply is not None or score is not None:
            self.write(f"{folder}/raw.txt", reply if reply is not None else f"Because.\nSCORE: {score}\n")
        if score is not None:
            self.write(f"{folder}/parsed.txt", f"{score}\n")
        if refused is not None:
            verdict = {"parser_name": "in_last_line", "parser_version": "2", "success": False, "score": None}
            self.json(f"{folder}/parsed_metadata.json", {**verdict, "reason": refused})
        return gen_id

    def rating(
        self,
        gen_id: str,
        essay_id: str,
        rater: str,
        score: float | str | None,
        *,
        template: str = "novelty",
        version: str = "1",
        more: dict[str, Any] | None = None,
    ) -> str:
        """Write a person's evaluation; `version` names the rubric, and `more` is added to the verdict."""
        folder = f"gens/evaluation/{gen_id}"
        self.metadata(
            "evaluation",
            gen_id,
            {
                "origin_cohort_id": "human",
                "mode": "human",
                "template_id": template,
                "combo_id": "combo",
                "parent_gen_id": essay_id,
                "llm_model_id": f"human-{rater}",
                "replicate": 1,
            },
        )
        verdict = {"parser_name": "human", "parser_version": version, "success": True, "score": score, "reason": ""}
        self.json(f"{folder}/parsed_metadata.json", {**verdict, **(more or {})})
        if score is not None:
            self.write(f"{folder}/parsed.txt", f"{score}\n")
        return gen_id

    def select(self, *lines: str, name: str = "selected_essays.txt") -> None:
        self.write(f"2_tasks/{name}", "".join(f"{line}\n" for line in lines))

    def backfill(self, *essay_ids: str) -> None:
        """Write a selection file in backfill mode."""
        self.select("# mode: evaluation-only", "# include-existing-evaluations", *essay_ids)

    def metadata(self, stage: str, gen_id: str, values: dict[str, Any]) -> None:
        self.json(f"gens/{stage}/{gen_id}/metadata.json", {"stage": stage, "gen_id": gen_id, **values})

    def json(self, name: str, value: dict[str, Any]) -> None:
        self.write(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def files(self, under: str = ".") -> dict[str, bytes]:
        """Return the bytes of every file in a folder, hidden files included, by path relative to the root."""
        found = sorted(path for path in (self.root / under).rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}

    def rows(self, name: str) -> list[dict[str, str]]:
        """Return a CSV file's rows as dictionaries by column."""
        return list(csv.DictReader(io.StringIO(self.read(name), newline="")))

    def tree_hash(self) -> str:
        """Return one hash over every path and content below the root; equal hashes mean that nothing was written.

        The ledger is left out: whoever takes a turn, or asks whether it is free, writes there.
        """
        digest = hashlib.sha256()
        for path in sorted(self.root.rglob("*")):
            if ".ledger" in path.relative_to(self.root).parts:
                continue
            digest.update(str(path.relative_to(self.root)).encode())
            digest.update(path.read_bytes() if path.is_file() else b"/")
        return digest.hexdigest()
