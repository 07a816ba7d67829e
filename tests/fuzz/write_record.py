"""Records the paths that a block of code writes to, as the interpreter reports them, even if a path is removed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# The positions of an event's arguments that are changed paths.
_CHANGED = {
    "os.mkdir": (0,),
    "os.rmdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.link": (0, 1),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.utime": (0,),
}


class _Recorder:
    """The audit hook of this process, which cannot be removed; it records while `paths` is a list."""

    def __init__(self) -> None:
        self.paths: list[Path] | None = None
        self.installed = False

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if self.paths is None:
            return
        if event == "open" and args[2] & _WRITING and not isinstance(args[0], int):
            self.paths.append(Path(os.path.realpath(os.fsdecode(args[0]))))
        for position in _CHANGED.get(event, ()):
            # The event changes the entry itself and not the target of a link, so resolve only the path's folders.
            folder, name = os.path.split(os.path.abspath(os.fsdecode(args[position])))  # noqa: PTH100
            self.paths.append(Path(os.path.realpath(folder), name))


_RECORDER = _Recorder()


@contextmanager
def recorded_writes() -> Iterator[list[Path]]:
    """Record the paths that the block opens for writing, makes, renames, links or removes, with real folders."""
    if not _RECORDER.installed:
        sys.addaudithook(_RECORDER)
        _RECORDER.installed = True
    # A module that the block imports for the first time must not be recorded by its bytecode file.
    former, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    paths = _RECORDER.paths = []
    try:
        yield paths
    finally:
        _RECORDER.paths = None
        sys.dont_write_bytecode = former


def outside(root: Path, paths: list[Path]) -> list[Path]:
    """Return those of `paths` that are not below `root`."""
    real = Path(os.path.realpath(root))
    return [path for path in paths if not path.is_relative_to(real)]
