"""Accepts a job: one transaction, before anything is asked of the provider."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from uuid6 import uuid7

from generation_svc.domain.caller import Caller
from generation_svc.domain.catalog import Model
from generation_svc.domain.delivery import Destination, Webhook
from generation_svc.domain.error import (
    RequestIdReused,
    TooManyActiveJobs,
    WebhookDisabled,
    WebhookSecretMissing,
)
from generation_svc.domain.job import Job, JobState, Price
from generation_svc.domain.port import RequestKey, Transaction
from generation_svc.lifecycle import picture, topic
from generation_svc.lifecycle.context import Context, now
from generation_svc.lifecycle.record import show_progress

PROGRESS_DELAY = timedelta(seconds=1)
"""The edge shows an accepted job itself; the delivery is for an edge that was killed before."""
BUSY_RETRY = timedelta(seconds=5)
"""When an owner with too many jobs may come again."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asks for."""

    caller: Caller
    request_id: str
    model_id: str
    inputs: Mapping[str, Any]
    owner: str
    correlation_id: str
    destination: Destination | None


async def accept(context: Context, request: Request) -> Job:
    """Make a job durable and return it; the same request_id returns the same job.

    Raises UnknownModel, InvalidInputs, RequestIdReused, TooManyActiveJobs, WebhookSecretMissing,
    WebhookDisabled.
    """
    earlier = await _recall(context, request)
    if earlier:
        return earlier
    _check_webhook(context, request)
    model = context.catalog.get(request.model_id)
    inputs = await picture.store(
        context,
        request.caller,
        owner=request.owner,
        model=model,
        inputs=context.validate_inputs(model, request.inputs),
    )
    job = _new_job(context, request, model=model, inputs=inputs)
    async with context.database.transaction() as tx:
        earlier = await _bind(tx, request, job_id=job.id)
        if earlier:
            return earlier
        await picture.hold(tx, request.caller, model=model, inputs=inputs)
        await _check_quota(context, tx, request)
        await _check_endpoint(tx, request)
        await tx.jobs.insert(job, destination=request.destination)
        await show_progress(tx, job, due=PROGRESS_DELAY)
        tx.announce(topic.DISPATCH)
    return job


def _check_webhook(context: Context, request: Request) -> None:
    if isinstance(request.destination, Webhook):
        context.webhooks.check(request.destination.url)
        if not request.caller.webhook_secrets:
            raise WebhookSecretMissing


async def _check_endpoint(tx: Transaction, request: Request) -> None:
    if isinstance(request.destination, Webhook):
        url = request.destination.url
        if await tx.webhooks.is_disabled(url, caller=request.caller.name):
            raise WebhookDisabled(url)


def content_hash(request: Request) -> bytes:
    """Return what tells two requests with the same id apart."""
    destination = request.destination
    content = {
        "model_id": request.model_id,
        "inputs": request.inputs,
        "owner": request.owner,
        "destination": [type(destination).__name__, asdict(destination)] if destination else None,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()


async def _recall(context: Context, request: Request) -> Job | None:
    """Find what the request made before: also where it would not be accepted today."""
    if not request.request_id:
        return None
    async with context.database.transaction() as tx:
        key = _key(request)
        bound = await tx.jobs.find_request(key.request_id, caller=key.caller)
        return await _same(tx, key, bound=bound) if bound else None


async def _bind(tx: Transaction, request: Request, *, job_id: UUID) -> Job | None:
    """Bind the request to the new job, or find what one just before it made."""
    if not request.request_id:
        return None
    key = _key(request)
    bound = await tx.jobs.remember_request(key, job_id=job_id)
    return await _same(tx, key, bound=bound) if bound else None


async def _same(tx: Transaction, key: RequestKey, *, bound: tuple[UUID, bytes]) -> Job | None:
    earlier_id, earlier_hash = bound
    if earlier_hash != key.content_hash:
        raise RequestIdReused(key.request_id, job_id=str(earlier_id))
    return await tx.jobs.get(earlier_id)


def _key(request: Request) -> RequestKey:
    return RequestKey(
        caller=request.caller.name,
        request_id=request.request_id,
        content_hash=content_hash(request),
    )


async def _check_quota(context: Context, tx: Transaction, request: Request) -> None:
    limit = context.limits.active_jobs_per_owner
    if await tx.jobs.count_active(request.owner, caller=request.caller.name) >= limit:
        raise TooManyActiveJobs(request.owner, limit=limit, retry_after=BUSY_RETRY)


def _new_job(context: Context, request: Request, *, model: Model, inputs: Mapping[str, Any]) -> Job:
    time = now()
    return Job(
        id=UUID(bytes=uuid7().bytes),
        caller=request.caller.name,
        owner=request.owner,
        model_id=model.id,
        inputs=inputs,
        price=Price(is_free=model.pricing.is_free, credits="0"),
        correlation_id=request.correlation_id,
        create_time=time,
        start_deadline_time=time + context.pace.start_deadline,
        state=JobState.QUEUED,
        revision=1,
        update_time=time,
    )
