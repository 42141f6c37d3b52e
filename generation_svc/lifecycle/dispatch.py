"""Sends queued jobs to the provider, within its budget and behind its breaker.

The order is: claim, hand over the picture, take a call of the budget, write the attempt, call
createTask, record the answer. A dispatcher killed before the attempt is written has done nothing;
one killed after it leaves an attempt of unknown fate, which only its callback, its grace or its
deadline can end. Nothing is ever sent twice blindly.
"""

import asyncio
import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

import structlog
from uuid6 import uuid7

from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.catalog import Model, kie_input
from generation_svc.domain.error import (
    ProviderAccount,
    ProviderBusy,
    ProviderError,
    ProviderMaintenance,
    ProviderRefused,
    ProviderSilent,
    UploadRejected,
)
from generation_svc.domain.job import DelayReason, Failure, FailureReason, Job, JobState
from generation_svc.domain.port import Claim, Transaction
from generation_svc.lifecycle import budget, picture, topic
from generation_svc.lifecycle.context import Context, now
from generation_svc.lifecycle.observe import take
from generation_svc.lifecycle.record import revise, settle

MAX_ATTEMPTS = 2
"""How many attempts of unknown fate a job may have (design §3.3)."""
BUSY_TRIES = 2
"""From how many refusals on the user is told that the provider is busy."""
FAULTS_TO_TRIP = 3
"""How many transport errors in a row open the breaker."""
_logger = structlog.get_logger(__name__)


async def dispatch(context: Context) -> bool:
    """Send the fairest due job; return whether there may be more to do at once."""
    if not await may_call(context):
        return False
    async with context.database.transaction() as tx:
        claim = await tx.jobs.claim(
            lease=context.pace.submit_lease, most_active=context.limits.active_tasks
        )
    if claim is None:
        return False
    structlog.contextvars.bind_contextvars(
        job_id=str(claim.job.id), correlation_id=claim.job.correlation_id
    )
    await _submit(context, claim)
    return True


async def may_call(context: Context) -> bool:
    """Return whether the provider is to be called; an open breaker is probed when it is time."""
    async with context.database.transaction() as tx:
        breaker = await tx.budget.breaker()
        if breaker.reason is None:
            return True
        if not await tx.budget.claim_probe(interval=context.pace.probe_interval):
            return False
    return await _probe(context)


async def _probe(context: Context) -> bool:
    try:
        balance = await context.provider.credits()
    except ProviderError as error:
        await _trip(context, error)
        return False
    if balance <= 0:
        await _trip(context, ProviderAccount("The account has no credits."))
        return False
    async with context.database.transaction() as tx:
        await tx.budget.close_breaker()
        tx.announce(topic.DISPATCH)
    _logger.info("the provider answers again")
    return True


async def _submit(context: Context, claim: Claim) -> None:
    model = context.catalog.get(claim.job.model_id)
    try:
        links = await picture.hand_over(context, claim.job, model=model)
    except ProviderError as error:
        await _return_claim(context, claim, error=error)
    except UploadRejected as error:
        await _fail(context, claim, message=str(error))
    else:
        await budget.take(context, "create")
        await _attempt(context, claim, model=model, links=links)


async def _attempt(context: Context, claim: Claim, *, model: Model, links: dict[str, str]) -> None:
    token = secrets.token_urlsafe(24)
    attempt = await _begin(context, claim, model=model, token=token)
    if attempt is None:
        return
    base = context.callback_base_url
    try:
        task_id = await context.provider.create_task(
            model.id,
            kie_input(model, claim.job.inputs, picture_urls=links),
            callback_url=f"{base}/callbacks/kie/{token}" if base else None,
        )
    except ProviderError as error:
        await asyncio.shield(_record_error(context, claim, attempt=attempt, error=error))
    else:
        await asyncio.shield(_record_task(context, attempt, task_id=task_id))


async def _begin(context: Context, claim: Claim, *, model: Model, token: str) -> Attempt | None:
    """Write the attempt, unless the claim ran out or an earlier attempt may still come home."""
    async with context.database.transaction() as tx:
        job = await tx.jobs.hold_claim(claim)
        if job is None:
            return None
        wait = await _wait_for_others(context, tx, job, model=model)
        if wait:
            await tx.jobs.release(claim, due=wait)
            return None
        attempt = Attempt(
            id=UUID(bytes=uuid7().bytes),
            job_id=job.id,
            number=await tx.attempts.count(job.id) + 1,
            state=AttemptState.SUBMITTING,
            submit_time=now(),
        )
        await tx.attempts.insert(attempt, token_hash=token_hash(token))
        await tx.jobs.note(job.id, event="submitting", detail={"attempt": attempt.number})
        return attempt


async def _wait_for_others(
    context: Context, tx: Transaction, job: Job, *, model: Model
) -> timedelta | None:
    """Return how long the job must wait because an attempt of unknown fate is out."""
    live = await tx.attempts.live(job.id)
    if len(live) >= MAX_ATTEMPTS:
        return max(job.start_deadline_time - now(), context.pace.busy_retry)
    ready = [each.submit_time + context.pace.grace(model.usual_duration) for each in live]
    wait = max(ready, default=now()) - now()
    return wait if wait > timedelta(0) else None


async def _record_task(context: Context, attempt: Attempt, *, task_id: str) -> None:
    async with context.database.transaction() as tx:
        job = await tx.jobs.lock(attempt.job_id)
        current = await tx.attempts.lock(attempt.id)
        await tx.budget.close_breaker()
        if current.state in (AttemptState.SUBMITTING, AttemptState.UNKNOWN):
            await take(context, tx, job=job, attempt=current, task_id=task_id)
        else:
            await tx.jobs.note(job.id, event="answered", detail={"task_id": task_id})


async def _record_error(
    context: Context, claim: Claim, *, attempt: Attempt, error: ProviderError
) -> None:
    _logger.warning("createTask did not go through", error=repr(error), code=error.code)
    if isinstance(error, ProviderSilent):
        await _leave_unknown(context, claim, attempt=attempt, error=error)
    elif isinstance(error, ProviderRefused):
        await _refuse(context, claim, attempt=attempt, error=error)
    else:
        await _postpone(context, claim, attempt=attempt, error=error)


async def _leave_unknown(
    context: Context, claim: Claim, *, attempt: Attempt, error: ProviderError
) -> None:
    grace = context.pace.grace(context.catalog.get(claim.job.model_id).usual_duration)
    async with context.database.transaction() as tx:
        job = await tx.jobs.lock(claim.job.id)
        await tx.attempts.mark_unknown(attempt.id, error=repr(error))
        await tx.budget.trip(
            DelayReason.PROVIDER_UNREACHABLE,
            threshold=FAULTS_TO_TRIP,
            interval=context.pace.probe_interval,
        )
        await tx.jobs.release(claim, due=grace)
        if job.state is JobState.QUEUED:
            reason = DelayReason.PROVIDER_UNCONFIRMED
            await revise(tx, job, event="unknown", detail=_detail(attempt), delay_reason=reason)


async def _refuse(
    context: Context, claim: Claim, *, attempt: Attempt, error: ProviderRefused
) -> None:
    async with context.database.transaction() as tx:
        job = await tx.jobs.lock(claim.job.id)
        await tx.attempts.end(attempt.id, AttemptState.REFUSED, error=repr(error))
        await tx.budget.close_breaker()
        if not job.state.is_final and not await tx.attempts.live(job.id):
            await settle(tx, job, Failure(error.reason, _sentence(error.reason)), event="refused")


async def _postpone(
    context: Context, claim: Claim, *, attempt: Attempt, error: ProviderError
) -> None:
    async with context.database.transaction() as tx:
        job = await tx.jobs.lock(claim.job.id)
        await tx.attempts.end(attempt.id, AttemptState.REFUSED, error=repr(error))
        await _count_fault(context, tx, error=error)
        await tx.jobs.release(claim, due=context.pace.busy_retry)
        await tx.jobs.note(
            job.id, event="postponed", detail={**_detail(attempt), "error": type(error).__name__}
        )
        is_news = job.state is JobState.QUEUED and job.delay_reason is None
        if isinstance(error, ProviderBusy) and attempt.number >= BUSY_TRIES and is_news:
            await revise(tx, job, event="delayed", delay_reason=DelayReason.PROVIDER_BUSY)


async def _return_claim(context: Context, claim: Claim, *, error: ProviderError) -> None:
    """Give the job back: the picture could not be handed over, so no task was asked for."""
    _logger.warning("the picture could not be handed over", error=repr(error))
    if isinstance(error, ProviderRefused):
        await _fail(context, claim, message=_sentence(FailureReason.INPUT_UNREADABLE))
        return
    async with context.database.transaction() as tx:
        await _count_fault(context, tx, error=error)
        await tx.jobs.release(claim, due=context.pace.busy_retry)


async def _fail(context: Context, claim: Claim, *, message: str) -> None:
    async with context.database.transaction() as tx:
        job = await tx.jobs.hold_claim(claim)
        if job and not await tx.attempts.live(job.id):
            failure = Failure(FailureReason.INPUT_UNREADABLE, message)
            await settle(tx, job, failure, event="refused")


async def _trip(context: Context, error: ProviderError) -> None:
    async with context.database.transaction() as tx:
        await tx.budget.trip(delay_of(error), threshold=1, interval=context.pace.probe_interval)


async def _count_fault(context: Context, tx: Transaction, *, error: ProviderError) -> None:
    """Let an error that concerns every job open the breaker."""
    if isinstance(error, ProviderBusy):
        return
    is_plain = isinstance(error, ProviderAccount | ProviderMaintenance)
    threshold = 1 if is_plain else FAULTS_TO_TRIP
    await tx.budget.trip(delay_of(error), threshold=threshold, interval=context.pace.probe_interval)


def delay_of(error: ProviderError) -> DelayReason:
    """Return what users and operators are told while this error lasts."""
    if isinstance(error, ProviderAccount):
        return DelayReason.PROVIDER_ACCOUNT
    if isinstance(error, ProviderMaintenance):
        return DelayReason.PROVIDER_MAINTENANCE
    return DelayReason.PROVIDER_UNREACHABLE


def token_hash(token: str) -> bytes:
    """Return what is stored of a callback token: never the token itself."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _detail(attempt: Attempt) -> dict[str, int]:
    return {"attempt": attempt.number}


def _sentence(reason: FailureReason) -> str:
    if reason is FailureReason.MODEL_UNAVAILABLE:
        return "The provider has switched this model off."
    if reason is FailureReason.CONTENT_REFUSED:
        return "The provider refused the content of this request."
    if reason is FailureReason.INPUT_UNREADABLE:
        return "The provider could not read the picture."
    return "The provider refused this request."
