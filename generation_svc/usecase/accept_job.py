"""Makes a job that was checked and priced durable, in one transaction with all that it holds.

Jobs that need nothing but their own row are accepted together (`lifecycle/acceptance`); where media
is held, an address looked at or a model tried, the job has a transaction of its own. What else has
to be taken for a job, such as its price, belongs into the same transaction as its row.
"""

from dataclasses import replace
from datetime import timedelta

from generation_svc.domain.clock import day_after
from generation_svc.domain.delivery import Webhook
from generation_svc.domain.error import (
    AtelierError,
    StorageQuotaReached,
    TooManyActiveJobs,
    WebhookDisabled,
)
from generation_svc.domain.model import Model
from generation_svc.domain.money_error import (
    FreeAllowanceUsed,
    InsufficientCredits,
    OwnerBlocked,
)
from generation_svc.domain.port.acceptance import (
    Acceptance,
    Candidate,
    OwnerLimits,
    Refusal,
    Repeated,
    Shortage,
)
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle import acceptance, input_media, model_outage
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.job_request import CreateRequest

BUSY_RETRY = timedelta(seconds=5)
"""How long an owner with too many jobs is told to wait."""


async def accept_job(
    deps: Dependencies, request: CreateRequest, candidate: Candidate, *, model: Model
) -> Acceptance:
    """Accept a job together with others, unless more than the job has to be looked at.

    Raises what keeps it from being accepted, but for an owner's limits, which may be an outcome.
    """
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
            raise refused(deps, request, refusal=outcome)
        return outcome


async def _bind(tx: Transaction, candidate: Candidate) -> Repeated | None:
    if candidate.key is None:
        return None
    bound = await tx.requests.remember(candidate.key, job_id=candidate.job.id)
    return Repeated(*bound) if bound else None


def _limits(deps: Dependencies) -> OwnerLimits:
    return OwnerLimits(
        active_jobs=deps.limits.active_jobs_per_owner,
        stored_bytes=deps.storage.quota.owner_bytes,
        daily_free_jobs=deps.limits.daily_free_jobs_per_owner,
    )


def refused(
    deps: Dependencies, request: CreateRequest, *, refusal: Refusal | Shortage
) -> AtelierError:
    """Return the error of an owner whose limits are reached, or who cannot pay."""
    limits = _limits(deps)
    if isinstance(refusal, Shortage):
        return InsufficientCredits(price=refusal.price, balance=refusal.balance)
    if refusal is Refusal.OWNER_BLOCKED:
        return OwnerBlocked(request.owner)
    if refusal is Refusal.PAYER_BLOCKED:
        return OwnerBlocked(request.owner, payer=request.caller.wallet)
    if refusal is Refusal.FREE_ALLOWANCE:
        return _allowance_used(deps, daily_count=limits.daily_free_jobs or 0)
    if refusal is Refusal.STORED_BYTES:
        return StorageQuotaReached(f"owner {request.owner}", limit_bytes=limits.stored_bytes)
    return TooManyActiveJobs(request.owner, limit=limits.active_jobs, retry_after=BUSY_RETRY)


def _allowance_used(deps: Dependencies, *, daily_count: int) -> FreeAllowanceUsed:
    now = deps.database.now()
    return FreeAllowanceUsed(daily_count=daily_count, retry_after=day_after(now) - now)


async def _check_endpoint(tx: Transaction, request: CreateRequest) -> None:
    if isinstance(request.destination, Webhook):
        url = request.destination.url
        if await tx.webhooks.is_disabled(url, caller=request.caller.name):
            raise WebhookDisabled(url)
