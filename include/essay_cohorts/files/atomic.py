"""Atomic writes: a reader sees the former file or the whole new one, also after a crash.

A temporary file is in the same folder. Its name begins with a dot and ends with `.tmp`.
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
    """Write UTF-8 with LF: temporary file, flush, fsync, rename. StoreError if the file cannot be written.

    Without `durable` the write does not wait for the disk: readers still see the whole file, but a power cut may lose
    it. With `folder_later` the rename becomes durable with the next durable write to the same folder. `as_of` sets
    the file's modification time, in ns since 1970: the time at which the reading of its sources began.
    """
    write_bytes(path, encoded(text), durable=durable, folder_later=folder_later, as_of=as_of)


def write_bytes(
    path: Path, content: bytes, *, durable: bool = True, folder_later: bool = False, as_of: int | None = None
) -> None:
    """Write bytes as `write_text` writes a text."""
    with storing(path):
        temporary = _stage(path, content, new_token(), durable=durable)
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
    """Write the temporary file that is later renamed to `path`, and return its path; remove the file on an error."""
    return _stage(path, encoded(text), token or new_token(), durable=durable)


def _stage(path: Path, content: bytes, token: str, *, durable: bool) -> Path:
    temporary = temporary_name(path, token)
    try:
        _write_new(temporary, content, durable=durable)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def make_folder(root: Path, folder: Path) -> Path:
    """Make `folder` below `root` unless it exists; never make `root` itself.

    StoreError if `root` is gone, for example because its disk is not mounted, or if a symbolic link leads out of it.
    """
    check_inside(root, folder)
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def check_inside(root: Path, folder: Path) -> None:
    """Raise StoreError unless `root` exists and `folder`, with symbolic links resolved, is in it."""
    if not os.path.isdir(root):  # noqa: PTH112  (pathlib is slower, and this runs before each write)
        msg = f"The data root {root} is gone. Check that it is still mounted, then clear the run."
        raise StoreError(msg)
    real = leads_to(root, folder)
    if real is not None:
        msg = f"{folder} leads out of the data root, to {real}: nothing is written there. {LINK_STEP}"
        raise StoreError(msg)


def leads_to(root: Path, folder: Path) -> Path | None:
    """Return the real path of `folder` if a symbolic link leads out of `root`; None if it stays in `root`."""
    part, top = os.fspath(folder), os.fspath(root)
    while len(part) > len(top):
        if os.path.islink(part):  # noqa: PTH114
            real = folder.resolve()
            return None if real.is_relative_to(root.resolve()) else real
        part = os.path.dirname(part)  # noqa: PTH120
    return None


def create_folder_with(folder: Path, texts: Mapping[str, str]) -> bool:
    """Make `folder` with these texts by file name, all at once or nothing; return False if `folder` is not empty."""
    return place_folder(stage_folder(folder, texts), folder)


def stage_folder(folder: Path, texts: Mapping[str, str], *, durable: bool = True) -> Path:
    """Make a folder with these texts under a temporary name beside `folder`, and return its path."""
    staging = temporary_name(folder, new_token())
    with storing(folder):
        os.mkdir(staging)  # noqa: PTH102
        try:
            for name, text in texts.items():
                _write_new(staging / name, encoded(text), durable=durable)
        except OSError:
            drop_staged_folder(staging)
            raise
    return staging


def place_folder(staging: Path, folder: Path) -> bool:
    """Rename a staged folder to `folder`; if that is not empty, remove the staged one and return False."""
    with storing(folder):
        try:
            os.rename(staging, folder)  # noqa: PTH104
        except OSError:
            drop_staged_folder(staging)
            if folder.is_dir():
                return False
            raise
        return True


def drop_staged_folder(staging: Path) -> None:
    """Remove a staged folder with its files."""
    for path in staging.iterdir():
        path.unlink(missing_ok=True)
    staging.rmdir()


def is_staging_name(name: str) -> bool:
    """Return True for a name that `create_folder_with` gives a folder until it is complete."""
    return _STAGING.fullmatch(name) is not None


def keep_former(path: Path, number: int | None = None) -> None:
    """Rename an existing `path` to `<stem>.<n><suffix>`, where n is `number` or the smallest free number."""
    if path.exists():
        copy_former(path, number)
        path.unlink(missing_ok=True)


def copy_former(path: Path, number: int | None = None) -> None:
    """Link an existing `path` to its name as a former file, so that neither name is ever missing.

    Never overwrites a file. A second attempt after a crash keeps the number that the file already has.
    """
    number = number or former_number(path)
    while not _is_kept_as(path, number):
        try:
            os.link(path, former_name(path, number))
        except FileExistsError:
            number += 1
        except FileNotFoundError:
            return  # another process has moved it


def former_number(path: Path) -> int:
    """Return the number under which `path` is already kept, else the smallest free number."""
    number = 1
    while former_name(path, number).exists() and not _is_kept_as(path, number):
        number += 1
    return number


def kept_number(path: Path) -> int | None:
    """Return the number of the former name that `path` shares its file with; None if there is no such name."""
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
    """Return the path under which the former version `number` of `path` is kept."""
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def temporary_name(path: Path, token: str) -> Path:
    """Return the path of a temporary file next to `path`. Files that belong together share a token."""
    return path.parent / f".{path.name}.{token}.tmp"


def _is_kept_as(path: Path, number: int) -> bool:
    kept = former_name(path, number)
    return kept.exists() and path.exists() and kept.samefile(path)


def _write_new(path: Path, content: bytes, *, durable: bool = True) -> None:
    # Threads next to an event loop write thousands of small files. Each system call hands the interpreter over and
    # back, so this function makes as few as possible.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        write_whole(descriptor, content)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(descriptor: int, content: bytes) -> None:
    """Write all of `content`, because the system may accept it in parts."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def new_token() -> str:
    """Return a name that no other writer uses: 12 random hex digits."""
    return secrets.token_hex(6)


def sync_path(path: Path) -> None:
    """Make the content of a file, or the renames in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def json_text(value: Mapping[str, Any]) -> str:
    """Return JSON in the format of the store: indent 2, UTF-8, a final newline."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an OSError into a StoreError that names the file, the cause and the next step."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
            msg = f"{path.parent} is gone. Check that the data root is still mounted, then clear the run."
            raise StoreError(msg) from error
        msg = (
            f"{error.filename or path}: cannot be written: {error.strerror or error}. "
            "Check the free space, the permissions and that the data root is still mounted, then clear the run."
        )
        raise StoreError(msg) from error
