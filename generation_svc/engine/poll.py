"""Storage-first polling: the provider is read only for tasks whose end is not stored."""

import asyncio
from datetime import datetime, timedelta
from functools import partial

import structlog

from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.error import ProviderAccount, ProviderError
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.job import Job
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine import breaker, rate_budget
from generation_svc.engine.persist import persist
from generation_svc.engine.work import Batch, Work, do_one
from generation_svc.lifecycle import charge, topic
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.observe import apply
from generation_svc.lifecycle.record import settle

_LOST = Failure.of(FailureReason.PROVIDER_LOST_JOB)
_TIMEOUT = Failure.of(FailureReason.FINISH_DEADLINE)
_EMPTY = Failure.of(FailureReason.RESULT_UNAVAILABLE)
EMPTY_READS = 6
"""How many reads may show a success without a result; then there is none."""
_logger = structlog.get_logger(__name__)


async def poll(deps: Dependencies) -> bool:
    """Read one task that is due; return whether there was one."""
    return await do_one(deps, WORK)


async def _claim(deps: Dependencies, *, limit: int) -> Batch[Attempt]:
    async with deps.database.transaction() as tx:
        attempts, next_due = await tx.attempts.claim_reads(
            lease=deps.timing.read_lease, readable=deps.provider.accounts, limit=limit
        )
    return Batch(attempts, next_due)


async def _do(deps: Dependencies, attempt: Attempt, /) -> None:
    structlog.contextvars.bind_contextvars(job_id=str(attempt.job_id))
    assert attempt.task_id is not None  # what is accepted has one
    try:
        await _read(deps, attempt, handle=attempt.task_id)
    except asyncio.CancelledError:
        await persist(partial(_give_back, deps, attempt))
        raise


WORK = Work("poll", topic.READ, concurrency=4, claim=_claim, do=_do)
"""Reading tasks at the provider."""


async def _read(deps: Dependencies, attempt: Attempt, *, handle: str) -> None:
    account = attempt.account
    permit = await rate_budget.reserve(
        deps, "read", account=account, max_wait=deps.timing.read_lease / 2
    )
    if permit and await _is_settled(deps, attempt):
        return
    if permit is None or permit.is_over:
        await _give_back(deps, attempt)
        return
    try:
        async with rate_budget.making(deps, permit):
            observation = await deps.provider.client.read(handle, account=account.name)
    except ProviderError as error:
        await _come_again(deps, attempt, error=error)
    else:
        await _conclude(deps, attempt, observation=observation)


async def _give_back(deps: Dependencies, attempt: Attempt) -> None:
    """Make a read that did not happen due for another reader."""
    async with deps.database.transaction() as tx:
        await tx.attempts.schedule_read(attempt.id, due=timedelta(0))
        tx.announce(topic.READ)


async def _is_settled(deps: Dependencies, attempt: Attempt) -> bool:
    """Look again: a callback may have come while this read waited for its permit."""
    async with deps.database.transaction() as tx:
        current = await tx.attempts.lock(attempt.id)
    return current.state is not AttemptState.ACCEPTED


async def _come_again(deps: Dependencies, attempt: Attempt, *, error: ProviderError) -> None:
    """A read that did not succeed says nothing about the task."""
    _logger.warning(
        "recordInfo could not be read",
        error=repr(error),
        code=error.code,
        account=str(attempt.account),
    )
    async with deps.database.transaction() as tx:
        # Twice as long: the reads of a provider in trouble must not add to it.
        await _come_due(deps, tx, attempt, due=_interval(deps, attempt, time=tx.now()) * 2)
        if isinstance(error, ProviderAccount):
            await breaker.count_fault(deps, tx, error=error, account=attempt.account)


async def _conclude(deps: Dependencies, attempt: Attempt, *, observation: Observation) -> None:
    async with deps.database.transaction() as tx:
        await apply(deps, tx, attempt=attempt, observation=observation, source="poll")
        if not observation.is_final:
            # Locked by `apply` already; asked again for the job as it is now.
            job = await tx.jobs.lock(attempt.job_id)
            await _wait_or_give_up(deps, tx, job=job, attempt=attempt, observation=observation)


async def _wait_or_give_up(
    deps: Dependencies, tx: Transaction, *, job: Job, attempt: Attempt, observation: Observation
) -> None:
    """Only a read that succeeded may end a job that is late (design §3.4)."""
    if observation.state is ProviderState.EMPTY:
        await _wait_for_result(deps, tx, job=job, attempt=attempt)
        return
    is_missing = observation.state is ProviderState.MISSING
    if is_missing and _age(attempt, time=tx.now()) >= deps.timing.missing_grace:
        await give_up(tx, job=job, attempt=attempt, failure=_LOST)
    elif tx.now() >= _finish_deadline(deps, job, attempt=attempt):
        await give_up(tx, job=job, attempt=attempt, failure=_TIMEOUT)
    else:
        await _come_due(deps, tx, attempt, due=_interval(deps, attempt, time=tx.now()))


async def _wait_for_result(
    deps: Dependencies, tx: Transaction, *, job: Job, attempt: Attempt
) -> None:
    """A success that shows no result may show it a moment later, but not much later."""
    if await tx.attempts.count_empty_read(attempt.id) >= EMPTY_READS:
        await give_up(tx, job=job, attempt=attempt, failure=_EMPTY)
    else:
        await _come_due(deps, tx, attempt, due=deps.timing.empty_retry)


async def _come_due(
    deps: Dependencies, tx: Transaction, attempt: Attempt, *, due: timedelta
) -> None:
    """Schedule the next read, and tell the scheduler here, which otherwise would not know of it."""
    await tx.attempts.schedule_read(attempt.id, due=due)
    deps.engine.due_after(tx, topic.READ, span=due)


async def give_up(tx: Transaction, *, job: Job, attempt: Attempt, failure: Failure) -> None:
    """End an attempt without a result, and its job if no other attempt can bring one.

    A success that was told meanwhile stays: it is fetched.
    """
    current = await tx.attempts.lock(attempt.id)
    if not current.is_live or current.state is AttemptState.SUCCEEDED:
        return
    await tx.attempts.end(attempt.id, AttemptState.LOST, error=failure.reason)
    await charge.release_unused(tx, job)
    if not job.state.is_final and not await tx.attempts.live(job.id):
        await settle(tx, job, failure, event=JobEventKind.GAVE_UP)


def _finish_deadline(deps: Dependencies, job: Job, *, attempt: Attempt) -> datetime:
    """Return when the job is late; one that was cancelled in the queue never got a deadline."""
    _, longest = deps.models.durations(job.model_id)
    accept_time = attempt.accept_time or attempt.submit_time
    return job.finish_deadline_time or accept_time + longest * deps.timing.longest_factor


def _age(attempt: Attempt, *, time: datetime) -> timedelta:
    return time - (attempt.accept_time or attempt.submit_time)


def _interval(deps: Dependencies, attempt: Attempt, *, time: datetime) -> timedelta:
    return deps.timing.read_interval(_age(attempt, time=time))
