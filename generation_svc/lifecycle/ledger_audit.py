"""Checks the whole ledger, a piece at a time, so that nobody waits for it."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from generation_svc.domain.ledger_audit import MOST_DIFFERENCES, Difference, LedgerReport, Piece
from generation_svc.domain.port.transaction import Database

PIECE = 1000
"""How many rows of a part are looked at with one statement."""


async def check_ledger(
    database: Database,
    *,
    piece: int = PIECE,
    rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> LedgerReport:
    """Look at all of the ledger, and return what is not as it must be."""
    found: list[Difference] = []
    counts: dict[str, int] = {}
    for part in await _parts(database):
        counts[part], after = 0, None
        while True:
            start = monotonic()
            seen = await _look(database, part, after=after, piece=piece)
            counts[part] += seen.count
            found += seen.differences
            after = seen.last
            if after is None or len(found) >= MOST_DIFFERENCES:
                break
            if seen.count == piece:  # there may be many: half of the time is left to others
                await rest(monotonic() - start)
    return LedgerReport(tuple(found[:MOST_DIFFERENCES]), counts)


async def _parts(database: Database) -> tuple[str, ...]:
    async with database.transaction() as tx:
        return tuple(tx.audit.parts)


async def _look(database: Database, part: str, *, after: str | None, piece: int) -> Piece:
    async with database.transaction() as tx:
        return await tx.audit.look(part, after=after, limit=piece)
