"""Gives the provider a job's own media, anew just before each task: it forgets them after a day."""

from uuid import uuid4

from generation_svc.domain.error import (
    MediaNotFound,
    UploadRejected,
)
from generation_svc.domain.job import Job
from generation_svc.domain.media import Media, MediaKind
from generation_svc.domain.model import Model
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.input_media import find, media_of, needs_upload

_GONE = "The file is no longer there."


async def hand_over(deps: Dependencies, job: Job, *, model: Model) -> dict[str, str]:
    """Give the provider the job's media and return its links by field."""
    if not needs_upload(job, model=model):
        return {}
    async with deps.provider.uploads:
        return await _upload(deps, job, model=model)


async def _upload(deps: Dependencies, job: Job, *, model: Model) -> dict[str, str]:
    field, reference = media_of(model, job.inputs)
    async with deps.database.transaction() as tx:
        stored = await find(tx, job.caller, reference=reference)
    if stored is None:
        raise UploadRejected(_GONE)
    try:
        async with deps.media.spool.hold(deps.media.store.stream(stored.key)) as path:
            if reference.startswith("upload:") and stored.media.kind is MediaKind.IMAGE:
                await deps.media.spool.clean(path)  # releases before 0.2 kept metadata
            link = await deps.provider.client.upload(
                path,
                file_name=f"{uuid4().hex}.{_extension(stored.media)}",
                mime_type=stored.media.mime_type,
            )
    except MediaNotFound as error:
        raise UploadRejected(_GONE) from error
    return {field: link}


def _extension(media: Media) -> str:
    return media.mime_type.partition("/")[2]
