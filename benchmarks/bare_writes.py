"""A bare script that writes the files of a judgement with system calls only.

Run as `python -m benchmarks.bare_writes FOLDER COUNT`. The files have the sizes and the order of those that the
package writes for a call, and are made durable where the package does so. Prints one JSON object with the wall and
processor time.
"""

from __future__ import annotations

import json
import os
import sys
import time

PROMPT, CLAIM, JOURNAL_LINE = b"p" * 3_500, b"c" * 250, b"j" * 450
REPLY, REPLY_RECORD, VERDICT, SCORE = b"r" * 1_000, b"m" * 900, b"v" * 150, b"7.0\n"


def keep(path: str, content: bytes) -> None:
    """Write a durable file under a temporary name and rename it."""
    os.rename(stage(path, content), path)  # noqa: PTH104


def stage(path: str, content: bytes) -> str:
    """Write a durable temporary file and return its path."""
    temporary = f"{path}.tmp"
    write(temporary, content, os.O_CREAT | os.O_EXCL)
    return temporary


def write(path: str, content: bytes, how: int, *, durable: bool = True) -> None:
    """Open, write, flush and close a file."""
    descriptor = os.open(path, os.O_WRONLY | how, 0o666)
    os.write(descriptor, content)
    if durable:
        os.fsync(descriptor)
    os.close(descriptor)


def sync(folder: str) -> None:
    """Make the renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def judgement(folder: str, journal: str) -> None:
    """Write all files of one evaluation, from its prompt to its score."""
    keep(f"{folder}/prompt.txt", PROMPT)
    write(f"{folder}/call.json", CLAIM, os.O_CREAT | os.O_EXCL, durable=False)
    write(journal, JOURNAL_LINE, os.O_CREAT | os.O_APPEND)
    reply, record = stage(f"{folder}/raw.txt", REPLY), stage(f"{folder}/raw_metadata.json", REPLY_RECORD)
    os.rename(record, f"{folder}/raw_metadata.json")  # noqa: PTH104
    os.rename(reply, f"{folder}/raw.txt")  # noqa: PTH104
    sync(folder)
    os.unlink(f"{folder}/call.json")  # noqa: PTH108
    keep(f"{folder}/parsed_metadata.json", VERDICT)
    keep(f"{folder}/parsed.txt", SCORE)
    sync(folder)


def main() -> None:
    """Make FOLDER and write COUNT judgements into it."""
    root, count = sys.argv[1], int(sys.argv[2])
    folders = [f"{root}/{number}" for number in range(count)]
    for folder in folders:
        os.makedirs(folder)  # noqa: PTH103
    wall, cpu = time.perf_counter(), time.process_time()
    for folder in folders:
        judgement(folder, f"{root}/calls.jsonl")
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    sys.stdout.write(json.dumps(spent) + "\n")


if __name__ == "__main__":
    main()
