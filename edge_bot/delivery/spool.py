"""Results on their way to Telegram: their bytes are held in files, not in memory.

The files have no name, so that the system forgets them with the process, however that ends. All of
them together have a limit; a result that does not fit waits for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from tempfile import TemporaryFile
from typing import IO, TypeVar

import grpc
import structlog

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1 import media_pb2
from atelier.generation.v1.media_pb2 import Media
from edge_bot.delivery.media import PHOTO_BYTES, MediaFile, is_thumbnail
from edge_bot.view.too_large import kind_of
from generation_client import GenerationClient, GenerationError, translated

_COVERED = (media_pb2.MEDIA_KIND_VIDEO, media_pb2.MEDIA_KIND_AUDIO)
_logger = structlog.get_logger(__name__)
_T = TypeVar("_T")


class MediaSpool:
    """Fetches media from the service into files."""

    def __init__(self, client: GenerationClient, *, limit_bytes: int) -> None:
        self._client = client
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._is_freed = asyncio.Condition()

    @property
    def held_bytes(self) -> int:
        """How much room is taken."""
        return self._held_bytes

    @asynccontextmanager
    async def fetched(self, wanted: Sequence[Media]) -> AsyncIterator[list[MediaFile]]:
        """Hold the bytes of media while the block runs, covers included. Raises GenerationError."""
        async with self._room(sum(map(_size_of, wanted))), AsyncExitStack() as stack:
            yield await _together([self._file(each, stack=stack) for each in wanted])

    @asynccontextmanager
    async def preview(self, of: Sequence[Media]) -> AsyncIterator[list[MediaFile]]:
        """Hold the first cover of media that cannot be sent themselves; none if they have none."""
        covered = next((each for each in of if each.cover_media_id), None)
        if covered is None:
            yield []
            return
        async with self._room(PHOTO_BYTES), AsyncExitStack() as stack:
            cover = await self._cover(covered, stack)
            yield [cover] if cover else []

    @asynccontextmanager
    async def _room(self, size_bytes: int) -> AsyncIterator[None]:
        """Take room while the block runs; what is larger than the limit goes alone."""
        size_bytes = min(size_bytes, self._limit_bytes)
        async with self._is_freed:
            await self._is_freed.wait_for(
                lambda: self._held_bytes + size_bytes <= self._limit_bytes
            )
            self._held_bytes += size_bytes
        try:
            yield
        finally:
            # Given back before anything is awaited, and the wake-up is shielded: a cancelled task
            # must neither keep its room nor leave those who wait for it asleep.
            self._held_bytes -= size_bytes
            await asyncio.shield(self._tell())

    async def _tell(self) -> None:
        async with self._is_freed:
            self._is_freed.notify_all()

    async def _file(self, media: Media, *, stack: AsyncExitStack) -> MediaFile:
        file = stack.enter_context(TemporaryFile())  # noqa: SIM115 -- the stack closes it
        found = await self._download(media.id, into=file) or media
        is_covered = found.cover_media_id and kind_of(found) in _COVERED
        return MediaFile(found, file, await self._cover(found, stack) if is_covered else None)

    async def _cover(self, of: Media, stack: AsyncExitStack) -> MediaFile | None:
        """Return the cover; a song without one is better than none."""
        file = stack.enter_context(TemporaryFile())  # noqa: SIM115 -- the stack closes it
        is_small = kind_of(of) == media_pb2.MEDIA_KIND_AUDIO
        try:
            cover = await self._download(of.cover_media_id, into=file, only_thumbnail=is_small)
        except GenerationError as error:
            if error.is_retryable:
                raise
            _logger.warning("the cover could not be downloaded", media_id=of.id, error=str(error))
            return None
        return MediaFile(cover, file) if cover else None

    async def _download(
        self, media_id: str, *, into: IO[bytes], only_thumbnail: bool | None = None
    ) -> Media | None:
        """Write the bytes of media to a file and return the media; None for an unfit cover."""
        media, size = None, 0
        call = self._client.generation.DownloadMedia(pb.DownloadMediaRequest(media_id=media_id))
        with translated():
            async for part in call:
                if part.HasField("media"):
                    media = part.media
                    if only_thumbnail is not None and not _is_cover(media, only_thumbnail):
                        # The bytes of a cover that does not fit are not wanted, and would keep
                        # coming.
                        call.cancel()
                        return None
                else:  # writing blocks where the disk is slow, and the others must not wait
                    await asyncio.to_thread(into.write, part.data)
                    size += len(part.data)
        # httpx takes the length of an upload from the file descriptor, behind Python's buffer.
        await asyncio.to_thread(into.flush)
        _check_size(media, size_bytes=size)
        return media


def _is_cover(media: Media, only_thumbnail: bool) -> bool:
    if only_thumbnail:
        return is_thumbnail(media)
    return kind_of(media) == media_pb2.MEDIA_KIND_IMAGE and media.size_bytes <= PHOTO_BYTES


def _check_size(media: Media | None, *, size_bytes: int) -> None:
    """Raise GenerationError for a download that is not whole: a stream may end in the middle."""
    if media is None or media.size_bytes != size_bytes:
        whole = f"{media.size_bytes} bytes of {media.id}" if media else "media"
        message = f"{size_bytes} bytes came instead of {whole}"
        raise GenerationError(grpc.StatusCode.UNAVAILABLE, message=message)


def _size_of(media: Media) -> int:
    return media.size_bytes + (PHOTO_BYTES if media.cover_media_id else 0)


async def _together(work: Sequence[Coroutine[None, None, _T]]) -> list[_T]:
    """Return all results; the rest of the work is cancelled once a part has failed."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        # gather leaves the others running when one fails, and their files are about to be closed.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
