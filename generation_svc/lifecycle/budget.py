"""Waits for a call of the provider's budget, which all replicas share.

A call counts from the moment at which it was taken, and the provider counts from the one at which
it arrives. What was taken is therefore used within a slack or not at all, and the windows are that
much longer: however long a commit takes, no window of the provider holds too many.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from generation_svc.lifecycle.context import Context

LONGEST_NAP = timedelta(seconds=1)
"""The longest sleep between two looks at the budget."""
Budget = Literal["create", "read"]
SLACK: Mapping[Budget, timedelta] = MappingProxyType(
    {"create": timedelta(seconds=0.5), "read": timedelta(seconds=0.25)}
)
"""How long after it was taken a call may still be made."""


class Turn:
    """A call that was taken and has to be made soon."""

    def __init__(self, budget: Budget) -> None:
        self._ends_at = _now() + SLACK[budget].total_seconds()

    @property
    def is_over(self) -> bool:
        """Whether it is too late to make the call."""
        return _now() > self._ends_at


async def take(context: Context, budget: Budget, *, patience: timedelta) -> Turn | None:
    """Take one call, waiting for it; None if none came free within the patience or we stop.

    The patience is shorter than the waiter's lease, so a call is not taken for work that
    somebody else has by then.
    """
    deadline = _now() + patience.total_seconds()
    limit, window = _limit_of(context, budget)
    while True:
        turn = Turn(budget)
        async with context.database.transaction() as tx:
            wait = await tx.budget.take(budget, limit=limit, window=window)
        if not wait and not turn.is_over:
            return turn
        if context.stopping.is_set() or _now() + wait.total_seconds() > deadline:
            return None
        await asyncio.sleep(min(wait, LONGEST_NAP).total_seconds())


def _limit_of(context: Context, budget: Budget) -> tuple[int, timedelta]:
    limits = context.limits
    if budget == "create":
        return limits.creates_per_window, limits.create_window + SLACK[budget]
    return limits.reads_per_window, limits.read_window + SLACK[budget]


def _now() -> float:
    return asyncio.get_running_loop().time()
