"""Checks and prices what is asked for, and has it accepted, before the provider is called."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from generation_svc.domain.delivery import Telegram, Webhook
from generation_svc.domain.error import (
    AtelierError,
    ConsentMissing,
    JobExpired,
    Overloaded,
    RateLimited,
    RequestIdReused,
    TooManyActiveJobs,
    Unavailable,
    WebhookSecretMissing,
)
from generation_svc.domain.identifier import new_id
from generation_svc.domain.job import Job, JobState, Price
from generation_svc.domain.ledger import Charge
from generation_svc.domain.model import Model
from generation_svc.domain.money_error import FreeAllowanceUsed, InsufficientCredits, PriceChanged
from generation_svc.domain.port.acceptance import (
    Acceptance,
    Accepted,
    Candidate,
    Refusal,
    Repeated,
    Shortage,
)
from generation_svc.lifecycle import (
    model_revision,
    operator_limit,
    pricing,
    reference,
    storage_limit,
)
from generation_svc.lifecycle.account import account_for
from generation_svc.lifecycle.consent import missing_consent
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.forecast import with_forecast
from generation_svc.usecase import repetition, upload_input
from generation_svc.usecase.accept_job import accept_job, refused
from generation_svc.usecase.accepted_inputs import accepted_inputs
from generation_svc.usecase.job_request import CreateRequest, key_of

_AFTER_LOOKING = (
    Unavailable,
    RequestIdReused,
    JobExpired,
    TooManyActiveJobs,
    InsufficientCredits,
    FreeAllowanceUsed,
)
"""What is raised once its request_id was looked for, or could not be."""


async def create_job(deps: Dependencies, request: CreateRequest) -> Job:
    """Make a job durable and return it; the same request_id returns the same job.

    Raises PermissionDenied, RateLimited, UnknownModel, ModelUnavailable, InvalidInputs,
    UploadMissing, ConsentMissing, UnknownPrice, ReferenceUnavailable, RequestIdReused,
    JobExpired, TooManyActiveJobs, Overloaded, StorageQuotaReached, WebhookSecretMissing,
    WebhookDisabled, PriceChanged, SalesClosed, OwnerBlocked, InsufficientCredits,
    DailyCapReached, ProviderBalanceLow, FreeAllowanceUsed.
    """
    _check_rights(request)
    try:
        job = await _create(deps, request)
    except _AFTER_LOOKING:
        raise
    except AtelierError as refusal:
        # A repetition gets its job even where a new one would be refused by now.
        earlier = await _recall(deps, request, is_counted=not isinstance(refusal, RateLimited))
        if earlier is None:
            raise
        job = earlier
    return await with_forecast(deps, job)


async def _create(deps: Dependencies, request: CreateRequest) -> Job:
    deps.count_job(request.caller, request.owner)
    await _check_room(deps, request)
    _check_webhook(deps, request)
    model = deps.models.catalog.get(request.model_id)
    await storage_limit.admit_job(deps, model)
    inputs = accepted_inputs(deps, request.caller, model=model, inputs=request.inputs)
    consent = await missing_consent(deps, model, owner=request.owner)
    if consent:
        raise ConsentMissing(request.owner, kind=consent)
    if upload_input.is_needed(model, inputs):
        # The bytes of a repetition are kept already; so it is looked for before it is written.
        earlier = await _recall(deps, request, is_counted=True)
        if earlier:
            return earlier
    return await _accept(deps, request, model=model, inputs=inputs)


async def _accept(
    deps: Dependencies, request: CreateRequest, *, model: Model, inputs: Mapping[str, Any]
) -> Job:
    account = await _account_for(deps, request, model=model, inputs=inputs)
    priced = await pricing.price_of(deps, request.caller, model=model, inputs=inputs)
    _check_agreed(request, priced.price)
    await model_revision.keep(deps, model)
    # Before the transaction: keeping media takes long, and a transaction holds a connection.
    kept = await upload_input.store(
        deps, request.caller, owner=request.owner, model=model, inputs=inputs
    )
    job = _new_job(deps, request, model=model, inputs=kept, price=priced.price)
    candidate = Candidate(
        replace(job, account=account),
        request.destination,
        key_of(request),
        charge=await _charge(deps, request, priced=priced),
        caller_wallet=request.caller.wallet,
    )
    outcome = await _admit(deps, request, candidate, model=model)
    if isinstance(outcome, Refusal | Shortage):
        raise refused(deps, request, refusal=outcome)
    if isinstance(outcome, Repeated):
        return await _repeated(deps, request, outcome)
    accepted = replace(candidate.job, fair_round=outcome.fair_round)
    deps.views.queue.join(accepted)
    return accepted


async def _admit(
    deps: Dependencies, request: CreateRequest, candidate: Candidate, *, model: Model
) -> Acceptance:
    """Accept a job that the operator can bear."""
    async with operator_limit.admitted(deps, candidate.job) as admitted:
        outcome = await accept_job(deps, request, candidate, model=model)
        if isinstance(outcome, Accepted):
            admitted.keep()
    return outcome


def _check_agreed(request: CreateRequest, price: Price) -> None:
    agreed, credits_ = request.agreed_credits, int(price.credits)
    if agreed is not None and agreed != credits_:
        raise PriceChanged(price=credits_, agreed=agreed)


async def _charge(
    deps: Dependencies, request: CreateRequest, *, priced: pricing.Priced
) -> Charge | None:
    caller = request.caller
    charge = priced.charge(caller.wallet or request.owner) if deps.money.mode else None
    if charge is None or not caller.monthly_credits:
        return charge
    await _open_wallet(deps, charge.payer)
    return replace(charge, monthly_limit=caller.monthly_credits)


async def _open_wallet(deps: Dependencies, payer: str) -> None:
    """See that a wallet which may owe is there, so that its row can be locked; once in a process.

    One that only pays beforehand has had a top-up, or has nothing that would have to be locked.
    """
    if payer in deps.money.opened:
        return
    async with deps.database.transaction() as tx:
        await tx.ledger.lock([payer])
    deps.money.opened.add(payer)


def _check_rights(request: CreateRequest) -> None:
    request.caller.require_owner(request.owner)
    if isinstance(request.destination, Telegram):
        request.caller.require_bot(request.destination.bot_id)


def _check_webhook(deps: Dependencies, request: CreateRequest) -> None:
    if isinstance(request.destination, Webhook):
        deps.webhooks.sender.check(request.destination.url)
        if not request.caller.webhook_secrets:
            raise WebhookSecretMissing


async def _recall(deps: Dependencies, request: CreateRequest, *, is_counted: bool) -> Job | None:
    """Find what the request made before: also where it would not be accepted today."""
    key = key_of(request)
    earlier = await repetition.find(deps.database, key) if key else None
    if earlier and is_counted:
        deps.uncount_job(request.caller, request.owner)
    return earlier


async def _repeated(deps: Dependencies, request: CreateRequest, repeated: Repeated) -> Job:
    """Read the job that was accepted instead of this one."""
    key = key_of(request)
    assert key is not None  # nothing else is repeated
    bound = (repeated.job_id, repeated.content_hash)
    job = await repetition.job_of(deps.database, key, bound=bound)
    deps.uncount_job(request.caller, request.owner)
    return job


async def _check_room(deps: Dependencies, request: CreateRequest) -> None:
    """Refuse what would make the queue too long: of all, or of this caller."""
    total, own = await deps.views.queue.lengths(request.caller.name, database=deps.database)
    limits = deps.limits
    if total >= limits.queued_jobs:
        raise Overloaded("queue", retry_after=_when_shorter(deps))
    if own >= limits.queued_jobs_per_caller:
        raise Overloaded("queue of the caller", retry_after=_when_shorter(deps))


def _when_shorter(deps: Dependencies) -> timedelta:
    """Return how long to wait for a full queue: a random time of one to two windows."""
    return deps.limits.create_window * random.uniform(1, 2)


async def _account_for(
    deps: Dependencies, request: CreateRequest, *, model: Model, inputs: Mapping[str, Any]
) -> str | None:
    """Find the account that alone can do the job, before anything is held for it."""
    if not reference.job_ids(model, inputs):
        return None
    async with deps.database.transaction() as tx:
        makers = await reference.check(tx, request.caller.name, model=model, inputs=inputs)
    return account_for(deps, makers)


def _new_job(
    deps: Dependencies,
    request: CreateRequest,
    *,
    model: Model,
    inputs: Mapping[str, Any],
    price: Price,
) -> Job:
    time = deps.database.now()
    return Job(
        id=new_id(time),
        caller=request.caller.name,
        owner=request.owner,
        model_id=model.id,
        inputs=inputs,
        price=price,
        correlation_id=request.correlation_id,
        create_time=time,
        start_deadline_time=time + deps.timing.start_deadline,
        state=JobState.QUEUED,
        revision=1,
        update_time=time,
        model_digest=model.digest,
        needs_catalog=model.digest is not None and not model.is_in_every_release,
    )
