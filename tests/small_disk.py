"""A disk that is full, for a process and what it starts: as any user, and on any file system."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_file_beyond(size_bytes: int) -> Iterator[None]:
    """Let every write behind this size of a file fail, here and in programs started meanwhile.

    A program that is running keeps the limit that it was started with.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writes_no_bytecode = sys.dont_write_bytecode
    # Python keeps what it compiles meanwhile, cut off, and other processes fail at it later.
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = writes_no_bytecode


@contextmanager
def no_file_of_process_beyond(size_bytes: int, *, pid: int) -> Iterator[None]:
    """Do the same to a program that is running; its log is cut as well.

    Start it so that it writes no bytecode: what it imports meanwhile would be kept in part.
    """
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
