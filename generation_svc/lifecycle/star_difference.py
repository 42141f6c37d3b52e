"""Finds where Telegram's list of Stars and the ledger differ."""

from collections.abc import Sequence
from datetime import datetime

from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.star import (
    NANO,
    StarDifference,
    StarDirection,
    StarState,
    StarTransaction,
)

MOST_DIFFERENCES = 100
"""How many are found at once."""


async def star_differences(
    tx: Transaction, *, limit: int = MOST_DIFFERENCES
) -> Sequence[StarDifference]:
    """Return each difference, and that of the sums where no single one explains it."""
    found = await tx.stars.differences(limit=limit)
    if len(found) >= limit or any(each.transaction.state is StarState.MISSING for each in found):
        return found
    return [*found, *await _of_balances(tx, time=tx.now())]


async def _of_balances(tx: Transaction, *, time: datetime) -> list[StarDifference]:
    booked, listed = await tx.stars.balances()
    if booked == listed:
        return []
    words = f"the ledger has {booked / NANO:.9f} Stars of all bots, and Telegram's lists"
    amount, nano = divmod(abs(booked - listed), NANO)
    whole = StarTransaction(0, "balance", StarDirection.IN, amount, time, nano=nano)
    return [StarDifference(whole, f"{words} come to {listed / NANO:.9f}")]
