"""The breaker before the provider, shared by all replicas through the database.

Open, it lets one probe through at a time: first the harmless look at the balance, then one real
job. What becomes of that job closes the breaker or keeps it open; the other jobs stay queued.
"""

from enum import StrEnum

import structlog

from generation_svc.domain.error import (
    ProviderAccount,
    ProviderBusy,
    ProviderError,
    ProviderMaintenance,
)
from generation_svc.domain.job import DelayReason
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.dependencies import Dependencies

FAULTS_TO_TRIP = 3
"""How many transport errors in a row open the breaker."""
_logger = structlog.get_logger(__name__)


class Permit(StrEnum):
    """What the breaker lets a dispatcher do."""

    ALL = "all"
    PROBE = "probe"
    """Send one job, and conclude."""
    NONE = "none"


async def ask(deps: Dependencies) -> Permit:
    """Return what is allowed now; an open breaker is probed when it is time."""
    async with deps.database.transaction() as tx:
        breaker = await tx.budget.breaker()
        if breaker.reason is None:
            return Permit.ALL
        if not await tx.budget.claim_probe(interval=deps.timing.submit_lease):
            return Permit.NONE
    return Permit.PROBE if await _has_credits(deps) else Permit.NONE


async def conclude(deps: Dependencies, *, is_answered: bool) -> None:
    """End a probe: with no word on a job the look at the balance counts."""
    async with deps.database.transaction() as tx:
        if is_answered:
            await tx.budget.end_probe(interval=deps.timing.probe_interval)
        else:
            await close(tx)


async def close(tx: Transaction) -> None:
    """Note that the provider works; what was put off while it did not is due at once."""
    if await tx.budget.close_breaker():
        await tx.queue.hasten_postponed()
        tx.announce(topic.DISPATCH)
        _logger.info("the provider answers again")


async def count_fault(deps: Dependencies, tx: Transaction, *, error: ProviderError) -> None:
    """Let an error that concerns every job open the breaker; a "not now" shows a provider."""
    if isinstance(error, ProviderBusy):
        await close(tx)
        return
    await tx.budget.trip(
        delay_of(error),
        threshold=1 if concerns_account(error) else FAULTS_TO_TRIP,
        interval=deps.timing.probe_interval,
    )


def concerns_account(error: ProviderError) -> bool:
    """Return whether the provider itself said that it does nothing for us now."""
    return isinstance(error, ProviderAccount | ProviderMaintenance)


def delay_of(error: ProviderError) -> DelayReason:
    """Return what users and operators are told while this error lasts."""
    if isinstance(error, ProviderAccount):
        return DelayReason.PROVIDER_ACCOUNT
    if isinstance(error, ProviderMaintenance):
        return DelayReason.PROVIDER_MAINTENANCE
    return DelayReason.PROVIDER_UNREACHABLE


async def _has_credits(deps: Dependencies) -> bool:
    try:
        if await deps.provider.client.credits() > 0:
            return True
        error: ProviderError = ProviderAccount("The account has no credits.")
    except ProviderError as fault:
        error = fault
    async with deps.database.transaction() as tx:
        await tx.budget.trip(delay_of(error), threshold=1, interval=deps.timing.probe_interval)
    return False
