"""Records the answer to a submission: a task, a refusal, "not now", or nothing reliable.

A callback may have come before the answer: whatever it brought stays, and the answer is an event.
"""

from datetime import timedelta
from typing import Any

import structlog

from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.error import (
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderSilent,
)
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.job import DelayReason, Job, JobState
from generation_svc.domain.observation import Observation
from generation_svc.domain.port.provider import Submitted
from generation_svc.domain.port.queue import Claim
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine import breaker
from generation_svc.lifecycle import charge, model_outage, topic
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.observe import MAX_TEXT, apply, take
from generation_svc.lifecycle.record import revise, settle

MAX_ATTEMPTS = 2
"""How many attempts a job may have that the provider did not refuse (design §3.3)."""
UNEXPLAINED = (FailureReason.REQUEST_REFUSED, FailureReason.GENERATION_FAILED)
"""The reasons of what no table explains: the operator finds the provider's words in the trace."""
BUSY_TRIES = 2
"""From how many refusals on the user is told that the provider is busy."""
MOST_BUSY_RETRIES = 12
"""How many times the first wait after a "not now" the longest one is; it doubles."""
_OPEN = (AttemptState.SUBMITTING, AttemptState.UNKNOWN)
_logger = structlog.get_logger(__name__)


async def record_answer(
    deps: Dependencies, claim: Claim, *, attempt: Attempt, answer: Submitted | Observation
) -> None:
    """Record that the provider took an attempt: it has a task now, or is done with it already."""
    # Read now and then, before the transaction: what is known of it tells the time of the first
    # read.
    await deps.views.queue.typical(claim.job.model_id, database=deps.database)
    async with deps.database.transaction() as tx:
        job = await tx.jobs.lock(attempt.job_id)
        current, has_faults = await tx.attempts.lock_answered(attempt)
        if isinstance(answer, Observation):
            await apply(deps, tx, attempt=current, observation=answer, source="answer")
        elif current.state in _OPEN:
            await take(deps, tx, job=job, attempt=current, task_id=answer.handle)
        else:
            detail = {"task_id": answer.handle}
            await tx.jobs.note(job.id, event=JobEventKind.ANSWERED, detail=detail)
        # An answer of any kind shows that the account works. That there is nothing to forget was
        # read when the answer was here: a fault that is counted since then came after it.
        if has_faults:
            await breaker.close(tx, attempt.account)


async def record_error(
    deps: Dependencies, claim: Claim, *, attempt: Attempt, error: ProviderError
) -> None:
    """Record that createTask did not go through, and what follows from it."""
    _logger.warning(
        "createTask did not go through",
        error=repr(error),
        code=error.code,
        account=str(attempt.account),
    )
    async with deps.database.transaction() as tx:
        job = await tx.jobs.lock(attempt.job_id)
        current = await tx.attempts.lock(attempt.id)
        # A callback of this very task was faster than createTask's answer: it is believed.
        if current.state not in _OPEN:
            detail = {**_detail(attempt), "error": type(error).__name__}
            await tx.jobs.note(job.id, event=JobEventKind.ANSWERED, detail=detail)
        elif isinstance(error, ProviderSilent):
            await _leave_unknown(deps, tx, claim, job=job, attempt=current, error=error)
        elif isinstance(error, ProviderRefused):
            await _refuse(deps, tx, claim, job=job, attempt=current, error=error)
        else:
            await _postpone(deps, tx, claim, job=job, attempt=current, error=error)


async def withdraw(deps: Dependencies, claim: Claim, *, attempt: Attempt, why: str) -> None:
    """End an attempt that was written and then not sent; its job is due at once."""
    async with deps.database.transaction() as tx:
        job = await tx.jobs.lock(attempt.job_id)
        current = await tx.attempts.lock(attempt.id)
        # The sweep may have ended it meanwhile, with its job.
        if current.state not in _OPEN:
            return
        await tx.attempts.end(attempt.id, AttemptState.REFUSED, error=why)
        await charge.release_unused(tx, job)
        await tx.jobs.note(job.id, event=JobEventKind.POSTPONED, detail=_detail(attempt))
        await _release(tx, claim, due=timedelta(0))


async def fail(deps: Dependencies, claim: Claim, *, reason: FailureReason) -> None:
    """Fail a claimed job that cannot be sent, unless an attempt may still bring its result."""
    async with deps.database.transaction() as tx:
        job = await tx.queue.hold_claim(claim)
        if job and not await _end_without(tx, job, reason=reason, event=JobEventKind.REFUSED):
            await _release(tx, claim, due=deps.timing.unknown_grace)


async def _leave_unknown(
    deps: Dependencies,
    tx: Transaction,
    claim: Claim,
    *,
    job: Job,
    attempt: Attempt,
    error: ProviderError,
) -> None:
    usual, _ = deps.models.durations(job.model_id)
    await tx.attempts.mark_unknown(attempt.id, error=repr(error))
    await _release(tx, claim, due=deps.timing.grace(usual))
    if job.state is JobState.QUEUED:
        waits = in_doubt(deps, job, attempt=attempt, others=claim.attempts)
        await revise(tx, job, event=JobEventKind.UNKNOWN, detail=_detail(attempt), **waits)
    await breaker.count_fault(deps, tx, error=error, account=attempt.account)


def in_doubt(deps: Dependencies, job: Job, *, attempt: Attempt, others: int) -> dict[str, Any]:
    """Return what a job says that waits for an attempt of unknown fate, and until when it waits."""
    usual, _ = deps.models.durations(job.model_id)
    until = attempt.submit_time + deps.timing.grace(usual)
    if others + 1 >= MAX_ATTEMPTS:  # there will be no other one
        until = job.start_deadline_time
    return {"delay_reason": DelayReason.PROVIDER_UNCONFIRMED, "delay_until_time": until}


async def _refuse(
    deps: Dependencies,
    tx: Transaction,
    claim: Claim,
    *,
    job: Job,
    attempt: Attempt,
    error: ProviderRefused,
) -> None:
    await tx.attempts.end(attempt.id, AttemptState.REFUSED, error=repr(error))
    if error.reason is FailureReason.MODEL_UNAVAILABLE:
        await model_outage.begin(deps, tx, model_id=job.model_id, text=error.text)
    if error.reason in UNEXPLAINED:
        detail = {**_detail(attempt), "code": error.code, "text": error.text[:MAX_TEXT]}
        await tx.jobs.note(job.id, event=JobEventKind.UNEXPLAINED, detail=detail)
    if not await _end_without(tx, job, reason=error.reason, event=JobEventKind.REFUSED):
        await _leave_to_earlier(tx, claim, job=job, attempt=attempt)
    await breaker.close(tx, attempt.account)


async def _leave_to_earlier(tx: Transaction, claim: Claim, *, job: Job, attempt: Attempt) -> None:
    """Stop sending a job that was refused for good; an earlier attempt may still succeed."""
    if job.state is not JobState.QUEUED:
        return
    await _release(tx, claim, due=job.start_deadline_time - tx.now())
    await revise(
        tx,
        job,
        event=JobEventKind.REFUSED,
        detail=_detail(attempt),
        delay_reason=DelayReason.PROVIDER_UNCONFIRMED,
        delay_until_time=job.start_deadline_time,
    )


async def _postpone(
    deps: Dependencies,
    tx: Transaction,
    claim: Claim,
    *,
    job: Job,
    attempt: Attempt,
    error: ProviderError,
) -> None:
    await tx.attempts.end(attempt.id, AttemptState.REFUSED, error=repr(error))
    detail = {**_detail(attempt), "error": type(error).__name__}
    await tx.jobs.note(job.id, event=JobEventKind.POSTPONED, detail=detail)
    due = _retry_after(deps, attempt)
    if breaker.concerns_account(error):
        due = breaker.retry_after(deps, otherwise=due)
    await _release(tx, claim, due=due)
    await charge.release_unused(tx, job)
    if job.state is JobState.QUEUED:
        await _say_why(tx, job, attempt=attempt, error=error)
    if job.state is JobState.RUNNING:  # by an earlier attempt, which may have failed meanwhile
        await _end_without(
            tx, job, reason=FailureReason.GENERATION_FAILED, event=JobEventKind.SETTLED
        )
    await breaker.count_fault(deps, tx, error=error, account=attempt.account)


async def _say_why(tx: Transaction, job: Job, *, attempt: Attempt, error: ProviderError) -> None:
    """Tell why a postponed job waits; its wait for an earlier answer has ended."""
    is_busy = isinstance(error, ProviderBusy) and attempt.number >= BUSY_TRIES
    reason = DelayReason.PROVIDER_BUSY if is_busy else None
    is_ours = job.delay_reason in (None, DelayReason.PROVIDER_UNCONFIRMED)
    if is_ours and job.delay_reason is not reason:
        await revise(tx, job, event=JobEventKind.DELAYED, delay_reason=reason)


async def _release(tx: Transaction, claim: Claim, *, due: timedelta) -> None:
    """Give a claim back: claimers thought that the job was due when its lease is over."""
    await tx.queue.release(claim, due=due)
    tx.announce(topic.DISPATCH)


async def _end_without(
    tx: Transaction, job: Job, *, reason: FailureReason, event: JobEventKind
) -> bool:
    """Fail a job if no attempt can still bring a result; return whether none can."""
    if await tx.attempts.live(job.id):
        return False
    await charge.release_unused(tx, job)
    if not job.state.is_final:
        await settle(tx, job, Failure.of(reason), event=event)
    return True


def _retry_after(deps: Dependencies, attempt: Attempt) -> timedelta:
    return deps.timing.busy_retry * min(1 << min(attempt.number - 1, 10), MOST_BUSY_RETRIES)


def _detail(attempt: Attempt) -> dict[str, int]:
    return {"attempt": attempt.number}
