"""Gives top-ups and refunds the numbers of their receipts, without gaps.

A number that is taken within a payment's own transaction would be lost with it, or make every
payment wait for every other. So numbers are given afterwards, by one replica at a time, in the
order in which the money came and went; a replica that is killed gave all of a batch or nothing.
"""

from generation_svc.engine.batch import BATCH
from generation_svc.lifecycle.dependencies import Dependencies


async def number_receipts(deps: Dependencies) -> bool:
    """Give numbers to what has none; return whether there may be more."""
    if deps.money.mode is None:
        return False
    async with deps.database.transaction() as tx:
        given = await tx.top_ups.number_receipts(limit=BATCH)
    return given is not None and given >= BATCH
