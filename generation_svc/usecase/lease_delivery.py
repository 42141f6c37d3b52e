"""Leases deliveries, and records how sending them ended."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from generation_svc.domain.caller import Caller
from generation_svc.domain.delivery import Delivery, SendingOutcome
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.forecast import with_forecast
from runtime.wait import Deadline, is_set_within

LOOK_INTERVAL = 2.0
"""Seconds between two looks while waiting: leases expire without a notification."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose deliveries are leased: a bot's, or the caller's own feed's."""

    caller: Caller
    bot_id: int | None
    queue: str | None
    limit: int
    span: timedelta


async def lease(deps: Dependencies, wanted: Wanted, *, wait: timedelta) -> Sequence[Delivery]:
    """Lease due deliveries, waiting for the first one. Raises PermissionDenied."""
    if wanted.bot_id is not None:
        wanted.caller.require_bot(wanted.bot_id)
    deadline = Deadline(wait.total_seconds())
    with deps.database.watch(_topic(wanted)) as news:
        while True:
            # Cleared before looking, so that news which comes meanwhile is not lost.
            news.clear()
            deliveries = await _lease_now(deps, wanted)
            if deliveries or deadline.is_over:
                return deliveries
            await is_set_within(news, min(deadline.left_s, LOOK_INTERVAL))


async def begin(
    deps: Dependencies,
    lease_token: str,
    *,
    sender: Caller | None = None,
    span: timedelta | None = None,
) -> datetime:
    """Note that sending starts, and return when the lease ends now. Raises StaleLease.

    The token proves the lease, in the hands of a caller that may have it: None is the service.
    """
    async with deps.database.transaction() as tx:
        return await tx.deliveries.begin(lease_token, sender=sender, span=span)


async def report(
    deps: Dependencies,
    lease_token: str,
    *,
    outcome: SendingOutcome,
    sender: Caller | None = None,
) -> None:
    """Note how sending ended. Raises StaleLease, PauseTooLong."""
    async with deps.database.transaction() as tx:
        await tx.deliveries.report(lease_token, outcome, sender=sender)


async def _lease_now(deps: Dependencies, wanted: Wanted) -> Sequence[Delivery]:
    """Lease what is due; what was leased to a caller that has gone meanwhile is given back."""
    leasing = asyncio.ensure_future(_take_due(deps, wanted))
    try:
        return await asyncio.shield(leasing)
    except asyncio.CancelledError:
        await asyncio.wait({leasing})
        if not leasing.cancelled() and not leasing.exception():
            await give_back(deps, wanted, deliveries=leasing.result())
        raise


async def _with_forecast(deps: Dependencies, delivery: Delivery) -> Delivery:
    return replace(delivery, job=await with_forecast(deps, delivery.job))


async def give_back(deps: Dependencies, wanted: Wanted, *, deliveries: Sequence[Delivery]) -> None:
    """Let others lease at once what was leased and never handed out."""
    async with deps.database.transaction() as tx:
        for delivery in deliveries:
            await tx.deliveries.give_back(delivery.lease_token)
        tx.announce(_topic(wanted))


async def _take_due(deps: Dependencies, wanted: Wanted) -> Sequence[Delivery]:
    async with deps.database.transaction() as tx:
        deliveries = await tx.deliveries.lease(
            bot_id=wanted.bot_id,
            queue=wanted.queue,
            caller=wanted.caller.name,
            limit=wanted.limit,
            span=wanted.span,
        )
    return tuple([await _with_forecast(deps, delivery) for delivery in deliveries])


def _topic(wanted: Wanted) -> str:
    if wanted.bot_id is not None:
        return topic.of_bot(wanted.bot_id)
    return topic.of_queue(wanted.queue or "", caller=wanted.caller.name)
