"""The breaker before each account, shared by all replicas through the database.

Open, it lets one probe through at a time: first the harmless look at the balance, then one real
job. What becomes of that job closes the breaker or keeps it open; the other jobs go to the accounts
whose breakers are closed, and stay queued where there is none.
"""

from datetime import timedelta

import structlog

from generation_svc.domain.account import Account
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


async def claim_probe(deps: Dependencies, account: Account) -> bool:
    """Take the right to the one probe of an open breaker, if it is due."""
    async with deps.database.transaction() as tx:
        return await tx.breaker.claim_probe(account, interval=deps.timing.submit_lease)


async def has_balance(deps: Dependencies, account: Account) -> bool:
    """Look at the balance of a probed account; return whether a job may try it."""
    error: ProviderError = ProviderAccount("The account has no credits.")
    try:
        balance = await deps.provider.client.balance(account.name)
    except ProviderError as fault:
        error, balance = fault, None
    async with deps.database.transaction() as tx:
        if balance is not None:
            await tx.breaker.keep_balance(account, balance)
        if balance is None or balance <= 0:
            interval = deps.timing.probe_interval
            await tx.breaker.trip(account, reason=delay_of(error), threshold=1, interval=interval)
            tx.announce(topic.ACCOUNT)  # the next probe is due earlier than claimers know
    return balance is not None and balance > 0


async def is_open(tx: Transaction, account: Account) -> bool:
    """Return whether an account is not to be used now."""
    states = await tx.breaker.states((account,))
    return states[account].reason is not None


async def reason_to_wait(deps: Dependencies, tx: Transaction) -> DelayReason | None:
    """Return why no account at all can be used; None while one can.

    While replicas are given another account one after the other, some of them know it and some do
    not: jobs would be told now this, now that.
    """
    states = await tx.breaker.states(deps.provider.accounts)
    reasons = [state.reason for state in states.values()]
    if not all(reasons):
        return None
    known = await tx.breaker.recent(within=deps.timing.balance_interval * 3)
    others = await tx.breaker.states([each for each in known if each not in states])
    # The accounts that only other replicas know count, too: jobs go there.
    return reasons[0] if all(state.reason for state in others.values()) else None


async def conclude(deps: Dependencies, account: Account, *, is_answered: bool) -> None:
    """End a probe: with no word on a job the look at the balance counts."""
    async with deps.database.transaction() as tx:
        if is_answered:
            await tx.breaker.end_probe(account, interval=deps.timing.probe_interval)
            tx.announce(topic.ACCOUNT)  # the next probe is due earlier than claimers know
        else:
            await close(tx, account)


async def close(tx: Transaction, account: Account) -> None:
    """Note that an account works; what was put off while it did not is due at once."""
    if await tx.breaker.close(account):
        await tx.queue.hasten_postponed()
        tx.announce(topic.ACCOUNT)
        _logger.info("the provider answers again", account=str(account))


async def count_fault(
    deps: Dependencies, tx: Transaction, *, error: ProviderError, account: Account
) -> None:
    """Let an error that concerns every job of an account open its breaker.

    A "not now" shows that there is a provider.
    """
    if isinstance(error, ProviderBusy):
        await close(tx, account)
        return
    await tx.breaker.trip(
        account,
        reason=delay_of(error),
        threshold=1 if concerns_account(error) else FAULTS_TO_TRIP,
        interval=deps.timing.probe_interval,
    )
    if concerns_account(error):
        tx.announce(topic.ACCOUNT)  # other accounts go on with what this one leaves


def retry_after(deps: Dependencies, *, otherwise: timedelta) -> timedelta:
    """Return when a job is due again whose account is of no use: at once, if there is another."""
    return timedelta(0) if len(deps.provider.accounts) > 1 else otherwise


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
