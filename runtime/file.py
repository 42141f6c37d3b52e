"""Files read in pieces, so that a large one is never in memory."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from runtime.thread import in_thread

PIECE_BYTES = 2**20


async def read_pieces(path: Path) -> AsyncIterator[bytes]:
    """Give a file in pieces of at most 1 MiB; raises OSError."""
    position = 0
    while piece := await in_thread(partial(_piece, path, position), name="file-read"):
        yield piece
        position += len(piece)


async def size_of(path: Path) -> int:
    """Return how many bytes a file has; raises OSError."""
    return (await in_thread(path.stat, name="file-size")).st_size


def _piece(path: Path, position: int) -> bytes:
    with path.open("rb") as file:
        file.seek(position)
        return file.read(PIECE_BYTES)
