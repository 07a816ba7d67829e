"""Makes the record of a reply, the record of a failure, and the error message about missing replies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from essay_cohorts.amounts import counted
from essay_cohorts.calls import DEFERRED, Failure, JudgeModel, Prompt, Reply
from essay_cohorts.domain import TaskRef
from essay_cohorts.files.clock import now
from essay_cohorts.judging.prices import cost_usd
from essay_cohorts.judging.prompts import prompt_hash

_NAMED_IN_MESSAGE = 20


def reply_record(
    model: JudgeModel, prompt: Prompt, reply: Reply, base_url: str, cohort_id: str, task: TaskRef
) -> dict[str, Any]:
    """Return the content of a reply's raw_metadata.json: how the reply was made, its cost, and the task's log."""
    return {
        "llm_model_id": model.id,
        "model": model.model,
        "response_model": reply.response_model,
        **({"system_fingerprint": reply.system_fingerprint} if reply.system_fingerprint else {}),
        "base_url": base_url,
        "prompt_sha256": prompt_hash(prompt),
        "finish_reason": reply.finish_reason,
        "truncated": reply.truncated,
        "usage": asdict(reply.usage),
        "duration_s": reply.duration_s,
        "attempts": reply.attempts,
        "temperature": model.temperature,
        "max_tokens": model.max_tokens,
        **({"request": json.loads(model.request)} if model.request else {}),
        "cost_usd": cost_usd(model, reply.usage),
        "call": reply.call,
        "cohort_id": cohort_id,
        **asdict(task),
        "created_at": now(),
    }


def failure_record(failure: Failure, task: TaskRef) -> dict[str, Any]:
    """Return the content of failure.json, for an evaluation that got no reply."""
    return {
        "kind": failure.kind,
        "status": failure.status,
        "message": failure.message,
        "attempts": failure.attempts,
        "dag_id": task.dag_id,
        "run_id": task.run_id,
        "try_number": task.try_number,
        "created_at": now(),
    }


def missing_replies(failures: Mapping[str, Failure], asked: int) -> str:
    """Return a message that names the evaluations of a slice without a reply, the causes and the next step."""
    named = list(failures.items())[:_NAMED_IN_MESSAGE]
    lines = [f"  {gen_id}: {failure.message} (attempts: {failure.attempts})" for gen_id, failure in named]
    if len(failures) > len(named):
        lines.append(f"  and {len(failures) - len(named)} more")
    next_step = "Fix the cause, then clear the run, or start the same run again: only these are called."
    if all(failure.kind == DEFERRED for failure in failures.values()):
        next_step = "Trigger the cohort again when the cap that the reason names is higher: only these are called."
    return "\n".join([f"{len(failures)} of {counted(asked, 'evaluation')} got no reply:", *lines, next_step])
