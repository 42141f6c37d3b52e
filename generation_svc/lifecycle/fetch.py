"""Brings a success home: its bytes into our store, then the settlement.

The keys are made from the attempt, so a fetch that was killed is done again over the same place.
"""

import asyncio
from datetime import timedelta
from functools import partial

import structlog

from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.error import (
    FetchFailed,
    LinkDead,
    ProviderError,
    ProviderRefused,
    ResultRejected,
    Unavailable,
)
from generation_svc.domain.identifier import new_id
from generation_svc.domain.job import Failure, FailureReason, Media, Result
from generation_svc.domain.provider import Content
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.context import Context
from generation_svc.lifecycle.persist import persist
from generation_svc.lifecycle.record import settle

DEAD_LINK_TRIES = 8
"""How often a link that gives nothing is tried before the result counts as gone."""
LONGEST_RETRY = timedelta(minutes=5)
_GONE = Failure(FailureReason.RESULT_UNAVAILABLE, "The result could not be had from the provider.")
_logger = structlog.get_logger(__name__)


async def fetch(context: Context) -> bool:
    """Fetch the result that is due; return whether there may be more to do at once."""
    async with context.database.transaction() as tx:
        attempt = await tx.attempts.claim_fetch(lease=context.pace.fetch_lease)
    if attempt is None or attempt.observation is None:
        return False
    structlog.contextvars.bind_contextvars(job_id=str(attempt.job_id))
    try:
        kept = [
            await _keep(context, attempt, position=position, url=url)
            for position, url in enumerate(attempt.observation.result_urls)
        ]
    except ResultRejected as error:
        await _give_up(context, attempt, error=error)
    except (LinkDead, FetchFailed, ProviderError, Unavailable) as error:
        await _come_again(context, attempt, error=error)
    except asyncio.CancelledError:
        await persist(partial(_give_back, context, attempt))
        raise
    else:
        await persist(partial(_bring_home, context, attempt, kept=kept))
    return True


async def _give_back(context: Context, attempt: Attempt) -> None:
    """Make a fetch that was broken off due for another worker."""
    async with context.database.transaction() as tx:
        await tx.attempts.schedule_fetch(attempt.id, due=timedelta(0))
        tx.announce(topic.FETCH)


async def _fetch_one(context: Context, url: str) -> Content:
    try:
        return await context.fetcher.fetch(url)
    except LinkDead:
        return await context.fetcher.fetch(await _fresh_link(context, url))


async def _fresh_link(context: Context, url: str) -> str:
    try:
        return await context.provider.fresh_link(url)
    except ProviderRefused as error:
        raise LinkDead("There is no fresh link.") from error


async def _bring_home(context: Context, attempt: Attempt, *, kept: list[tuple[Media, str]]) -> None:
    async with context.database.transaction() as tx:
        job = await tx.jobs.lock(attempt.job_id)
        current = await tx.attempts.lock(attempt.id)
        if current.state is not AttemptState.SUCCEEDED:
            return
        for position, (media, key) in enumerate(kept):
            await tx.media.insert_media(media, attempt=attempt, position=position, key=key)
        await tx.attempts.end(attempt.id, AttemptState.SETTLED)
        media_kept = tuple(await tx.media.media_of(attempt.id))
        if job.state.is_final:
            await tx.jobs.note(job.id, event="kept_late", detail={"attempt": attempt.number})
            return
        text = attempt.observation.result_text if attempt.observation else ""
        await settle(tx, job, Result(media=media_kept, text=text), event="settled")


async def _keep(
    context: Context, attempt: Attempt, *, position: int, url: str
) -> tuple[Media, str]:
    content = await _fetch_one(context, url)
    key = f"result/{attempt.job_id}/{attempt.id}/{position}"
    await context.store.put(key, content.data)
    media = Media(
        id=new_id(context.database.now()),
        mime_type=content.mime_type,
        size_bytes=len(content.data),
        width=content.width,
        height=content.height,
        sha256=content.sha256,
    )
    return media, key


async def _come_again(context: Context, attempt: Attempt, *, error: Exception) -> None:
    _logger.warning("the result could not be fetched", error=repr(error), tries=attempt.fetch_tries)
    if isinstance(error, LinkDead) and attempt.fetch_tries >= DEAD_LINK_TRIES:
        await _give_up(context, attempt, error=error)
        return
    due = min(context.pace.fetch_retry * 2 ** min(attempt.fetch_tries - 1, 10), LONGEST_RETRY)
    async with context.database.transaction() as tx:
        await tx.attempts.schedule_fetch(attempt.id, due=due)
        detail = {"tries": attempt.fetch_tries, "error": type(error).__name__}
        await tx.jobs.note(attempt.job_id, event="fetch_failed", detail=detail)


async def _give_up(context: Context, attempt: Attempt, *, error: Exception) -> None:
    _logger.error("the result is given up", error=repr(error))
    async with context.database.transaction() as tx:
        job = await tx.jobs.lock(attempt.job_id)
        current = await tx.attempts.lock(attempt.id)
        if current.state is not AttemptState.SUCCEEDED:
            return
        await tx.attempts.end(attempt.id, AttemptState.FAILED, error=repr(error))
        if not job.state.is_final and not await tx.attempts.live(job.id):
            await settle(tx, job, _GONE, event="gave_up")
