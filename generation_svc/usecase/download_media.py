"""Streams the bytes of a result, or a part, to its caller or the holder of a link."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import MediaExpired, MediaNotFound, ReadOutOfRange
from generation_svc.domain.link_error import MediaLinkInvalid
from generation_svc.domain.media import Media, MediaLink
from generation_svc.domain.port.media import StoredMedia
from generation_svc.lifecycle.dependencies import Dependencies

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """Media, a link to it if there are links, and its bytes in pieces."""

    media: Media
    link: MediaLink | None
    expire_time: datetime
    """Until when it is kept."""
    pieces: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class ReadRange:
    """Which bytes are wanted."""

    offset: int = 0
    """How many bytes to skip, 0 or more."""
    limit: int = 0
    """The largest number of bytes; 0 is all."""

    def length_in(self, size: int) -> int:
        """Return how many bytes of so many this is. Raises ReadOutOfRange."""
        if self.offset > size:
            raise ReadOutOfRange(self.offset, size_bytes=size)
        rest = size - self.offset
        return min(self.limit, rest) if self.limit else rest


WHOLE = ReadRange()


async def download(
    deps: Dependencies, caller: Caller, *, media_id: UUID, part: ReadRange = WHOLE
) -> Download:
    """Return media that this caller sees, or sends for a bot of its own.

    Raises MediaNotFound, MediaExpired and ReadOutOfRange.
    """
    link = deps.media.links.make(media_id) if deps.media.links else None
    bots = caller.bot_ids if Scope.DELIVERIES in caller.scopes else None
    stored = await _found(deps, media_id=media_id, caller=caller.sees, bots=bots or ())
    return _opened(deps, stored, part=part, link=link)


async def download_by_link(deps: Dependencies, *, token: str, part: ReadRange = WHOLE) -> Download:
    """Return the media that a link is for: the link is the right to it.

    Raises MediaLinkInvalid, MediaNotFound, MediaExpired and ReadOutOfRange.
    """
    if deps.media.links is None:
        raise MediaLinkInvalid
    link = deps.media.links.read(token)
    stored = await _found(deps, media_id=link.media_id, caller=None)
    return _opened(deps, stored, part=part, link=link)


async def _found(
    deps: Dependencies, *, media_id: UUID, caller: str | None, bots: Collection[int] = ()
) -> StoredMedia:
    async with deps.database.transaction() as tx:
        stored = await tx.media.find_media(media_id, caller=caller, bots=bots)
    if stored is None:
        raise MediaNotFound(str(media_id))
    # By time as well as by the mark: the sweep may be late, and callers were told the time.
    if stored.is_removed or _expire_time(deps, stored) <= deps.database.now():
        raise MediaExpired(str(media_id))
    return stored


def _expire_time(deps: Dependencies, stored: StoredMedia) -> datetime:
    mime_type = stored.media.mime_type
    return deps.storage.retention.expire_time(mime_type, end_time=stored.end_time)


def _opened(
    deps: Dependencies, stored: StoredMedia, *, part: ReadRange, link: MediaLink | None
) -> Download:
    length = part.length_in(stored.media.size_bytes)
    pieces = _pieces(deps, stored, offset=part.offset, length=length)
    return Download(stored.media, link, _expire_time(deps, stored), pieces)


async def _pieces(
    deps: Dependencies, stored: StoredMedia, *, offset: int, length: int
) -> AsyncIterator[bytes]:
    """Give the bytes; media whose bytes are gone is named as the caller knows it."""
    try:
        async for piece in deps.media.store.stream(stored.key, offset=offset, length=length):
            yield piece
    except MediaNotFound as error:
        _logger.error("the bytes of media are gone", key=stored.key)
        raise MediaNotFound(str(stored.media.id)) from error
