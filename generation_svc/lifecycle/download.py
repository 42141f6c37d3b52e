"""Gives the bytes of a result."""

from collections.abc import AsyncIterator
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import MediaNotFound
from generation_svc.domain.job import Media
from generation_svc.lifecycle.context import Context


async def download(
    context: Context, caller: Caller, *, media_id: UUID
) -> tuple[Media, AsyncIterator[bytes]]:
    """Return media of this caller and its bytes in pieces. Raises MediaNotFound."""
    async with context.database.transaction() as tx:
        stored = await tx.media.find_media(media_id, caller=caller.name)
    if stored is None:
        raise MediaNotFound(str(media_id))
    return stored.media, context.store.stream(stored.key)
