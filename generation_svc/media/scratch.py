"""Temporary files that live no longer than the process.

Each process has a folder of its own, which it holds a lock on. The folders of processes that have
ended, however they did, are removed by the next one that starts. Those that start at once do so one
after the other: a folder that has no lock yet looks abandoned.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import structlog

from generation_svc.domain.error import Unavailable
from runtime.thread import in_thread

_T = TypeVar("_T")
_LOCK = "lock"
HELD_BYTES = 2**20
"""How much of a file is gathered before it is written."""
_logger = structlog.get_logger(__name__)


@contextmanager
def open_scratch(parent: Path) -> Iterator[Scratch]:
    """Make a folder under `parent` for as long as the block; raises OSError."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = parent / uuid4().hex
    with ExitStack() as stack:
        with _alone(parent):
            folder.mkdir(mode=0o700)
            lock = stack.enter_context((folder / _LOCK).open("wb"))
            # The kernel drops this lock when the process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_abandoned(parent)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield Scratch(folder)


@contextmanager
def _alone(parent: Path) -> Iterator[None]:
    """Wait until nobody else is about to make a folder here."""
    descriptor = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Scratch:
    """A private folder for temporary files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        """Where the files are."""

    @asynccontextmanager
    async def file(self) -> AsyncIterator[Path]:
        """Make an empty file, and remove it with what was made of it. Raises Unavailable."""
        path = self.folder / f"{uuid4().hex}.part"
        await self._do(partial(path.touch, mode=0o600, exist_ok=False))
        try:
            yield path
        finally:
            # Shielded: a call that was cancelled must not leave its file behind.
            await asyncio.shield(in_thread(partial(_remove, path), name="scratch"))

    @asynccontextmanager
    async def holding(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[Path]:
        """Make a file of what comes in pieces. Raises Unavailable."""
        async with self.file() as path:
            writer = ScratchWriter(self, path)
            async for piece in pieces:
                await writer.write(piece)
            await writer.flush()
            yield path

    async def append(self, path: Path, data: bytes | bytearray) -> None:
        """Write at the end of a file that there is. Raises Unavailable."""
        await self._do(partial(_append, path, data))

    async def read(self, path: Path, *, most: int = -1) -> bytes:
        """Give the beginning of a file, or all of it. Raises Unavailable."""
        return await self._do(partial(_begin, path, most))

    async def size(self, path: Path) -> int:
        """Return how many bytes a file has. Raises Unavailable."""
        return (await self._do(path.stat)).st_size

    async def _do(self, work: Callable[[], _T]) -> _T:
        try:
            return await in_thread(work, name="scratch")
        except OSError as error:
            _logger.warning("the scratch folder cannot be used", reason=str(error))
            raise Unavailable("The file cannot be stored at the moment.") from error


class ScratchWriter:
    """Writes a file in pieces; small ones are gathered, so that few threads are needed."""

    def __init__(self, scratch: Scratch, path: Path, *, held_bytes: int = HELD_BYTES) -> None:
        self._scratch = scratch
        self._path = path
        self._most = held_bytes
        self._held = bytearray()

    async def write(self, piece: bytes) -> None:
        """Take the next piece. Raises Unavailable."""
        self._held += piece
        if len(self._held) >= self._most:
            await self.flush()

    async def flush(self) -> None:
        """Bring what is held to the file. Raises Unavailable."""
        data, self._held = self._held, bytearray()
        if data:
            await self._scratch.append(self._path, data)


def _append(path: Path, data: bytes | bytearray) -> None:
    with path.open("r+b") as file:  # never makes one: it may have been removed meanwhile
        file.seek(0, os.SEEK_END)
        file.write(data)


def _begin(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    for beside in (".new", ".poster"):
        path.with_suffix(beside).unlink(missing_ok=True)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        try:
            with (folder / _LOCK).open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # it is in use, or somebody else removes it
            continue
