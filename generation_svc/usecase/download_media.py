"""Gives the bytes of a result: to its caller, or to whoever holds a link to it."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from uuid import UUID

import structlog

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import MediaLinkInvalid, MediaNotFound
from generation_svc.domain.media import Media, MediaLink
from generation_svc.domain.port.media import StoredMedia
from generation_svc.lifecycle.dependencies import Dependencies

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """Media, a link to it if there are links, and its bytes in pieces."""

    media: Media
    link: MediaLink | None
    pieces: AsyncIterator[bytes]


async def download(deps: Dependencies, caller: Caller, *, media_id: UUID) -> Download:
    """Return media that this caller sees, or sends for a bot of its own. Raises MediaNotFound."""
    link = deps.media.links.make(media_id) if deps.media.links else None
    bots = caller.bot_ids if Scope.DELIVERIES in caller.scopes else None
    return await _opened(deps, media_id=media_id, caller=caller.sees, bots=bots or (), link=link)


async def download_by_link(deps: Dependencies, *, token: str) -> Download:
    """Return the media that a link is for: the link is the right to it. Raises MediaLinkInvalid."""
    if deps.media.links is None:
        raise MediaLinkInvalid
    link = deps.media.links.read(token)
    return await _opened(deps, media_id=link.media_id, caller=None, link=link)


async def _opened(
    deps: Dependencies,
    *,
    media_id: UUID,
    caller: str | None,
    link: MediaLink | None,
    bots: Collection[int] = (),
) -> Download:
    async with deps.database.transaction() as tx:
        stored = await tx.media.find_media(media_id, caller=caller, bots=bots)
    if stored is None:
        raise MediaNotFound(str(media_id))
    return Download(stored.media, link, _pieces(deps, stored))


async def _pieces(deps: Dependencies, stored: StoredMedia) -> AsyncIterator[bytes]:
    """Give the bytes; media whose bytes are gone is named as the caller knows it."""
    try:
        async for piece in deps.media.store.stream(stored.key):
            yield piece
    except MediaNotFound as error:
        _logger.error("the bytes of media are gone", key=stored.key)
        raise MediaNotFound(str(stored.media.id)) from error
