"""A prompt on disk: prompt.txt, and when the request has them, system_prompt.txt and response_format.json.

Stores that other programs wrote may call the prompt input.txt.
"""

from __future__ import annotations

import os
from pathlib import Path

from essay_cohorts.calls import Prompt
from essay_cohorts.files.atomic import copy_former, storing, write_text
from essay_cohorts.files.json_files import read_text

PROMPT = "prompt.txt"
SYSTEM_PROMPT = "system_prompt.txt"
RESPONSE_FORMAT = "response_format.json"
FORMER_PROMPT = "input.txt"
PROMPT_FILES = frozenset({PROMPT, SYSTEM_PROMPT, RESPONSE_FORMAT, FORMER_PROMPT})


def read(folder: str) -> Prompt | None:
    """Return what the judge is sent; None when the prompt is missing. `folder` is a path as text, for speed."""
    texts = (read_text(f"{folder}{os.sep}{name}") for name in (PROMPT, FORMER_PROMPT))
    text = next((text for text in texts if text is not None), None)
    if text is None:
        return None
    system, response_format = (
        read_text(f"{folder}{os.sep}{name}") or "" for name in (SYSTEM_PROMPT, RESPONSE_FORMAT)
    )
    return Prompt(text=text, system=system, response_format=response_format)


def write(folder: Path, prompt: Prompt, *, keep_former: bool) -> None:
    """Write a prompt in place of another one, which stays as former files if `keep_former`.

    While the other files change there is no prompt.txt, so that no call sends parts of two prompts. The writes do not
    wait for the disk: a prompt that a power cut took is written again.
    """
    path = folder / PROMPT
    parts = {SYSTEM_PROMPT: prompt.system, RESPONSE_FORMAT: prompt.response_format}
    if keep_former:
        with storing(path):
            for name in (PROMPT, *parts):
                copy_former(folder / name)
    if any((read_text(folder / name) or "") != text for name, text in parts.items()):
        drop(folder)
        for name, text in parts.items():
            if text:
                write_text(folder / name, text, durable=False)
    write_text(path, prompt.text, durable=False)


def drop(folder: Path) -> None:
    """Remove the prompt, so that no call sends it."""
    path = folder / PROMPT
    with storing(path):
        path.unlink(missing_ok=True)
        (folder / SYSTEM_PROMPT).unlink(missing_ok=True)
        (folder / RESPONSE_FORMAT).unlink(missing_ok=True)
