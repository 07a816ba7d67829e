"""A first draft of such a DAG: one mapped task instance per gen_id, four tasks each, a synchronous client.

`make bench` compares the package with this DAG, which keeps no promise of the package: it only stores a reply.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import Connection, dag, get_current_context, task, task_group

REPLICATES = 4


def _folder(gen_id: str) -> Path:
    folder = Path(os.environ["DD_DATA_ROOT"]) / "naive" / gen_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@task
def list_evaluations() -> list[str]:
    context: Any = get_current_context()
    return [f"{essay}_{number}" for essay in context["params"]["essay_ids"] for number in range(REPLICATES)]


@task
def check(gen_id: str) -> str:
    return gen_id


@task
def prompt(gen_id: str) -> str:
    essay = Path(os.environ["DD_DATA_ROOT"]) / "gens" / "essay" / gen_id.rpartition("_")[0] / "parsed.txt"
    (_folder(gen_id) / "prompt.txt").write_text(f"{essay.read_text()}\nEnd with a line SCORE: n\n")
    return gen_id


@task
def raw(gen_id: str) -> str:
    from openai import OpenAI

    connection = Connection.get("llm_default")
    client = OpenAI(api_key=connection.password, base_url=connection.host)
    text = (_folder(gen_id) / "prompt.txt").read_text()
    answer = client.chat.completions.create(model="example/judge-a", messages=[{"role": "user", "content": text}])
    (_folder(gen_id) / "raw.txt").write_text(answer.choices[0].message.content or "")
    return gen_id


@task
def parsed(gen_id: str) -> None:
    last = (_folder(gen_id) / "raw.txt").read_text().splitlines()[-1]
    (_folder(gen_id) / "parsed.txt").write_text(last.removeprefix("SCORE: "))


@task_group
def evaluation(gen_id: str) -> None:
    # For mypy a call of a task gives an XComArg; at run time the next task gets the text.
    checked: Any = check(gen_id)
    prompted: Any = prompt(checked)
    replied: Any = raw(prompted)
    parsed(replied)


@dag(dag_id="naive_backfill", schedule=None, params={"essay_ids": None})
def naive_backfill() -> None:
    evaluation.expand(gen_id=list_evaluations())


naive_backfill()
