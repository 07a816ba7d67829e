"""Exports evaluations as logs of inspect_ai (its EvalLog, version 2, as JSON), for `inspect view`.

Each template and judge has a log of its own, because a log has one model, whose replies are its output. A sample is
an essay, and its epochs are the replicates. The format is written here by hand, so inspect_ai is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2s
from pathlib import Path
from typing import Any

from slugify import slugify

from essay_cohorts import VERSION
from essay_cohorts.exporting.tables import NO_TEXTS, ExportedEvaluation, ExportedTexts, export_rows
from essay_cohorts.files.atomic import json_text
from essay_cohorts.files.clock import now
from essay_cohorts.records import ReplyRecord, count_of
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

# The name of the only scorer: the parser that read the replies.
_SCORER = "score"
_STOP_REASONS = {
    "stop": "stop",
    "length": "max_tokens",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
}
# A file's name has at most 255 bytes on most disks.
_LONGEST_SLUG = 60
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|\+00:00)")


@dataclass(frozen=True, kw_only=True, slots=True)
class InspectLog:
    """A log as a file, which `inspect view` finds by its name.

    `log_id` is the same in every export of the same source.
    """

    name: str
    log_id: str
    content: bytes
    samples: int


def inspect_logs(root: Path, source: str, gen_ids: Collection[str] | None = None) -> Iterator[InspectLog]:
    """Yield one log for each template and judge of a data root's evaluations, or of those in `gen_ids`.

    `source` names the evaluations: the cohort, or the data root. Logs of two data roots never have the same name.
    """
    by_judge: dict[tuple[str, str], list[str]] = {}
    for row in export_rows(root, gen_ids):
        by_judge.setdefault((row.template_id, row.llm_model_id), []).append(row.gen_id)
    store = GensDataLayer.from_root(root)
    for (template_id, model_id), names in sorted(by_judge.items()):
        # One log at a time, because the texts of a whole store need not fit into memory.
        yield _log(store, source, template_id, model_id, list(export_rows(root, names, texts=True)))


def _log(
    store: GensDataLayer, source: str, template_id: str, model_id: str, rows: Sequence[ExportedEvaluation]
) -> InspectLog:
    times = sorted(row.created_at for row in rows if _TIME.fullmatch(row.created_at))
    created = times[0] if times else now()
    log_id = _hash(str(store.root.resolve()), source, template_id, model_id)
    samples = [
        _sample(row, epoch, store.evaluation(row.gen_id), log_id)
        for of_essay in _by_essay(rows)
        for epoch, row in enumerate(of_essay, start=1)
    ]
    essays = list(dict.fromkeys(sample["id"] for sample in samples))
    epochs = max(sample["epoch"] for sample in samples)
    log = {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": log_id,
            "run_id": _hash(source),
            "created": created,
            "task": template_id,
            "task_id": log_id,
            "dataset": {"name": source, "samples": len(essays), "sample_ids": essays, "shuffled": False},
            "model": model_id,
            "config": {"epochs": epochs, "epochs_reducer": ["mean"]},
            "packages": {"essay-judgements": VERSION},
            "metadata": {"source": source},
            "scorers": [{"name": _SCORER}],
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": _results(rows, essays),
        "stats": {"started_at": created if times else "", "completed_at": times[-1] if times else ""},
        # Last, because inspect_ai reads the head of a log only as far as the samples.
        "samples": samples,
    }
    slugs = [slugify(each, max_length=_LONGEST_SLUG) or "unnamed" for each in (template_id, model_id)]
    name = "_".join([created[:19].replace(":", "-"), *slugs, log_id])
    content = json_text(log).encode("utf-8", errors="replace")
    return InspectLog(name=f"{name}.json", log_id=log_id, content=content, samples=len(samples))


def _by_essay(rows: Sequence[ExportedEvaluation]) -> Iterator[list[ExportedEvaluation]]:
    essays: dict[str, list[ExportedEvaluation]] = {}
    for row in sorted(rows, key=lambda row: (row.essay_id, row.replicate or 0, row.gen_id)):
        essays.setdefault(row.essay_id, []).append(row)
    yield from essays.values()


def _results(rows: Sequence[ExportedEvaluation], essays: Sequence[str]) -> dict[str, Any]:
    """Return the log's figures. The mean is that of the essays' means, as in the statistics."""
    of_essays = [[row.score for row in of_essay if row.score is not None] for of_essay in _by_essay(rows)]
    means = [sum(scores) / len(scores) for scores in of_essays if scores]
    mean = {"mean": {"name": "mean", "value": round(sum(means) / len(means), 9)}} if means else {}
    score = {
        "name": _SCORER,
        "scorer": _SCORER,
        "reducer": "mean",
        "scored_samples": len(means),
        "unscored_samples": len(essays) - len(means),
        "metrics": mean,
    }
    completed = sum(row.score is not None for row in rows)
    return {"total_samples": len(rows), "completed_samples": completed, "scores": [score]}


def _sample(row: ExportedEvaluation, epoch: int, evaluation: EvaluationFolder, log_id: str) -> dict[str, Any]:
    """Return an evaluation as a sample. Without a score it has the reason as its error, and no entry in `scores`."""
    texts, record = row.texts or NO_TEXTS, evaluation.reply_record()
    output = _output(row, texts, record)
    sample: dict[str, Any] = {
        "id": row.essay_id,
        "epoch": epoch,
        "uuid": _hash(log_id, row.gen_id),
        "input": texts.essay_text or "",
        "target": "",
        "messages": [*_prompt(evaluation), *(choice["message"] for choice in output.get("choices", []))],
        "output": output,
        "scores": {},
        "metadata": {
            "title": row.essay_title,
            "group": row.essay_group,
            **{
                name: getattr(row, name)
                for name in ("gen_id", "replicate", "state", "reason", "origin_cohort_id", "cost_usd", "created_at")
            },
            **record.provenance._asdict(),
        },
    }
    if row.score is None:
        sample["error"] = {"message": f"{row.state}: {row.reason}", "traceback": "", "traceback_ansi": ""}
    else:
        sample["scores"] = {_SCORER: _score(row.score, texts, evaluation)}
    if "usage" in output:
        sample["model_usage"] = {row.llm_model_id: output["usage"]}
    return sample


def _prompt(evaluation: EvaluationFolder) -> list[dict[str, Any]]:
    prompt = evaluation.whole_prompt()
    if prompt is None:
        return []
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    return [*system, {"role": "user", "content": prompt.text, "source": "input"}]


def _output(row: ExportedEvaluation, texts: ExportedTexts, record: ReplyRecord) -> dict[str, Any]:
    if texts.reply is None:
        return {"model": row.llm_model_id, "choices": []}
    reasoning = [{"type": "reasoning", "reasoning": texts.reasoning}] if texts.reasoning else []
    content = [*reasoning, {"type": "text", "text": texts.reply}] if reasoning else texts.reply
    model = record.response_model or row.llm_model_id
    message = {"role": "assistant", "content": content, "source": "generate", "model": model}
    stop = _STOP_REASONS.get(record.finish_reason, "unknown")
    output = {
        "model": model,
        "choices": [{"message": message, "stop_reason": stop}],
        "completion": texts.reply,
    }
    usage = _usage(record)
    return {**output, "usage": usage} if usage else output


def _usage(record: ReplyRecord) -> dict[str, Any]:
    """Return the tokens of a reply; empty if they are not known, because inspect_ai would show 0."""
    counts = record.fields.get("usage")
    known = counts if isinstance(counts, dict) else {}
    prompt, completion, cached = (count_of(known, f"{part}_tokens") for part in ("prompt", "completion", "cached"))
    if not (prompt and completion):
        return {}
    usage = {
        # inspect_ai counts cached tokens apart from the others.
        "input_tokens": max(prompt - cached, 0),
        "output_tokens": completion,
        "total_tokens": count_of(known, "total_tokens") or prompt + completion,
        "input_tokens_cache_read": cached or None,
        "reasoning_tokens": count_of(known, "reasoning_tokens") or None,
        "total_cost": record.cost_usd,
    }
    return {name: value for name, value in usage.items() if value is not None}


def _score(score: float, texts: ExportedTexts, evaluation: EvaluationFolder) -> dict[str, Any]:
    verdict = evaluation.verdict_of(evaluation.parsed_text() or "")
    criteria = {each.criterion: {"score": each.score, "reason": each.reason} for each in verdict.criteria}
    scale = verdict.rubric.scale
    metadata = {"scale_low": float(scale.low), "scale_high": float(scale.high), "parser": list(verdict.parser)}
    return {
        "value": score,
        "answer": f"{score}",
        "explanation": texts.reply,
        "metadata": {**metadata, **({"criteria": criteria} if criteria else {})},
    }


def _hash(*parts: str) -> str:
    return blake2s("\0".join(parts).encode("utf-8"), digest_size=11).hexdigest()
