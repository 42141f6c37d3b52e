"""Reads what an owner has, and how it came to that."""

from collections.abc import Sequence
from uuid import UUID

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.ledger import Transfer, Wallet
from generation_svc.domain.money_error import (
    MoneyOff,
)
from generation_svc.domain.top_up import TopUp
from generation_svc.lifecycle.dependencies import Dependencies


def check_money(deps: Dependencies) -> None:
    """Raise MoneyOff where nothing is sold."""
    if deps.money.mode is None:
        raise MoneyOff


def check_owner(deps: Dependencies, caller: Caller, *, owner: str) -> None:
    """Raise PermissionDenied for somebody else's owner, and MoneyOff where nothing is sold.

    Operators see every owner, and a caller the one that pays for it.
    """
    if Scope.WALLET_OPERATE not in caller.scopes and owner != caller.wallet:
        caller.require_owner(owner)
    check_money(deps)


async def read_wallet(deps: Dependencies, caller: Caller, *, owner: str) -> Wallet:
    """Return what an owner has. Raises PermissionDenied and MoneyOff."""
    check_owner(deps, caller, owner=owner)
    return await deps.database.read(lambda tx: tx.ledger.wallet(owner))


async def list_transfers(
    deps: Dependencies, caller: Caller, *, owner: str, before: int | None, limit: int
) -> Sequence[Transfer]:
    """Return an owner's transfers, the newest first. Raises PermissionDenied and MoneyOff."""
    check_owner(deps, caller, owner=owner)
    return await deps.database.read(
        lambda tx: tx.ledger.transfers(owner, before=before, limit=limit)
    )


async def list_top_ups(
    deps: Dependencies, caller: Caller, *, owner: str, after: UUID | None, limit: int
) -> Sequence[TopUp]:
    """Return an owner's top-ups, the newest first. Raises PermissionDenied and MoneyOff."""
    check_owner(deps, caller, owner=owner)
    return await deps.database.read(lambda tx: tx.top_ups.page(owner, after=after, limit=limit))
