"""Sends queued jobs to the provider, within the budgets of accounts and behind their breakers."""

import asyncio
from datetime import timedelta
from functools import partial

import structlog

from generation_svc.domain.account import Account
from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.error import (
    ProviderError,
    ProviderRefused,
    Unavailable,
    UploadRejected,
)
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.identifier import new_id
from generation_svc.domain.job import Job
from generation_svc.domain.model import Model
from generation_svc.domain.port.provider import ProviderRequest
from generation_svc.domain.port.queue import Claim
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.provider_input import provider_input
from generation_svc.domain.schema import Steps
from generation_svc.engine import (
    breaker,
    dispatch_claim,
    outgoing_attempt,
    provider_upload,
    rate_budget,
    submission,
)
from generation_svc.engine.dispatch_claim import DispatchItem, Probe, release
from generation_svc.engine.outgoing_attempt import OutgoingAttempt
from generation_svc.engine.persist import persist
from generation_svc.engine.submission import MAX_ATTEMPTS
from generation_svc.engine.work import Batch, Work
from generation_svc.lifecycle import input_media, model_outage, model_revision, topic
from generation_svc.lifecycle.callback_address import CALLBACK_TOKEN_BYTES
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.token import new_token, token_hash

_logger = structlog.get_logger(__name__)


async def claim(deps: Dependencies, *, limit: int) -> Batch[DispatchItem | Probe]:
    """Claim the due jobs that are served next, and find the probes of accounts that are due."""
    return await dispatch_claim.look(deps, limit=limit)


async def do(deps: Dependencies, item: DispatchItem | Probe) -> None:
    """Send a claimed job, or try an account with one."""
    if isinstance(item, Probe):
        await _probe(deps, item.account)
    else:
        await _submit_or_give_back(deps, item)


WORK = Work(
    "dispatch", topic.DISPATCH, concurrency=16, claim=claim, do=do, unblocked_by=topic.ACCOUNT
)
"""The work on queued jobs; one that hands media over for long leaves places to the others."""


async def _probe(deps: Dependencies, account: Account) -> None:
    """Send one job on an account whose breaker is open, if nobody else does and it has balance."""
    if not await breaker.claim_probe(deps, account):
        return
    if not await breaker.has_balance(deps, account):
        return
    batch = await dispatch_claim.look(deps, limit=1, probed=account)
    is_answered = False
    for item in batch.items:
        if isinstance(item, DispatchItem):  # and no further probe
            is_answered = await _submit_or_give_back(deps, item, is_probe=True)
    await breaker.conclude(deps, account, is_answered=is_answered)


async def _submit_or_give_back(
    deps: Dependencies, item: DispatchItem, *, is_probe: bool = False
) -> bool:
    """Send a claimed job; return whether the provider's answer says something of the provider."""
    claim, outgoing = item.claim, item.outgoing
    structlog.contextvars.bind_contextvars(
        job_id=str(claim.job.id), correlation_id=claim.job.correlation_id
    )
    try:
        if outgoing:
            return await outgoing_attempt.send(deps, claim, outgoing=outgoing)
        return await _submit(deps, claim, is_probe=is_probe)
    # Shielded by `persist`: otherwise the job would wait for its claim's lease to run out.
    except asyncio.CancelledError:
        await persist(partial(release, deps, claim, due=timedelta(0)))
        raise
    except Unavailable:
        await persist(partial(release, deps, claim, due=deps.timing.busy_retry))
        raise


async def _submit(deps: Dependencies, claim: Claim, *, is_probe: bool) -> bool:
    """Do what has to be done before a claimed job is sent, and send it."""
    model = await model_revision.of_job(deps, claim.job)
    if model is None:
        await submission.fail(deps, claim, reason=FailureReason.MODEL_UNAVAILABLE)
        return False
    if claim.is_trial and not await _may_try(deps, claim):
        return False
    # Handing media over takes up to a minute; some dispatchers stay free for jobs without media.
    if deps.provider.uploads.locked() and input_media.needs_upload(claim.job, model=model):
        await release(deps, claim, due=deps.timing.busy_retry)
        return False
    try:
        resolved = await provider_upload.hand_over(deps, claim, model=model)
    except ProviderError as error:
        return await _return_claim(deps, claim, error=error)
    except UploadRejected:
        await submission.fail(deps, claim, reason=FailureReason.INPUT_UNREADABLE)
        return False
    is_answered = await _attempt(deps, claim, model=model, resolved=resolved, is_probe=is_probe)
    if claim.is_trial:
        await persist(partial(model_outage.conclude, deps, claim.job))
    return is_answered


async def _may_try(deps: Dependencies, claim: Claim) -> bool:
    """Return whether a job may try a model that was off; else it fails at once, or waits."""
    async with deps.database.transaction() as tx:
        if await tx.queue.hold_claim(claim) is None:  # the job's row is locked before the model's
            return False
        may_try = await model_outage.may_try(deps, tx, claim.job)
        if may_try is False:
            await tx.queue.release(claim, due=deps.timing.busy_retry)
            tx.announce(topic.DISPATCH)
    if may_try is None:
        await submission.fail(deps, claim, reason=FailureReason.MODEL_UNAVAILABLE)
    return bool(may_try)


async def _attempt(
    deps: Dependencies, claim: Claim, *, model: Model, resolved: dict[Steps, str], is_probe: bool
) -> bool:
    # Made before the attempt is written: what fails here must not look like a call in doubt.
    request = ProviderRequest(
        model.offer.model_id, provider_input(model, claim.job.inputs, resolved=resolved)
    )
    token = new_token(CALLBACK_TOKEN_BYTES)
    # Reserved before the attempt is written: an attempt that then waits for its turn would look
    # like one whose dispatcher vanished.
    rate_permit = await rate_budget.reserve(
        deps, "create", account=claim.account, max_wait=deps.timing.submit_lease / 2
    )
    attempt = await _begin(
        deps, claim, token=token, is_probe=is_probe, has_call=rate_permit is not None
    )
    if attempt is None or rate_permit is None:
        return False
    outgoing = OutgoingAttempt(attempt, request, token, rate_permit)
    return await outgoing_attempt.send(deps, claim, outgoing=outgoing)


async def _begin(
    deps: Dependencies, claim: Claim, *, token: str, is_probe: bool, has_call: bool
) -> Attempt | None:
    """Write the attempt if the budget allows it and nothing else forbids it."""
    async with deps.database.transaction() as tx:
        # Between claim and here the job may have been cancelled, or its claim have run out.
        job = await tx.queue.hold_claim(claim)
        if job is None:
            return None
        wait = await _wait(deps, tx, claim, is_probe=is_probe) if has_call else timedelta(0)
        if wait is not None:
            await tx.queue.release(claim, due=wait)
            tx.announce(topic.DISPATCH)
            return None
        return await _write_attempt(tx, job, account=claim.account, token=token)


async def _wait(
    deps: Dependencies, tx: Transaction, claim: Claim, *, is_probe: bool
) -> timedelta | None:
    """Return how long the job must wait: for the breaker, or for an attempt of unknown fate."""
    if not is_probe and await breaker.is_open(tx, claim.account):
        return breaker.retry_after(deps, otherwise=deps.timing.busy_retry)
    if claim.attempts >= MAX_ATTEMPTS:
        return max(claim.job.start_deadline_time - tx.now(), deps.timing.busy_retry)
    usual, _ = deps.models.durations(claim.job.model_id)
    live = await tx.attempts.live(claim.job.id)
    wait = max(
        (each.submit_time + deps.timing.grace(usual) - tx.now() for each in live), default=None
    )
    if wait and wait > timedelta(0):
        return wait
    # Who made it may still be at it, until the sweep says that its fate is unknown.
    is_under_way = any(each.state is AttemptState.SUBMITTING for each in live)
    return deps.timing.busy_retry if is_under_way else None


async def _write_attempt(tx: Transaction, job: Job, *, account: Account, token: str) -> Attempt:
    time = tx.now()
    attempt = Attempt(
        id=new_id(time),
        job_id=job.id,
        number=await tx.attempts.count(job.id) + 1,
        state=AttemptState.SUBMITTING,
        submit_time=time,
        account=account,
    )
    await tx.attempts.insert(attempt, token_hash=token_hash(token))
    detail = {"attempt": attempt.number, "account": str(account)}
    await tx.jobs.note(job.id, event=JobEventKind.SUBMITTING, detail=detail)
    return attempt


async def _return_claim(deps: Dependencies, claim: Claim, *, error: ProviderError) -> bool:
    """Give the job back: its media could not be handed over, so no task was asked for.

    The upload host is another one than createTask's: that it cannot be reached stops nobody else.
    """
    _logger.warning("the media could not be handed over", error=repr(error))
    if isinstance(error, ProviderRefused):
        await submission.fail(deps, claim, reason=FailureReason.INPUT_UNREADABLE)
        return False
    is_account = breaker.concerns_account(error)
    busy_retry = deps.timing.busy_retry
    due = breaker.retry_after(deps, otherwise=busy_retry) if is_account else busy_retry
    async with deps.database.transaction() as tx:
        await tx.queue.release(claim, due=due)
        tx.announce(topic.DISPATCH)
        detail = {"error": type(error).__name__}
        await tx.jobs.note(claim.job.id, event=JobEventKind.UPLOAD_FAILED, detail=detail)
        if is_account:
            await breaker.count_fault(deps, tx, error=error, account=claim.account)
    return is_account
