"""Chooses the account that a job is sent on, by free capacity."""

from collections.abc import Sequence
from datetime import timedelta

from generation_svc.domain.account import Account, AccountLoad
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine import rate_budget
from generation_svc.lifecycle.dependencies import Dependencies


async def free_accounts(
    deps: Dependencies, tx: Transaction, *, accounts: Sequence[Account]
) -> tuple[list[Account], timedelta]:
    """Return the accounts that can take a job now, the one with most left first.

    If none can, the time is told until one can; zero means that a task has to end first. Other
    dispatchers wait until the transaction is over, so none of them counts on the same place.
    """
    loads = await tx.queue.loads(accounts, lease=deps.timing.submit_lease)
    left: dict[Account, int] = {}
    waits: list[timedelta] = []
    for account in accounts:
        load = loads.get(account, AccountLoad())
        places = deps.limits.active_tasks - load.active
        if places <= 0:
            continue
        budget = await rate_budget.look(deps, tx, account=account, ahead=load.claims)
        if budget.wait:
            waits.append(budget.wait)
        else:
            left[account] = min(places, budget.free - load.claims)
    free = sorted(left, key=left.__getitem__, reverse=True)
    return free, timedelta(0) if free else min(waits, default=timedelta(0))
