"""Charges a job for what it delivered, or gives back what was held for it.

Both are part of a transaction that holds the job's lock. Free jobs hold nothing, and cost no
statement. A hold has no clock: it is ended when its job is, or, if the job was cancelled while the
provider worked on it, with the last attempt that could still bring a result.
"""

from decimal import Decimal

import structlog

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.cost_excess import CostExcess, is_excess
from generation_svc.domain.job import Job, JobState, Result
from generation_svc.domain.ledger import Delivered
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle.dependencies import Dependencies

_logger = structlog.get_logger(__name__)


async def capture(tx: Transaction, job: Job, result: Result, *, cost: Decimal | None) -> int:
    """Charge for a result that is stored; return how many credits it took."""
    if not has_price(job):
        return 0
    return await tx.ledger.capture(job.id, delivered_of(job, result, cost=cost)) or 0


async def release(tx: Transaction, job: Job) -> int:
    """Give back what is held for a job that brought nothing, which then cost nothing."""
    if has_price(job):
        await tx.ledger.release(job.id)
    return 0


async def release_cancelled(tx: Transaction, job: Job) -> int | None:
    """Do the same for a cancelled job; return None if an attempt may still bring a result."""
    if not has_price(job):
        return 0
    return 0 if await tx.ledger.release(job.id, is_over=False) else None


async def release_unused(tx: Transaction, job: Job) -> None:
    """Give back what a cancelled job holds, now that an attempt has ended that brought nothing."""
    if job.state is JobState.CANCELLED and has_price(job):
        await tx.ledger.release(job.id, is_over=False)


async def capture_late(tx: Transaction, job: Job, result: Result, *, cost: Decimal | None) -> None:
    """Charge a cancelled job for a result that came after all; for any other it is free."""
    if job.state is JobState.CANCELLED:
        await capture(tx, job, result, cost=cost)


async def lower(tx: Transaction, job: Job, attempt: Attempt, *, cost: Decimal) -> None:
    """Give back what was charged beyond a measured cost that nobody knew then; once is enough."""
    if not has_price(job) or not job.price.is_ceiling:
        return
    maker = await tx.attempts.settled(job.id)
    if maker and maker.id == attempt.id:
        result = job.result or await stored_result(tx, maker)
        await tx.ledger.lower(job.id, delivered_of(job, result, cost=cost))


async def stored_result(tx: Transaction, attempt: Attempt) -> Result:
    """Return what is stored of an attempt's result, whether or not its job shows it."""
    media = tuple(await tx.media.media_of(attempt.id))
    text = attempt.observation.result_text if attempt.observation else ""
    files = len(attempt.observation.results) if attempt.observation else 0
    return Result(media=media, text=text, missing_count=max(files - len(media), 0))


def has_price(job: Job) -> bool:
    """Return whether something may be held for a job."""
    return not job.price.is_free and job.price.credits != "0"


def cost_of(attempt: Attempt) -> Decimal | None:
    """Return what the provider took for an attempt, where it told."""
    return attempt.observation.cost if attempt.observation else None


def delivered_of(job: Job, result: Result, *, cost: Decimal | None) -> Delivered:
    """Return what a result is worth: each of its files, or its text."""
    count = len(result.media) or (1 if result.text else 0)
    measured = cost if job.price.is_ceiling else None
    return Delivered(count, result.missing_count, measured)


async def book_cost(
    deps: Dependencies, tx: Transaction, *, job: Job, attempt: Attempt, observation: Observation
) -> None:
    """Book what the provider took, however late it says so; it is booked and reported once."""
    cost = observation.cost
    if deps.money.mode is not None and cost is not None and observation.is_final:
        is_success = observation.state is ProviderState.SUCCEEDED
        if await tx.ledger.book_cost(attempt.id, cost, is_success=is_success):
            await _note_excess(deps, tx, job=job, attempt=attempt, cost=cost)


async def _note_excess(
    deps: Dependencies, tx: Transaction, *, job: Job, attempt: Attempt, cost: Decimal
) -> None:
    """Report a cost beyond the bound; a step of maintenance takes the model off sale for it."""
    quoted = job.price.cost
    if quoted is None or not is_excess(cost, quoted=quoted, bound=deps.money.excess_bound):
        return
    await tx.ledger.note_excess(CostExcess(attempt.id, job.model_id, quoted, cost))
    deps.meter.dear_tasks.labels(job.model_id).inc()
    _logger.error(
        "the provider took more than was quoted",
        action="dear_task",
        model=job.model_id,
        quoted=str(quoted),
        taken=str(cost),
    )
