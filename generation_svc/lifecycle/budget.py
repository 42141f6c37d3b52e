"""Waits for a call of the provider's budget, which all replicas share."""

import asyncio
from datetime import timedelta
from typing import Literal

from generation_svc.lifecycle.context import Context

LONGEST_NAP = timedelta(seconds=1)
"""The longest sleep between two looks at the budget."""


async def take(context: Context, budget: Literal["create", "read"], *, patience: timedelta) -> bool:
    """Take one call, waiting for it; False if none came free within the patience or we stop.

    The patience is shorter than the waiter's lease, so a call is not taken for work that
    somebody else has by then.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience.total_seconds()
    limits = context.limits
    limit, window = (
        (limits.creates_per_window, limits.create_window)
        if budget == "create"
        else (limits.reads_per_window, limits.read_window)
    )
    while True:
        async with context.database.transaction() as tx:
            wait = await tx.budget.take(budget, limit=limit, window=window)
        if not wait:
            return True
        if context.stopping.is_set() or loop.time() + wait.total_seconds() > deadline:
            return False
        await asyncio.sleep(min(wait, LONGEST_NAP).total_seconds())
