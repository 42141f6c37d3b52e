"""Accepts a job in one transaction, before the provider is called."""

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.delivery import Destination, Telegram, Webhook
from generation_svc.domain.error import (
    JobExpired,
    Overloaded,
    RequestIdReused,
    TooManyActiveJobs,
    WebhookDisabled,
    WebhookSecretMissing,
)
from generation_svc.domain.identifier import new_id
from generation_svc.domain.job import Job, JobState, Price
from generation_svc.domain.model import Model
from generation_svc.domain.port.request import RequestKey
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle import input_media, model_outage, reference, storage_limit, topic
from generation_svc.lifecycle.account import account_for
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.forecast import with_forecast
from generation_svc.lifecycle.record import show_progress
from generation_svc.usecase import upload_input

PROGRESS_DELAY = timedelta(seconds=1)
"""The edge shows an accepted job itself; the delivery is for an edge that was killed before."""
BUSY_RETRY = timedelta(seconds=5)
"""How long an owner with too many jobs is told to wait."""


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


async def create_job(deps: Dependencies, request: CreateRequest) -> Job:
    """Make a job durable and return it; the same request_id returns the same job.

    Raises PermissionDenied, RateLimited, UnknownModel, ModelUnavailable, InvalidInputs,
    ReferenceUnavailable, RequestIdReused, JobExpired, TooManyActiveJobs, Overloaded,
    StorageQuotaReached, WebhookSecretMissing, WebhookDisabled.
    """
    _check_rights(request)
    # First of all: a repetition gets its job even where a new one would be refused by now.
    earlier = await _recall(deps, request)
    if earlier:
        return await with_forecast(deps, earlier)
    deps.count_job(request.caller, request.owner)
    await _check_room(deps, request)
    _check_webhook(deps, request)
    model = deps.models.catalog.get(request.model_id)
    await storage_limit.admit_job(deps, model)
    valid = deps.models.validate_inputs(model, request.inputs)
    account = await _account_for(deps, request, model=model, inputs=valid)
    # Before the transaction: keeping media takes long, and a transaction holds a connection.
    inputs = await upload_input.store(
        deps, request.caller, owner=request.owner, model=model, inputs=valid
    )
    is_off = await model_outage.is_off(deps, model.id)
    job = _new_job(deps, request, model=model, inputs=inputs, account=account)
    job = await _insert(deps, request, job=job, model=model, is_off=is_off)
    return await with_forecast(deps, job)


async def _insert(
    deps: Dependencies,
    request: CreateRequest,
    *,
    job: Job,
    model: Model,
    is_off: bool,
) -> Job:
    async with deps.database.transaction() as tx:
        # First in the transaction: a second request with this id waits here until this one is
        # committed.
        earlier = await _bind(tx, request, job_id=job.id)
        if earlier:
            return earlier
        await input_media.hold(
            tx,
            request.caller,
            model=model,
            inputs=job.inputs,
            retention=input_media.kept(deps),
        )
        if is_off:
            await model_outage.admit(deps, tx, job)
        # Takes the owner's lock, and so stands as late as it can: jobs of one owner wait behind it.
        await _check_quota(deps, tx, request)
        await storage_limit.check_owner(deps, tx, request.caller, owner=request.owner)
        await _check_endpoint(tx, request)
        fair_round = await tx.jobs.insert(job, destination=request.destination)
        await show_progress(tx, job, due=PROGRESS_DELAY)
        tx.announce(topic.DISPATCH)
    accepted = replace(job, fair_round=fair_round)
    deps.views.queue.join(accepted)
    return accepted


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


async def _recall(deps: Dependencies, request: CreateRequest) -> Job | None:
    """Find what the request made before: also where it would not be accepted today."""
    if not request.request_id:
        return None
    async with deps.database.transaction() as tx:
        key = _key(request)
        bound = await tx.requests.find(key.request_id, caller=key.caller)
        return await _same(tx, key, bound=bound) if bound else None


async def _bind(tx: Transaction, request: CreateRequest, *, job_id: UUID) -> Job | None:
    """Bind the request to the new job, or find what one just before it made."""
    if not request.request_id:
        return None
    key = _key(request)
    bound = await tx.requests.remember(key, job_id=job_id)
    return await _same(tx, key, bound=bound) if bound else None


async def _same(tx: Transaction, key: RequestKey, *, bound: tuple[UUID, bytes]) -> Job:
    earlier_id, earlier_hash = bound
    job = await tx.jobs.get(earlier_id)
    if job is None:  # its binding outlives it, so that it is never made a second time
        raise JobExpired(key.request_id, job_id=str(earlier_id))
    if earlier_hash != key.content_hash:
        raise RequestIdReused(key.request_id, job_id=str(earlier_id))
    return job


def _key(request: CreateRequest) -> RequestKey:
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


async def _check_quota(deps: Dependencies, tx: Transaction, request: CreateRequest) -> None:
    limit = deps.limits.active_jobs_per_owner
    if await tx.jobs.count_active(request.owner, caller=request.caller.name) >= limit:
        raise TooManyActiveJobs(request.owner, limit=limit, retry_after=BUSY_RETRY)


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
    account: str | None,
) -> Job:
    time = deps.database.now()
    return Job(
        id=new_id(time),
        caller=request.caller.name,
        owner=request.owner,
        model_id=model.id,
        inputs=inputs,
        price=Price(is_free=model.is_free, credits="0"),
        correlation_id=request.correlation_id,
        create_time=time,
        start_deadline_time=time + deps.timing.start_deadline,
        state=JobState.QUEUED,
        revision=1,
        update_time=time,
        account=account,
    )
