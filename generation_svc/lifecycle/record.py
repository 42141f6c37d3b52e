"""Writes the revisions of a job, and its last one; no other code changes a job.

Both are part of a transaction that holds the job's lock. A settlement is one transaction: state,
event, money, delivery. A result that was charged is therefore a result that we hold.
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from generation_svc.domain.delivery import DeliveryKind, Telegram
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import Failure
from generation_svc.domain.job import Job, JobState, Result
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.transition import advance
from generation_svc.lifecycle import charge, topic

AT_ONCE = timedelta(0)


async def revise(
    tx: Transaction,
    job: Job,
    *,
    event: JobEventKind,
    detail: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Job:
    """Write the next revision of a locked job and let those who show it know."""
    revised = await _save(tx, job, event=event, detail=detail, **changes)
    await show_progress(tx, revised, due=AT_ONCE)
    return revised


async def settle(
    tx: Transaction,
    job: Job,
    outcome: Result | Failure,
    *,
    event: JobEventKind,
    cost: Decimal | None = None,
) -> Job:
    """Write the last revision of a locked job, and its outcome as a delivery.

    It is charged for a result, by what the provider took for it where that decides; what is held
    for it comes back with a failure.
    """
    changes: dict[str, Any]
    # Before the revision, which the database refuses to whoever leaves a hold open.
    if isinstance(outcome, Result):
        charged = await charge.capture(tx, job, outcome, cost=cost)
        changes = {"state": JobState.SUCCEEDED, "result": outcome}
    else:
        charged = await charge.release(tx, job)
        changes = {"state": JobState.FAILED, "failure": outcome}
    settled = await _save(
        tx, job, event=event, delay_reason=None, charged_credits=charged, **changes
    )
    destination = await tx.jobs.destination(job.id)
    if destination:
        await tx.deliveries.add(
            settled, kind=DeliveryKind.OUTCOME, destination=destination, due=AT_ONCE
        )
        tx.announce(topic.of_destination(destination, caller=job.caller))
    return settled


async def show_progress(tx: Transaction, job: Job, *, due: timedelta) -> None:
    """Have the progress message show the job as it is, if there is one."""
    destination = await tx.jobs.destination(job.id)
    if isinstance(destination, Telegram) and destination.message_id:
        await tx.deliveries.add(job, kind=DeliveryKind.PROGRESS, destination=destination, due=due)
        tx.announce(topic.of_destination(destination, caller=job.caller))


async def _save(
    tx: Transaction,
    job: Job,
    *,
    event: JobEventKind,
    detail: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Job:
    if "delay_reason" in changes:
        changes = {"delay_until_time": None, **changes}  # the time is that of the reason
    revised = advance(job, now=tx.now(), **changes)
    await tx.jobs.save(revised, event=event, detail=detail)
    tx.publish(topic.of_job(job.id), revised)
    return revised
