"""Blocks an owner, or lifts that."""

from dataclasses import dataclass

import structlog

from generation_svc.domain.caller import Caller
from generation_svc.domain.ledger import Wallet
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Block:
    """What an operator decided about an owner."""

    owner: str
    is_blocked: bool
    reason: str


async def block_owner(deps: Dependencies, caller: Caller, *, block: Block) -> Wallet:
    """Block an owner or lift that, from the next job on. Raises MoneyOff.

    The acceptance reads it with the wallet, so it holds in all replicas when this returns.
    """
    check_money(deps)
    async with deps.database.transaction() as tx:
        await tx.ledger.lock([block.owner])
        reason = block.reason if block.is_blocked else ""
        await tx.ledger.block(block.owner, is_blocked=block.is_blocked, reason=reason)
        wallet = await tx.ledger.wallet(block.owner)
    words = "an owner was blocked" if block.is_blocked else "an owner was unblocked"
    _logger.warning(words, owner=block.owner, actor=caller.name, reason=block.reason)
    return wallet
