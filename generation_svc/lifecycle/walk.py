"""Walks through the whole media store slowly, a piece at a time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from generation_svc.domain.port.media import ByteStore, StoredBytes

PREFIXES = ("result/", "upload/", "unfinished/")


class Walk:
    """The progress of one walk."""

    def __init__(self) -> None:
        self._pieces: AsyncIterator[Sequence[StoredBytes]] | None = None
        self._rests_until = float("-inf")

    async def next(self, store: ByteStore, *, rest: timedelta) -> Sequence[StoredBytes]:
        """Return the next piece; nothing at the end, and while it rests before it begins again."""
        time = asyncio.get_running_loop().time()
        if time < self._rests_until:
            return ()
        pieces, self._pieces = self._pieces or _all(store), None  # a walk that fails begins anew
        piece = await anext(pieces, None)
        if piece is None:
            self._rests_until = time + rest.total_seconds()
            return ()
        self._pieces = pieces
        return piece


async def _all(store: ByteStore) -> AsyncIterator[Sequence[StoredBytes]]:
    for prefix in PREFIXES:
        async for piece in store.list(prefix):
            yield piece
