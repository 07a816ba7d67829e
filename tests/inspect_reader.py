"""Reads logs with inspect_ai's own reader and prints what it found as JSON.

It runs in an environment of its own: .venv-inspect/bin/python tests/inspect_reader.py FOLDER
"""

from __future__ import annotations

import json
import sys
from typing import Any

from inspect_ai.log import (
    EvalLog,
    list_eval_logs,
    read_eval_log,
    read_eval_log_sample,
    read_eval_log_sample_summaries,
)


def found_in(log: EvalLog) -> dict[str, Any]:
    """Return the parts of a log that the tests compare."""
    return {
        "version": log.version,
        "status": log.status,
        "task": log.eval.task,
        "model": log.eval.model,
        "metrics": {name: metric.value for name, metric in log.results.scores[0].metrics.items()},
        "samples": [
            {
                "id": sample.id,
                "epoch": sample.epoch,
                "input": sample.input,
                "roles": [message.role for message in sample.messages],
                "reply": sample.output.completion,
                "scores": {name: score.as_float() for name, score in (sample.scores or {}).items()},
                "error": sample.error.message if sample.error else None,
                "title": sample.metadata["title"],
            }
            for sample in log.samples or []
        ],
    }


def main() -> None:
    """Read every log that `inspect view` would list, whole and in the parts that it loads."""
    found = []
    for info in list_eval_logs(sys.argv[1]):
        log = read_eval_log(info)
        summaries = read_eval_log_sample_summaries(info)
        one = read_eval_log_sample(info, id=summaries[0].id, epoch=summaries[0].epoch)
        header = read_eval_log(info, header_only=True)
        parts = {"task_in_name": info.task, "summaries": len(summaries), "first": one.id, "header": header.eval.task}
        found.append({**found_in(log), **parts})
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
