"""Keeps the lease of a fetch while it runs, however long its files take.

A claim is known by its try: whoever claims the same attempt later has another number. Where the
lease turns out to be somebody else's, after a database that was away or a process that stood still,
the fetch ends: the other one does the same work, in another place in the store.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import structlog

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.error import Unavailable
from generation_svc.lifecycle.dependencies import Dependencies

RENEWALS_PER_LEASE = 3
_T = TypeVar("_T")
_logger = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """Another worker has the fetch, or nobody needs it any longer."""


async def under_lease(deps: Dependencies, attempt: Attempt, *, work: Awaitable[_T]) -> _T:
    """Do the work while its lease is renewed; raises LeaseLost when there is none to renew."""
    working = asyncio.ensure_future(work)
    renewing = asyncio.create_task(_renew(deps, attempt), name="fetch lease")
    try:
        # Whichever ends first ends the other: without a lease the bytes would be fetched twice.
        await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            renewing.result()
            raise LeaseLost
        return working.result()
    finally:
        working.cancel()
        renewing.cancel()
        await asyncio.gather(working, renewing, return_exceptions=True)


async def _renew(deps: Dependencies, attempt: Attempt) -> None:
    """Renew the lease until it is lost; without the database nobody else can claim it either."""
    lease, is_ours = deps.timing.fetch_lease, True
    while is_ours:
        await asyncio.sleep(lease.total_seconds() / RENEWALS_PER_LEASE)
        try:
            async with deps.database.transaction() as tx:
                is_ours = await tx.attempts.renew_fetch(attempt, lease=lease)
        except Unavailable as error:
            _logger.warning("a lease could not be renewed", error=str(error))
