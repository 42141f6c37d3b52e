"""Gives the bytes of a result: to its caller, or to whoever holds a link to it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import MediaLinkInvalid, MediaNotFound
from generation_svc.domain.job import Media
from generation_svc.domain.link import MediaLink
from generation_svc.lifecycle.context import Context


@dataclass(frozen=True, slots=True)
class Download:
    """Media, a link to it if there are links, and its bytes in pieces."""

    media: Media
    link: MediaLink | None
    pieces: AsyncIterator[bytes]


async def download(context: Context, caller: Caller, *, media_id: UUID) -> Download:
    """Return media of this caller. Raises MediaNotFound."""
    link = context.links.make(media_id) if context.links else None
    return await _opened(context, media_id=media_id, caller=caller.sees, link=link)


async def download_by_link(context: Context, *, token: str) -> Download:
    """Return the media that a link is for: the link is the right to it. Raises MediaLinkInvalid."""
    if context.links is None:
        raise MediaLinkInvalid
    link = context.links.read(token)
    return await _opened(context, media_id=link.media_id, caller=None, link=link)


async def _opened(
    context: Context, *, media_id: UUID, caller: str | None, link: MediaLink | None
) -> Download:
    async with context.database.transaction() as tx:
        stored = await tx.media.find_media(media_id, caller=caller)
    if stored is None:
        raise MediaNotFound(str(media_id))
    return Download(stored.media, link, context.store.stream(stored.key))
