"""Bytes in a folder or in a bucket, through obstore; a write is seen whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from generation_svc.domain.error import MediaNotFound, Unavailable

DEFAULT_FOLDER = Path(".atelier/media")
"""Where the bytes are kept when nothing else is said."""

PIECE_BYTES = 256 * 1024
"""The size of the largest piece of a stream."""


def open_media(url: str = "") -> ObjectMediaStore:
    """Open the store at `MEDIA_URL`: a path, `file:///…` or `s3://bucket/prefix`.

    A folder is made if it is missing; a bucket takes its keys from the `AWS_…` environment. Raises
    ValueError with one line where the URL means nothing or the folder cannot be made.
    """
    try:
        return ObjectMediaStore(_store_at(url or str(DEFAULT_FOLDER)))
    except (BaseError, OSError, ValueError) as error:
        raise ValueError(f"cannot keep media at {url!r}: {_first_line(error)}") from error


class ObjectMediaStore:
    """`MediaStore` on an obstore store."""

    def __init__(self, store: ObjectStore) -> None:
        self.backend = store
        """The folder or the bucket."""

    async def put(self, key: str, data: bytes) -> None:
        """Keep the bytes; writing the same key again replaces them."""
        with _translated(key):
            # In one piece: parts of an upload that was killed would stay in a bucket for ever.
            await self.backend.put_async(key, data, use_multipart=False)

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """Give the bytes in pieces of at most 256 KiB; raises MediaNotFound."""
        with _translated(key):
            found = await self.backend.get_async(key)
            async for block in found.stream(min_chunk_size=PIECE_BYTES):
                for piece in _pieces(bytes(block)):
                    yield piece

    async def read(self, key: str) -> bytes:
        """Give all the bytes; raises MediaNotFound."""
        with _translated(key):
            found = await self.backend.get_async(key)
            return bytes(await found.bytes_async())

    async def delete(self, key: str) -> None:
        """Forget the bytes; a missing key is no error."""
        try:
            with _translated(key):
                await self.backend.delete_async(key)
        except MediaNotFound:
            return


def _store_at(url: str) -> ObjectStore:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _folder(Path(unquote(parts.path)))
    return from_url(url) if parts.scheme else _folder(Path(url))


def _folder(path: Path) -> LocalStore:
    folder = path.expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return LocalStore(folder)


def _pieces(block: bytes) -> Iterator[bytes]:
    for start in range(0, len(block), PIECE_BYTES):
        yield block[start : start + PIECE_BYTES]


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise MediaNotFound(key) from error
    except (BaseError, OSError) as error:
        raise Unavailable("The media store is away for a moment.") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
