"""Waits for a call of an account's budget, which all replicas share.

A call counts from the moment at which it was taken, and the provider counts from the one at which
it arrives. So a call that leaves much later than it was taken, since a commit took long, is counted
anew while it is made; one that is very late is not made. One that is answered late may have arrived
late, since a connection took seconds: it is counted anew when it is over. However slow the database
or the network is, no window at the provider holds too many.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Literal

import structlog

from generation_svc.domain.account import Account
from generation_svc.domain.error import Unavailable
from generation_svc.engine.persist import persist
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.clock import loop_time
from runtime.wait import Deadline, is_set_within

MAX_WAIT = timedelta(seconds=1)
"""The longest sleep between two looks at the budget."""
Budget = Literal["create", "read"]
_logger = structlog.get_logger(__name__)
LATE = timedelta(seconds=0.05)
"""How late a call may leave and still count from when it was taken."""
SLOW = timedelta(seconds=1)
"""How long a call may take, from when it was taken, and still have arrived at its beginning."""
MARGIN = timedelta(seconds=0.15)
"""The least that a window is longer by: being late by that much, and the way out of here."""
MARGIN_SHARE = 0.05
"""Of a long window it is this much: a busy machine takes its time between two instructions."""


class RatePermit:
    """A call that was taken."""

    def __init__(self, budget: Budget, *, account: Account, window: timedelta) -> None:
        self.budget, self.account, self.window = budget, account, window
        self._ends_at = loop_time() + window.total_seconds() / 2
        self._taken_at = loop_time()

    @property
    def age(self) -> timedelta:
        """The time since it was asked for, which is a little more than since it was taken."""
        return timedelta(seconds=loop_time() - self._taken_at)

    @property
    def is_over(self) -> bool:
        """Whether it is too late to make the call."""
        return loop_time() > self._ends_at


async def reserve(
    deps: Dependencies, budget: Budget, *, account: Account, max_wait: timedelta
) -> RatePermit | None:
    """Take one call, waiting for it; None if none came free within the longest wait or we stop.

    The longest wait is shorter than the waiter's lease, so a call is not taken for work that
    somebody else has by then.
    """
    deadline = Deadline(max_wait.total_seconds())
    limit, window = limit_of(deps, budget)
    while True:
        # Made before the transaction, so that its age includes the time that the commit takes.
        permit = RatePermit(budget, account=account, window=window)
        async with deps.database.transaction() as tx:
            wait = await tx.rate_budget.take(budget, account=account, limit=limit, window=window)
        if not wait and not permit.is_over:
            return permit
        if deps.stopping.is_set() or wait.total_seconds() > deadline.left_s:
            return None
        await sleep_until_due(deps, wait)


async def sleep_until_due(deps: Dependencies, wait: timedelta) -> None:
    """Sleep until it is worth looking again, or the service stops."""
    await is_set_within(deps.stopping, min(wait, MAX_WAIT).total_seconds())


@asynccontextmanager
async def making(deps: Dependencies, permit: RatePermit) -> AsyncIterator[None]:
    """Make the call in this block; if it is late, or answered late, it counts from then."""
    # Beside the call and not before it: waiting for another commit would only make it later.
    counting = asyncio.create_task(_count_anew(deps, permit)) if permit.age > LATE else None
    try:
        yield
    finally:
        if counting:
            await asyncio.wait([counting])
        if permit.age > SLOW:
            await _count_anew(deps, permit)


async def _count_anew(deps: Dependencies, permit: RatePermit) -> None:
    """Count a late call from now; without the database no further call can be taken."""

    async def record() -> None:
        async with deps.database.transaction() as tx:
            await tx.rate_budget.delay(permit.budget, account=permit.account, window=permit.window)

    try:
        await persist(record)
    except Unavailable as error:
        _logger.warning("a late call counts from when it was taken", error=str(error))


def limit_of(deps: Dependencies, budget: Budget) -> tuple[int, timedelta]:
    """Return how many calls a budget allows, and in which window."""
    limits = deps.limits
    if budget == "create":
        return limits.creates_per_window, _lengthened(limits.create_window)
    return limits.reads_per_window, _lengthened(limits.read_window)


def _lengthened(window: timedelta) -> timedelta:
    return window + max(MARGIN, window * MARGIN_SHARE)
