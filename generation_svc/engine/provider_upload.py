"""Uploads a job's own media to the provider before each task, since it keeps them for a day."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import structlog

from generation_svc.domain.error import MediaNotFound, Unavailable, UploadRejected
from generation_svc.domain.job import Job
from generation_svc.domain.media import Media, MediaKind
from generation_svc.domain.media_input import InputValue
from generation_svc.domain.model import Model
from generation_svc.domain.port.queue import Claim
from generation_svc.domain.schema import Steps
from generation_svc.lifecycle import reference
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.input_media import find, media_of

MOST_AT_ONCE = 3
"""How many media of one job are handed over at the same time."""
KEEPS_PER_LEASE = 3
"""How often a claim is extended in the time that it lasts."""
_GONE = "Media that the job refers to is no longer available."
_EXTENSIONS = {
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/x-ms-wma": "wma",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
}
"""The endings that are not the second half of a type: hosts and models go by them."""
_logger = structlog.get_logger(__name__)


async def hand_over(deps: Dependencies, claim: Claim, *, model: Model) -> dict[Steps, str]:
    """Return what the provider is told in each place that names media or an earlier job.

    Media of ours is handed over first, each once and on the account of the claim, and its link is
    told.
    """
    job = claim.job
    resolved = await _refer(deps, job, model=model)
    own = [given for given in media_of(model, job.inputs) if not given.is_link]
    if own:
        async with deps.provider.uploads, _kept(deps, claim):
            resolved |= await _upload_all(deps, claim, own=own)
    return resolved


@asynccontextmanager
async def _kept(deps: Dependencies, claim: Claim) -> AsyncIterator[None]:
    """Keep the claim while the block runs: a film takes longer than a claim lasts."""
    keeping = asyncio.create_task(_keep(deps, claim), name="keep-claim")
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def _keep(deps: Dependencies, claim: Claim) -> None:
    """Extend the claim again and again; one that is lost is noticed before anything is sent."""
    lease = deps.timing.submit_lease
    is_ours = True
    while is_ours:
        await asyncio.sleep(lease.total_seconds() / KEEPS_PER_LEASE)
        try:
            async with deps.database.transaction() as tx:
                is_ours = await tx.queue.extend(claim, lease=lease)
        except Unavailable:
            _logger.warning("a claim could not be extended", action="claim_not_extended")


async def _refer(deps: Dependencies, job: Job, *, model: Model) -> dict[Steps, str]:
    if not reference.job_ids(model, job.inputs):
        return {}
    async with deps.database.transaction() as tx:
        return await reference.resolve(tx, job, model=model)


async def _upload_all(
    deps: Dependencies, claim: Claim, *, own: list[InputValue]
) -> dict[Steps, str]:
    """Hand over each media once, a few at once."""
    slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def upload(text: str) -> str:
        async with slots:
            return await _upload(deps, claim, text=text)

    try:
        async with asyncio.TaskGroup() as group:
            texts = dict.fromkeys(given.text for given in own)
            tasks = {text: group.create_task(upload(text), name="upload") for text in texts}
    except ExceptionGroup as errors:
        # The group has cancelled the others; the first error decides what becomes of the job.
        raise errors.exceptions[0] from errors
    return {given.steps: tasks[given.text].result() for given in own}


async def _upload(deps: Dependencies, claim: Claim, *, text: str) -> str:
    async with deps.database.transaction() as tx:
        stored = await find(tx, claim.job.caller, reference=text)
    if stored is None:
        raise UploadRejected(_GONE)
    try:
        async with deps.media.spool.hold(deps.media.store.stream(stored.key)) as path:
            if text.startswith("upload:") and stored.media.kind is MediaKind.IMAGE:
                await deps.media.spool.clean(path)  # releases before 0.2 kept metadata
            return await deps.provider.client.upload(
                path,
                file_name=f"{uuid4().hex}.{_extension(stored.media)}",
                mime_type=stored.media.mime_type,
                account=claim.account.name,
            )
    except MediaNotFound as error:
        raise UploadRejected(_GONE) from error


def _extension(media: Media) -> str:
    return _EXTENSIONS.get(media.mime_type) or media.mime_type.partition("/")[2]
