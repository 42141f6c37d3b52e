"""Writes files into the media folder durably and atomically.

A file is written under `unfinished/` and then moved to its place. What a process that was killed
left there is listed like everything else, and removed as bytes without a row.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from uuid import uuid4

UNFINISHED = "unfinished"
"""The folder of what is being written."""
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


def put_copy(folder: Path, key: str, *, source: Path) -> None:
    """Keep a copy of a file, made by the kernel.

    Raises OSError, or ValueError for a key that is no path below the folder.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"cannot parse path {key!r}")
    unfinished, target = folder / UNFINISHED / str(uuid4()), folder / key
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, unfinished)
        _sync(unfinished)
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    # A rename is on the disk only when its folder is, and that folder's own entry, too.
    for each in target.parents:
        _sync(each)
        if each == folder:
            return


def _sync(path: Path) -> None:
    """Bring a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
