"""Models that the provider switched off: hidden for a while, then tried with one job at a time.

All replicas know through the database. While a model rests, no job of it is accepted, and those
that wait fail at once, since each would be refused. When the rest is over, one job is let through;
what becomes of it ends the outage or begins the next rest.
"""

from collections.abc import Mapping
from datetime import datetime

import structlog

from generation_svc.domain.error import ModelUnavailable
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle.dependencies import Dependencies

_MAX_TEXT = 200
_ABOUT_THE_INPUT = (
    FailureReason.CONTENT_REFUSED,
    FailureReason.INPUT_UNREADABLE,
    FailureReason.REQUEST_REFUSED,
)
"""The provider looks at the model before it looks at the fields."""
_logger = structlog.get_logger(__name__)


async def begin(deps: Dependencies, tx: Transaction, *, model_id: str, text: str) -> None:
    """Hide a model that the provider refused, and tell the operator."""
    rest = deps.timing.model_rest
    is_news = await tx.models.begin_outage(model_id, rest=rest, text=text[:_MAX_TEXT])
    # Once it is durable this process refuses new jobs at once; the others read it within a second.
    tx.at_end(lambda _: deps.models.off.expire())
    deps.meter.models_switched_off.labels(model_id).inc()
    log = _logger.error if is_news else _logger.warning
    log(
        "the provider has switched a model off",
        action="model_off",
        model=model_id,
        text=text[:_MAX_TEXT],
        hidden_s=rest.total_seconds(),
    )


async def admit(deps: Dependencies, tx: Transaction, job: Job) -> None:
    """Let a new job in, unless its model is off. Raises ModelUnavailable."""
    rest_left = await tx.models.rest_left(job.model_id)
    if rest_left is None:
        return
    if rest_left or not await _may_try(deps, tx, job):
        retry_after = rest_left or deps.timing.submit_lease
        raise ModelUnavailable(job.model_id, retry_after=retry_after)


async def is_off(deps: Dependencies, model_id: str) -> bool:
    """Return whether a model was off a moment ago, resting or about to be tried.

    A job that is let in on an older word fails when it is sent, or is the one that tries.
    """
    return model_id in await _known(deps)


async def may_try(deps: Dependencies, tx: Transaction, job: Job) -> bool | None:
    """Return whether this job may try a model that was off; None while no job may."""
    rest_left = await tx.models.rest_left(job.model_id)
    if rest_left:
        return None
    return rest_left is None or await _may_try(deps, tx, job)


async def conclude(deps: Dependencies, job: Job) -> None:
    """End the outage if the provider took the job, or refused it for what it asks for."""
    async with deps.database.transaction() as tx:
        current = await tx.jobs.get(job.id)
        if current and _shows_a_model(current) and await tx.models.end_outage(job.model_id):
            _logger.info(
                "the provider has switched a model on again", action="model_on", model=job.model_id
            )


def _shows_a_model(job: Job) -> bool:
    if job.state is JobState.FAILED and job.failure is not None:
        return job.failure.reason in _ABOUT_THE_INPUT
    return job.state in (JobState.RUNNING, JobState.SUCCEEDED)


async def _may_try(deps: Dependencies, tx: Transaction, job: Job) -> bool:
    span = deps.timing.submit_lease
    return await tx.models.claim_probe(job.model_id, job_id=job.id, span=span)


async def resting(deps: Dependencies) -> Mapping[str, datetime]:
    """Return the models that are hidden, and until when, as known a moment ago."""
    now = deps.database.now()
    return {model: until for model, until in (await _known(deps)).items() if until > now}


async def _known(deps: Dependencies) -> Mapping[str, datetime]:
    return await deps.models.off.get(_read, database=deps.database)


async def _read(tx: Transaction) -> Mapping[str, datetime]:
    return await tx.models.outages()
