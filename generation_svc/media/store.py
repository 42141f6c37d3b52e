"""Stores bytes in a folder or a bucket through obstore; writes are atomic.

What was put is on the disk before `put_file` returns: a job that is settled, and paid for,
outlives a loss of power. A large file is never in memory (`folder`, `bucket`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store, from_url

from generation_svc.domain.error import MediaNotFound, Unavailable
from generation_svc.domain.port.media import StoredBytes
from generation_svc.media.bucket import put_large
from generation_svc.media.folder import put_copy
from runtime.file import size_of
from runtime.thread import in_thread

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, RetryConfig

DEFAULT_FOLDER = Path(".atelier/media")
"""Where the bytes are kept when nothing else is said."""

LIST_PIECE = 100
"""How many keys are listed at once."""

PIECE_BYTES = 256 * 1024
"""The size of the largest piece of a stream."""

MOST_FILES = 4
"""How many large files are being kept at once, and how many small ones."""

SMALL_BYTES = 2 * 2**20
"""How large a file is at most that is in memory while a bucket takes it; a larger one is large."""

# How long a bucket may take for the largest result, and how often it is asked.
_CLIENT: ClientConfig = {
    "connect_timeout": "5s",
    "timeout": "60s",
    "allow_http": True,  # an AWS_ENDPOINT_URL that says http means it
}
_RETRY: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WANTED = (
    "it must be a folder, file:///folder or s3://bucket/prefix;"
    " the keys of a bucket are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
_logger = structlog.get_logger(__name__)


def open_media(url: str = "") -> ObjectMediaStore:
    """Open the store at `MEDIA_URL`: a path, `file:///…` or `s3://bucket/prefix`.

    A folder is made if it is missing; a bucket takes its keys from the `AWS_…` environment. Raises
    ValueError with one line where the URL means nothing or the folder cannot be made.
    """
    check_media_url(url)
    try:
        return ObjectMediaStore(_store_at(url or str(DEFAULT_FOLDER)))
    except (BaseError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or _first_line(error)
        raise ValueError(f"media cannot be kept there: {reason}") from error


def check_media_url(url: str) -> None:
    """Raise ValueError for an unusable URL, without quoting it: it may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(_WANTED) from None
    is_folder = not parts.scheme or (parts.scheme == "file" and parts.netloc in ("", "localhost"))
    is_bucket = parts.scheme == "s3" and bool(_BUCKET.fullmatch(parts.netloc))
    if not (is_folder or is_bucket) or "\0" in unquote(parts.path):
        raise ValueError(_WANTED)


class ObjectMediaStore:
    """`MediaStore` on an obstore store."""

    def __init__(self, store: ObjectStore) -> None:
        self.backend = store
        """The folder or the bucket."""
        self._large, self._small = (asyncio.Semaphore(MOST_FILES) for _ in range(2))

    @property
    def folder(self) -> Path | None:
        """The folder that the bytes are in; None for a bucket."""
        if isinstance(self.backend, LocalStore) and self.backend.prefix:
            return Path(self.backend.prefix)
        return None

    async def put_file(self, key: str, path: Path) -> None:
        """Keep the bytes of a file, which are in memory only if they are few.

        Writing the same key again replaces them.
        """
        try:
            with _translated(key):
                is_large = await size_of(path) > SMALL_BYTES
                # A film takes minutes; whoever sends a photo is not to wait for it.
                async with self._large if is_large else self._small:
                    await self._put_file(key, path, is_large=is_large)
        except MediaNotFound as error:
            raise _away(error) from error

    async def _put_file(self, key: str, path: Path, *, is_large: bool) -> None:
        if folder := self.folder:
            await in_thread(lambda: put_copy(folder, key, source=path), name="media-copy")
        elif isinstance(self.backend, S3Store) and is_large:
            await put_large(self.backend, key, path=path)
        else:
            data = await in_thread(path.read_bytes, name="media-read")
            await self.backend.put_async(key, data, use_multipart=False)

    async def stream(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Give the bytes, or a part of them that is there, in pieces of at most 256 KiB.

        Raises MediaNotFound.
        """
        if length == 0:  # which no store takes for a range
            return
        options: GetOptions = {}
        if length is not None:
            options["range"] = (offset, offset + length)
        elif offset:
            options["range"] = {"offset": offset}
        with _translated(key):
            found = await self.backend.get_async(key, options=options)
            async for block in found.stream(min_chunk_size=PIECE_BYTES):
                for piece in _pieces(bytes(block)):
                    yield piece

    async def list(self, prefix: str) -> AsyncIterator[Sequence[StoredBytes]]:
        """Give what is kept under a prefix such as `result/`, in pieces of at most 100."""
        with _translated(prefix):
            async for piece in self.backend.list(prefix, chunk_size=LIST_PIECE):
                yield [StoredBytes(each["path"], each["last_modified"]) for each in piece]

    async def delete(self, key: str) -> None:
        """Delete the bytes; a missing key is not an error."""
        try:
            with _translated(key):
                await self.backend.delete_async(key)
        except MediaNotFound:
            return


def _store_at(url: str) -> ObjectStore:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _folder(Path(unquote(parts.path)))
    if not parts.scheme:
        return _folder(Path(url))
    return from_url(url, client_options=_CLIENT, retry_config=_RETRY)


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
        # obstore raises FileNotFoundError for a missing bucket, too: a fault of the settings, not
        # of the media.
        if "<Code>NoSuchBucket</Code>" in str(error):
            raise _away(error) from error
        raise MediaNotFound(key) from error
    except (BaseError, OSError) as error:
        raise _away(error) from error


def _away(error: Exception) -> Unavailable:
    """Log the reason for the operator, such as a full disk; the caller is only asked to retry."""
    _logger.warning("the media store is unavailable", reason=_first_line(error))
    return Unavailable("The media store is temporarily unavailable.")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
