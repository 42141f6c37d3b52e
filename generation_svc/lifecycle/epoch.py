"""Keeps the epoch of the money in database and media store alike, and closes sales if they differ.

The database names the next epoch first, then it is written to the media store, then it holds: one
that is killed in between leaves a store that has either of the two.
"""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from tempfile import mkstemp

import structlog

from generation_svc.domain.epoch import (
    EpochState,
    ForeignStore,
    KnownEpoch,
    StoredEpoch,
    parse_epoch,
)
from generation_svc.domain.error import MediaNotFound, Unavailable
from generation_svc.domain.port.media import ByteStore
from generation_svc.domain.port.transaction import Database, Transaction

KEY = "epoch"
READ_SECONDS = 10.0
"""How long the media store may take, while the database's row is locked."""
MOST_BYTES = 1024
_logger = structlog.get_logger(__name__)


async def watch_epoch(database: Database, store: ByteStore) -> EpochState:
    """Begin the next epoch if money moved, and close sales if the two differ.

    Raises Unavailable where the media store does not answer, and ForeignStore where it belongs to
    another database: nothing of it is touched.
    """
    if await _is_settled(database, store):
        return EpochState.HELD
    async with database.transaction() as tx:
        known = await tx.epochs.lock()
        if known is None:
            return EpochState.HELD
        # Within the lock: the next epoch, once it is in the store, cannot become this one.
        stored = await read_epoch(store)
        if stored and known.is_foreign(stored):
            raise ForeignStore(stored.origin)
        if known.restored or not known.fits(stored):
            await _close(tx, known, reason=known.difference(stored))
            return EpochState.DIFFERENT
        following = await tx.epochs.name_next(known.series) if known.is_due else None
    if following is None:
        return EpochState.HELD
    await begin_epoch(database, store, following=following)
    return EpochState.BEGUN


async def _is_settled(database: Database, store: ByteStore) -> bool:
    """Return whether there is nothing to be done: what agrees without a lock agrees.

    A replica at rest asks every few seconds. Where the two differ, it may be that the next epoch
    began in between, so that is looked at again within the lock.
    """
    known = await database.read(lambda tx: tx.epochs.get())
    if known is None or known.restored or known.is_due:
        return False
    stored = await read_epoch(store)
    return known.fits(stored) and not (stored and known.is_foreign(stored))


async def begin_epoch(database: Database, store: ByteStore, *, following: StoredEpoch) -> None:
    """Write an epoch that the database has named already, and let it hold, unless that was done."""
    async with database.transaction() as tx:
        known = await tx.epochs.lock()
        # Within the lock: whoever writes slowly must not write over a later epoch.
        if known and known.next_epoch == following.epoch:
            await _write(store, following)
            await tx.epochs.begin(following)


async def take_store(database: Database, store: ByteStore) -> None:
    """Let a database take over what belongs to another one, as if it was an older state of it."""
    async with database.transaction() as tx:
        known, stored = await tx.epochs.lock(), await read_epoch(store)
        if known and stored and known.is_foreign(stored):
            await _close(tx, known, reason=known.difference(stored))
            await _write(store, replace(stored, origin=""))


async def start_over(database: Database, store: ByteStore) -> int | None:
    """Begin a new epoch, and a new series of receipts, in a database that was restored.

    It returns the series, or None if another recovery has begun it. What is killed in between
    leaves a store that does not fit a database that has to be recovered still.
    """
    async with database.transaction() as tx:
        known = await tx.epochs.lock()
        if known is None or known.restored is None:
            return None
        stored = await read_epoch(store)
        following = await tx.epochs.name_next(max(known.series, stored.series if stored else 0) + 1)
        await _write(store, following)
        await tx.epochs.begin(following)
        await tx.epochs.end_recovery()
        return following.series


async def _close(tx: Transaction, known: KnownEpoch, *, reason: str) -> None:
    if known.restored is None:
        await tx.epochs.close_restored(reason)
    _logger.error("sales are closed", reason=known.restored.reason if known.restored else reason)


async def read_epoch(store: ByteStore) -> StoredEpoch | None:
    """Read what the media store has; None if it has none that is whole. Raises Unavailable."""
    data = b""
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for piece in store.stream(KEY):
                data += piece
                if len(data) > MOST_BYTES:
                    break
    except MediaNotFound:
        return None
    except TimeoutError as error:
        raise Unavailable("The media store does not answer.") from error
    try:
        return parse_epoch(data.decode())
    except ValueError:
        _logger.warning("the epoch in the media store is none", size_bytes=len(data))
        return None


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
