"""Accepts a job in one transaction, before the provider is called."""

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from generation_svc.domain.caller import Caller
from generation_svc.domain.delivery import Destination, Telegram, Webhook
from generation_svc.domain.error import (
    AtelierError,
    ConsentMissing,
    JobExpired,
    Overloaded,
    RateLimited,
    RequestIdReused,
    StorageQuotaReached,
    TooManyActiveJobs,
    Unavailable,
    WebhookDisabled,
    WebhookSecretMissing,
)
from generation_svc.domain.identifier import new_id
from generation_svc.domain.job import Job, JobState, Price
from generation_svc.domain.ledger import Charge
from generation_svc.domain.model import Model
from generation_svc.domain.money_error import (
    InsufficientCredits,
    OwnerBlocked,
    PriceChanged,
)
from generation_svc.domain.port.acceptance import (
    Acceptance,
    Candidate,
    OwnerLimits,
    Refusal,
    Repeated,
    Shortage,
)
from generation_svc.domain.port.request import RequestKey
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle import (
    acceptance,
    input_media,
    model_outage,
    model_revision,
    pricing,
    reference,
    storage_limit,
)
from generation_svc.lifecycle.account import account_for
from generation_svc.lifecycle.consent import missing_consent
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.forecast import with_forecast
from generation_svc.usecase import repetition, upload_input
from generation_svc.usecase.accepted_inputs import accepted_inputs

BUSY_RETRY = timedelta(seconds=5)
"""How long an owner with too many jobs is told to wait."""

_AFTER_LOOKING = (
    Unavailable,
    RequestIdReused,
    JobExpired,
    TooManyActiveJobs,
    InsufficientCredits,
)
"""What is raised once its request_id was looked for, or could not be."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What a caller asks for."""

    caller: Caller
    request_id: str
    model_id: str
    inputs: Mapping[str, Any]
    owner: str
    correlation_id: str
    destination: Destination | None
    agreed_credits: int | None = None
    """The price that the owner agreed to; None for any."""


async def create_job(deps: Dependencies, request: CreateRequest) -> Job:
    """Make a job durable and return it; the same request_id returns the same job.

    Raises PermissionDenied, RateLimited, UnknownModel, ModelUnavailable, InvalidInputs,
    UploadMissing, ConsentMissing, UnknownPrice, ReferenceUnavailable, RequestIdReused,
    JobExpired, TooManyActiveJobs, Overloaded, StorageQuotaReached, WebhookSecretMissing,
    WebhookDisabled, PriceChanged, SalesClosed, OwnerBlocked, InsufficientCredits.
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
        _key(request),
        charge=_charge(deps, request, priced=priced),
    )
    outcome = await _outcome(deps, request, candidate, model=model)
    if isinstance(outcome, Refusal | Shortage):
        raise _refused(deps, request, refusal=outcome)
    if isinstance(outcome, Repeated):
        return await _repeated(deps, request, outcome)
    accepted = replace(candidate.job, fair_round=outcome.fair_round)
    deps.views.queue.join(accepted)
    return accepted


async def _outcome(
    deps: Dependencies, request: CreateRequest, candidate: Candidate, *, model: Model
) -> Acceptance:
    """Accept a job together with others, unless more than the job has to be looked at."""
    is_off = await model_outage.is_off(deps, model.id)
    has_media = input_media.needs_upload(candidate.job, model=model)
    if is_off or has_media or isinstance(request.destination, Webhook):
        return await _accept_alone(deps, request, candidate, model=model, is_off=is_off)
    return await deps.acceptance.accept(candidate, limits=_limits(deps), database=deps.database)


async def _accept_alone(
    deps: Dependencies,
    request: CreateRequest,
    candidate: Candidate,
    *,
    model: Model,
    is_off: bool,
) -> Acceptance:
    async with deps.database.transaction() as tx:
        # First in the transaction: a second request with this id waits here until this one is
        # committed.
        earlier = await _bind(tx, candidate)
        if earlier:
            return earlier
        await input_media.hold(
            tx,
            request.caller,
            model=model,
            inputs=candidate.job.inputs,
            retention=input_media.kept(deps),
        )
        if is_off:
            await model_outage.admit(deps, tx, candidate.job)
        await _check_endpoint(tx, request)
        # Takes the owner's lock, and so stands as late as it can: jobs of one owner wait behind it.
        (outcome,) = await acceptance.accept(
            tx, [replace(candidate, key=None)], limits=_limits(deps)
        )
        if isinstance(outcome, Refusal | Shortage):  # raised here, so that nothing is held or bound
            raise _refused(deps, request, refusal=outcome)
        return outcome


async def _bind(tx: Transaction, candidate: Candidate) -> Repeated | None:
    if candidate.key is None:
        return None
    bound = await tx.requests.remember(candidate.key, job_id=candidate.job.id)
    return Repeated(*bound) if bound else None


def _limits(deps: Dependencies) -> OwnerLimits:
    return OwnerLimits(deps.limits.active_jobs_per_owner, deps.storage.quota.owner_bytes)


def _check_agreed(request: CreateRequest, price: Price) -> None:
    agreed, credits_ = request.agreed_credits, int(price.credits)
    if agreed is not None and agreed != credits_:
        raise PriceChanged(price=credits_, agreed=agreed)


def _charge(deps: Dependencies, request: CreateRequest, *, priced: pricing.Priced) -> Charge | None:
    payer = request.caller.wallet or request.owner
    return priced.charge(payer) if deps.money.mode else None


def _refused(
    deps: Dependencies, request: CreateRequest, *, refusal: Refusal | Shortage
) -> AtelierError:
    limits = _limits(deps)
    if isinstance(refusal, Shortage):
        return InsufficientCredits(price=refusal.price, balance=refusal.balance)
    if refusal is Refusal.OWNER_BLOCKED:
        return OwnerBlocked(request.owner)
    if refusal is Refusal.STORED_BYTES:
        return StorageQuotaReached(f"owner {request.owner}", limit_bytes=limits.stored_bytes)
    return TooManyActiveJobs(request.owner, limit=limits.active_jobs, retry_after=BUSY_RETRY)


def _check_rights(request: CreateRequest) -> None:
    request.caller.require_owner(request.owner)
    if isinstance(request.destination, Telegram):
        request.caller.require_bot(request.destination.bot_id)


def _check_webhook(deps: Dependencies, request: CreateRequest) -> None:
    if isinstance(request.destination, Webhook):
        deps.webhooks.sender.check(request.destination.url)
        if not request.caller.webhook_secrets:
            raise WebhookSecretMissing


async def _check_endpoint(tx: Transaction, request: CreateRequest) -> None:
    if isinstance(request.destination, Webhook):
        url = request.destination.url
        if await tx.webhooks.is_disabled(url, caller=request.caller.name):
            raise WebhookDisabled(url)


def content_hash(request: CreateRequest) -> bytes:
    """Return what tells two requests with the same id apart."""
    destination = request.destination
    content = {
        "model_id": request.model_id,
        "inputs": request.inputs,
        "owner": request.owner,
        "destination": [type(destination).__name__, asdict(destination)] if destination else None,
    }
    # Sorted, so that two spellings of the same inputs are the same request.
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()


async def _recall(deps: Dependencies, request: CreateRequest, *, is_counted: bool) -> Job | None:
    """Find what the request made before: also where it would not be accepted today."""
    key = _key(request)
    earlier = await repetition.find(deps.database, key) if key else None
    if earlier and is_counted:
        deps.uncount_job(request.caller, request.owner)
    return earlier


async def _repeated(deps: Dependencies, request: CreateRequest, repeated: Repeated) -> Job:
    """Read the job that was accepted instead of this one."""
    key = _key(request)
    assert key is not None  # nothing else is repeated
    bound = (repeated.job_id, repeated.content_hash)
    job = await repetition.job_of(deps.database, key, bound=bound)
    deps.uncount_job(request.caller, request.owner)
    return job


def _key(request: CreateRequest) -> RequestKey | None:
    if not request.request_id:
        return None
    return RequestKey(
        caller=request.caller.name,
        request_id=request.request_id,
        content_hash=content_hash(request),
    )


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
