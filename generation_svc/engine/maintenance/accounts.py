"""Watches accounts for the operator: their balances, and those that are gone.

A task can be read on the account that made it and on no other. If the settings name that account no
more, its callback may still come; else it ends with its job's finish deadline.
"""

from collections.abc import Sequence
from functools import partial

import structlog

from generation_svc.domain.account import Account
from generation_svc.domain.attempt import Attempt
from generation_svc.domain.error import ProviderError
from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine.batch import BATCH, one_by_one, one_by_one_found
from generation_svc.engine.poll import give_up
from generation_svc.lifecycle.dependencies import Dependencies

WATCH_SECONDS = 60.0
"""How often the accounts are looked at; of all replicas one asks the provider."""
_UNREAD = Failure.of(FailureReason.FINISH_DEADLINE)
_logger = structlog.get_logger(__name__)


async def watch_accounts(deps: Dependencies) -> bool:
    """Look at every account, and at the tasks of those that are gone; once is enough."""
    await one_by_one(deps.provider.accounts, partial(read_balance, deps))
    await show_balances(deps)
    await end_unreadable(deps)
    return False


async def read_balance(deps: Dependencies, account: Account) -> None:
    """Ask what an account has left, unless another replica just did."""
    async with deps.database.transaction() as tx:
        if not await tx.breaker.claim_balance(account, interval=deps.timing.balance_interval):
            return
    try:
        balance = await deps.provider.client.balance(account.name)
    except ProviderError as error:  # what it means, the next job finds out
        _logger.warning("the balance could not be read", account=str(account), error=repr(error))
        return
    async with deps.database.transaction() as tx:
        await tx.breaker.keep_balance(account, balance)


async def show_balances(deps: Dependencies) -> None:
    """Export the known balances of all accounts."""
    async with deps.database.transaction() as tx:
        balances = await tx.breaker.balances(deps.provider.accounts)
    for account, balance in balances.items():
        labels = account.provider, account.name
        deps.meter.account_balance.labels(*labels).set(float(balance))


async def end_unreadable(deps: Dependencies) -> None:
    """Warn of tasks that cannot be read, and end those that are late."""
    known, grace = deps.provider.accounts, deps.timing.unread_grace
    async with deps.database.transaction() as tx:
        unread = await tx.attempts.count_unread(readable=known)
    for account, tasks in unread.items():
        _logger.warning(
            "tasks cannot be read: the settings do not name their account",
            account=str(account),
            tasks=tasks,
        )

    async def find(tx: Transaction, last: Attempt | None) -> Sequence[Attempt]:
        return await tx.attempts.unreadable(
            readable=known, grace=grace, after=last.id if last else None, limit=BATCH
        )

    await one_by_one_found(deps, find, partial(_end, deps))


async def _end(deps: Dependencies, attempt: Attempt) -> None:
    async with deps.database.transaction() as tx:
        job = await tx.jobs.lock(attempt.job_id)
        await give_up(tx, job=job, attempt=attempt, failure=_UNREAD)
