"""Makes many small files durable at once: one flush for all of them costs as much as a few single ones."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# Python has no function for syncfs, which Linux and no other system has.
_SYNCFS = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


def flush_file_system(folder: Path) -> None:
    """Wait until all that was written to the file system of `folder` is on its disk.

    OSError if the system reports that the disk failed, which Linux does from 5.8 on.
    """
    if _SYNCFS is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if _SYNCFS(descriptor):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), os.fspath(folder))
    finally:
        os.close(descriptor)
