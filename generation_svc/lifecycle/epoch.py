"""Keeps the epoch of the money in database and media store alike, and closes sales if they differ.

The database names the next epoch first, then it is written to the media store, then it holds: one
that is killed in between leaves a store that has either of the two.
"""

import asyncio
import os
from pathlib import Path
from tempfile import mkstemp

import structlog

from generation_svc.domain.epoch import KnownEpoch, StoredEpoch, parse_epoch
from generation_svc.domain.error import MediaNotFound
from generation_svc.domain.port.media import ByteStore
from generation_svc.domain.port.transaction import Database

KEY = "epoch"
READ_SECONDS = 10.0
"""How long the media store may take, while the database's row is locked."""
MOST_BYTES = 1024
_logger = structlog.get_logger(__name__)


async def watch_epoch(database: Database, store: ByteStore) -> bool:
    """Begin the next epoch if money moved; return False, with sales closed, if they differ.

    Raises Unavailable where the media store does not answer.
    """
    async with database.transaction() as tx:
        known = await tx.money.lock_epoch()
        if known is None:
            return True
        # Within the lock: the next epoch, once it is in the store, cannot become this one.
        is_ours = known.restored is None and known.fits(await read_epoch(store))
        if not is_ours:
            await tx.money.close_restored()
            _logger.error("sales are closed: the database is older than the media store")
            return False
        following = await tx.money.name_epoch(known.series) if known.is_due else None
    if following:
        await begin_epoch(database, store, following=following)
    return True


async def begin_epoch(database: Database, store: ByteStore, *, following: StoredEpoch) -> None:
    """Write an epoch that the database has named already, and let it hold."""
    await _write(store, following)
    async with database.transaction() as tx:
        await tx.money.begin_epoch(following)


async def start_over(database: Database, store: ByteStore) -> KnownEpoch:
    """Begin a new epoch, and a new series of receipts, in a database that was restored."""
    async with database.transaction() as tx:
        known = await tx.money.lock_epoch()
        assert known is not None  # it was restored, and so has money
        stored = await read_epoch(store)
        series = max(known.series, stored.series if stored else 0) + 1
        following = await tx.money.name_epoch(series)
    await _write(store, following)
    async with database.transaction() as tx:
        await tx.money.begin_epoch(following)
        await tx.money.end_recovery()
        now_known = await tx.money.lock_epoch()
    assert now_known is not None
    return now_known


async def read_epoch(store: ByteStore) -> StoredEpoch | None:
    """Read what the media store has; None if it has none. Raises Unavailable and ValueError."""
    data = b""
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for piece in store.stream(KEY):
                data += piece
                if len(data) > MOST_BYTES:
                    break
    except MediaNotFound:
        return None
    return parse_epoch(data.decode())


async def _write(store: ByteStore, epoch: StoredEpoch) -> None:
    path = await asyncio.to_thread(_written, epoch.text())
    try:
        await store.put_file(KEY, path)
    finally:
        await asyncio.to_thread(path.unlink)


def _written(text: str) -> Path:
    number, name = mkstemp(prefix="atelier-epoch-")
    with os.fdopen(number, "w") as file:
        file.write(text)
    return Path(name)
