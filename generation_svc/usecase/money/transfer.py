"""Moves credits, all of what belongs together or nothing."""

from collections.abc import Sequence

from generation_svc.domain.ledger import Transfer
from generation_svc.domain.port.transaction import Transaction


async def move_all(tx: Transaction, transfers: Sequence[Transfer]) -> None:
    """Write transfers none of which was written before; else the transaction is undone.

    A state that says what moved stands beside them: a payment must not go back and its credits
    stay, and a row must not say imported if its credits did not move.
    """
    written = await tx.ledger.move(transfers)
    if written != len(transfers):
        raise RuntimeError(f"{len(transfers) - written} transfers were there already")
