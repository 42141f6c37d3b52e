"""Removes expired data, a batch of each kind at a time.

Bytes go before what their row says of them, and the row is locked meanwhile. So whatever
instruction a process is killed at, no bytes are left without a row that leads to them, and any
number of replicas may do this at once.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from generation_svc.domain.error import Unavailable
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.retention import Expired
from generation_svc.engine.batch import BATCH, one_by_one
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.input_media import kept
from runtime.clock import utc_now

WEBHOOK_LIFETIME = timedelta(days=35)
"""How long an enabled address that nothing is posted to stays in the list."""
MOST_CLOCK_ERROR = timedelta(days=1)
"""From which difference on between the database's clock and ours one of them must be wrong; what is
forgotten cannot be had back, and it can wait."""

_logger = structlog.get_logger(__name__)

Find = Callable[[Transaction, Expired | None], Awaitable[Sequence[Expired]]]
Remove = Callable[[Dependencies, UUID], Awaitable[bool]]


async def forget_expired(deps: Dependencies) -> bool:
    """Forget a batch of everything that is past its time; return whether there may be more.

    Raises Unavailable at the end: a media store that is away keeps no row from being forgotten.
    """
    if not await _is_clock_believed(deps):
        return False
    is_more: list[bool] = []
    troubles: list[Unavailable] = []

    async def forget(step: Callable[[Dependencies], Awaitable[bool]]) -> None:
        try:
            is_more.append(await step(deps))
        except Unavailable as error:
            troubles.append(error)

    await one_by_one(STEPS, forget)
    if troubles:
        raise troubles[0]
    return any(is_more)


async def _is_clock_believed(deps: Dependencies) -> bool:
    """Return whether the clocks agree: by one that jumped ahead, everything would have expired."""
    async with deps.database.transaction() as tx:
        error = await tx.retention.clock_error(utc_now())
    if abs(error) <= MOST_CLOCK_ERROR:
        return True
    _logger.error(
        "nothing is forgotten: the clocks of the database and of this machine differ",
        action="clock_error",
        seconds=round(error.total_seconds()),
    )
    return False


async def expire_videos(deps: Dependencies) -> bool:
    """Videos past their time lose their bytes; their rows stay, as those of other media do."""
    return await _expire_media(deps, is_video=True, age=deps.storage.retention.videos)


async def expire_media(deps: Dependencies) -> bool:
    """Media past its time loses its bytes; its row says that it was there, as long as its job."""
    return await _expire_media(deps, is_video=False, age=deps.storage.retention.media)


async def _expire_media(deps: Dependencies, *, is_video: bool, age: timedelta) -> bool:
    # A job that was accepted just before may still need it as its input: it gets the time for that.
    age += deps.timing.input_grace

    async def find(tx: Transaction, last: Expired | None) -> Sequence[Expired]:
        return await tx.retention.expired_media(
            is_video=is_video, older_than=age, after=last, limit=BATCH
        )

    walk = "video" if is_video else "media"
    return await _remove_each(deps, find, _remove_media, walk=walk, kind="media")


async def _remove_media(deps: Dependencies, media_id: UUID) -> bool:
    async with deps.database.transaction() as tx:
        key = await tx.retention.lock_media(media_id)
        if key is None:
            return False
        await deps.media.store.delete(key)
        await tx.retention.media_removed(media_id)
    return True


async def expire_uploads(deps: Dependencies) -> bool:
    """Uploads past their time lose their bytes; their rows stay for as long as a job would."""

    async def find(tx: Transaction, last: Expired | None) -> Sequence[Expired]:
        return await tx.retention.expired_uploads(after=last, limit=BATCH)

    return await _remove_each(deps, find, _remove_upload, walk="upload", kind="upload")


async def _remove_upload(deps: Dependencies, upload_id: UUID) -> bool:
    async with deps.database.transaction() as tx:
        key = await tx.retention.lock_upload(upload_id)
        if key is None:
            return False
        # Inside of the transaction: its row lock makes a job that wants this upload wait, and find
        # it gone.
        await deps.media.store.delete(key)
        await tx.retention.upload_removed(upload_id)
    return True


async def _remove_each(
    deps: Dependencies, find: Find, remove: Remove, *, walk: str, kind: str
) -> bool:
    """Remove the next batch, and begin anew behind the last one.

    The next round goes on where this one stood, whatever became of it: so what cannot be removed
    stands before nothing else, also where that is much and each round ends at the first few.
    """
    removed: list[UUID] = []
    known = deps.storage.removed_up_to
    async with deps.database.transaction() as tx:
        found = await find(tx, known.get(walk))
    is_more = len(found) >= BATCH
    known[walk] = found[-1] if is_more else None

    async def one(expired: Expired) -> None:
        if await remove(deps, expired.id):
            removed.append(expired.id)

    try:
        # In any order, so that the few that cannot be removed are not always the first ones.
        await one_by_one(random.sample(found, len(found)), one)
    finally:
        deps.meter.expired.labels(kind).inc(len(removed))
    return is_more


async def shorten_uploads(deps: Dependencies) -> bool:
    """Shorten the lifetime of uploads that exceeds the current settings."""
    retention = kept(deps)
    lifetime = max(retention.uploads, retention.unused_uploads)
    async with deps.database.transaction() as tx:
        return await tx.retention.shorten_uploads(lifetime=lifetime, limit=BATCH) >= BATCH


async def forget_uploads(deps: Dependencies) -> bool:
    """Nobody remembers an upload that expired as long ago as a job that is forgotten."""
    async with deps.database.transaction() as tx:
        age = deps.storage.retention.jobs
        return await tx.retention.forget_uploads(older_than=age, limit=BATCH) >= BATCH


async def forget_jobs(deps: Dependencies) -> bool:
    """Jobs go with all that belongs to them; what their request_id stood for is remembered."""
    age = deps.storage.retention.jobs

    async def find(tx: Transaction, last: Expired | None) -> Sequence[Expired]:
        return await tx.retention.forgettable_jobs(older_than=age, after=last, limit=BATCH)

    return await _remove_each(deps, find, _forget_job, walk="job", kind="job")


async def _forget_job(deps: Dependencies, job_id: UUID) -> bool:
    # In a transaction of its own: one that cannot be removed keeps no other.
    async with deps.database.transaction() as tx:
        return await tx.retention.forget_job(job_id)


async def forget_callbacks(deps: Dependencies) -> bool:
    """Callbacks are evidence, and evidence of what was settled long ago is not looked at."""
    async with deps.database.transaction() as tx:
        age = deps.storage.retention.callbacks
        forgotten = await tx.retention.forget_callbacks(older_than=age, limit=BATCH)
    deps.meter.expired.labels("callback").inc(forgotten)
    return forgotten >= BATCH


async def forget_requests(deps: Dependencies) -> bool:
    """What a request_id stood for is remembered for so long, and no longer."""
    async with deps.database.transaction() as tx:
        age = deps.storage.retention.requests
        return await tx.requests.forget(older_than=age, limit=BATCH) >= BATCH


async def forget_webhooks(deps: Dependencies) -> bool:
    """Forget enabled addresses that have not been posted to for a long time."""
    async with deps.database.transaction() as tx:
        return await tx.webhooks.forget_idle(older_than=WEBHOOK_LIFETIME, limit=BATCH) >= BATCH


STEPS = (
    expire_videos,
    expire_media,
    expire_uploads,
    shorten_uploads,
    forget_uploads,
    forget_jobs,
    forget_callbacks,
    forget_requests,
    forget_webhooks,
)
"""All of it; each is independent of the others, and a fault in one stops none of them."""
