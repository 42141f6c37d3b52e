"""Reads what an owner has, and how it came to that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.clock import day_after, day_of, month_after, month_of
from generation_svc.domain.ledger import Transfer, Wallet
from generation_svc.domain.top_up import TopUp
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_owner


@dataclass(frozen=True, slots=True)
class FreeAllowance:
    """How many jobs of free models an owner may start in a day."""

    daily_count: int
    remaining_count: int
    reset_time: datetime
    """When all of them are there again."""


@dataclass(frozen=True, slots=True)
class CreditLimit:
    """How many credits beyond its balance a wallet may use in a month."""

    monthly_credits: int
    remaining_credits: int
    reset_time: datetime
    """When all of them are there again."""


async def read_wallet(deps: Dependencies, caller: Caller, *, owner: str) -> Wallet:
    """Return what an owner has. Raises PermissionDenied and MoneyOff."""
    check_owner(deps, caller, owner=owner)
    return await deps.database.read(lambda tx: tx.ledger.wallet(owner))


async def read_allowance(deps: Dependencies, caller: Caller, *, owner: str) -> FreeAllowance | None:
    """Return what is left of an owner's free jobs of today; None where that has no limit.

    They are counted for each caller, as its jobs are; so one that only pays is told of none.
    """
    daily_count = deps.limits.daily_free_jobs_per_owner
    if daily_count is None or not caller.acts_for(owner):
        return None
    now = deps.database.now()
    used = await deps.database.read(
        lambda tx: tx.acceptance.free_jobs(owner, caller=caller.name, day=day_of(now))
    )
    return FreeAllowance(daily_count, max(0, daily_count - used), day_after(now))


def credit_limit(deps: Dependencies, caller: Caller, *, wallet: Wallet) -> CreditLimit | None:
    """Return what the wallet that pays for a caller may still owe; None where it may not."""
    if wallet.owner != caller.wallet or not caller.monthly_credits:
        return None
    now = deps.database.now()
    is_current = wallet.lent_month is not None and wallet.lent_month >= month_of(now)
    left = max(0, caller.monthly_credits - (wallet.lent if is_current else 0))
    return CreditLimit(caller.monthly_credits, left, month_after(now))


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
