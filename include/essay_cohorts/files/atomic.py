"""Atomic writes: a reader sees the former file or the whole new one, also after a crash.

A temporary file stands in the same folder, its name begins with a dot and ends with `.tmp`.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from essay_cohorts.encoding import encoded
from essay_cohorts.errors import StoreError

_STAGING = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
LINK_STEP = "Replace the symbolic link by a folder, or make its target the data root."


def write_text(
    path: Path, text: str, *, durable: bool = True, folder_later: bool = False, as_of: int | None = None
) -> None:
    """Write UTF-8 with LF: temporary file, flush, fsync, rename. StoreError when the disk refuses.

    What need not outlive a power cut is written without `durable`: as whole, and without waiting for the disk. With
    `folder_later` the rename is durable once the next file of the same folder is. `as_of` is the time that the file
    bears, in ns since 1970: when what it tells of began to be read.
    """
    with storing(path):
        temporary = stage_text(path, text, durable=durable)
        try:
            if as_of is not None:
                os.utime(temporary, ns=(as_of, as_of))
            os.replace(temporary, path)  # noqa: PTH105
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        if durable and not folder_later:
            sync_path(path.parent)


def stage_text(path: Path, text: str, token: str | None = None, *, durable: bool = True) -> Path:
    """Write and fsyncs the temporary file that `path` can be renamed from; removes it when that fails."""
    temporary = temporary_name(path, token or new_token())
    try:
        _write_new(temporary, text, durable=durable)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def make_folder(root: Path, folder: Path) -> Path:
    """Make `folder` below `root` unless it is there; `root` itself is never made.

    StoreError when `root` is gone, as with an unmounted disk, or when a symbolic link leads out of it.
    """
    check_inside(root, folder)
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def check_inside(root: Path, folder: Path) -> None:
    """StoreError unless `root` exists and what is written to `folder` stays in it, symbolic links followed."""
    if not os.path.isdir(root):  # noqa: PTH112  (asked before each write)
        msg = f"The data root {root} is gone. Check that it is still mounted; then clear the run."
        raise StoreError(msg)
    real = leads_to(root, folder)
    if real is not None:
        msg = f"{folder} leads out of the data root, to {real}: nothing is written there. {LINK_STEP}"
        raise StoreError(msg)


def leads_to(root: Path, folder: Path) -> Path | None:
    """Return where a symbolic link takes what is written to `folder` out of `root`; None when it stays in it."""
    part, top = os.fspath(folder), os.fspath(root)
    while len(part) > len(top):
        if os.path.islink(part):  # noqa: PTH114
            real = folder.resolve()
            return None if real.is_relative_to(root.resolve()) else real
        part = os.path.dirname(part)  # noqa: PTH120
    return None


def create_folder_with(folder: Path, name: str, text: str) -> bool:
    """Make `folder` holding one file, both at once or neither; False when it holds something already."""
    with storing(folder):
        staging = temporary_name(folder, new_token())
        os.mkdir(staging)  # noqa: PTH102
        try:
            _write_new(staging / name, text)
            os.rename(staging, folder)  # noqa: PTH104
        except OSError:
            (staging / name).unlink(missing_ok=True)
            staging.rmdir()
            if folder.is_dir():
                return False
            raise
        return True


def is_staging_name(name: str) -> bool:
    """Return True for the name that `create_folder_with` gives a folder until it is whole."""
    return _STAGING.fullmatch(name) is not None


def keep_former(path: Path, number: int | None = None) -> None:
    """Rename an existing `path` to `<stem>.<n><suffix>`, n being `number` or the smallest free one."""
    if path.exists():
        copy_former(path, number)
        path.unlink(missing_ok=True)


def copy_former(path: Path, number: int | None = None) -> None:
    """Give an existing `path` its name as a former file too, without a moment in which either is missing.

    Never overwrites, and a second try after a crash keeps the file under the number that it has already.
    """
    number = number or former_number(path)
    while not _is_kept_as(path, number):
        try:
            os.link(path, former_name(path, number))
        except FileExistsError:
            number += 1
        except FileNotFoundError:
            return  # another process has moved it meanwhile


def former_number(path: Path) -> int:
    """Return the number under which `path` is kept already, else the smallest free one."""
    number = 1
    while former_name(path, number).exists() and not _is_kept_as(path, number):
        number += 1
    return number


def kept_number(path: Path) -> int | None:
    """Return the number under which the very file that is `path` is kept.

    None when it is a file of its own, or none.
    """
    try:
        found = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        return None
    if found.st_nlink < 2:
        return None
    for kept in path.parent.glob(f"{path.stem}.*{path.suffix}"):
        number = kept.name.removeprefix(f"{path.stem}.").removesuffix(path.suffix)
        if number.isdecimal() and kept.samefile(path):
            return int(number)
    return None


def former_name(path: Path, number: int) -> Path:
    """Return where the `number`-th replaced version of `path` is kept."""
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def temporary_name(path: Path, token: str) -> Path:
    """Return the temporary sibling of `path`; files that belong together share a token."""
    return path.parent / f".{path.name}.{token}.tmp"


def _is_kept_as(path: Path, number: int) -> bool:
    kept = former_name(path, number)
    return kept.exists() and path.exists() and kept.samefile(path)


def _write_new(path: Path, text: str, *, durable: bool = True) -> None:
    # Thousands of small files are written by threads beside an event loop: each call to the system hands the
    # interpreter over and back, so there are no more of them than needed.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        write_whole(descriptor, encoded(text))
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(descriptor: int, content: bytes) -> None:
    """Write all of `content`; the system may take it in parts."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def new_token() -> str:
    """Return a name that no other writer has."""
    return secrets.token_hex(6)


def sync_path(path: Path) -> None:
    """Make a file's content, or the renames in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def json_text(value: Mapping[str, Any]) -> str:
    """JSON as the store has it: indent 2, UTF-8, a final newline."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an OSError into a StoreError that names the file, the finding and the next step."""
    try:
        yield
    except OSError as error:
        msg = (
            f"{error.filename or path}: cannot be written: {error.strerror or error}. "
            "Check the free space, the permissions and that the data root is still mounted; then clear the run."
        )
        raise StoreError(msg) from error
