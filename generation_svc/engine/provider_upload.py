"""Gives the provider a job's own media, anew just before each task: it forgets them after a day."""

from uuid import uuid4

from generation_svc.domain.error import (
    MediaNotFound,
    UploadRejected,
)
from generation_svc.domain.model import Model
from generation_svc.domain.port.queue import Claim
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.input_media import find, media_of, needs_upload


async def hand_over(deps: Dependencies, claim: Claim, *, model: Model) -> dict[str, str]:
    """Give the provider the job's picture, on the account of the claim; return links by field."""
    if not needs_upload(claim.job, model=model):
        return {}
    async with deps.provider.uploads:
        return await _upload(deps, claim, model=model)


async def _upload(deps: Dependencies, claim: Claim, *, model: Model) -> dict[str, str]:
    job = claim.job
    field, reference = media_of(model, job.inputs)
    async with deps.database.transaction() as tx:
        stored = await find(tx, job.caller, reference=reference)
    if stored is None:
        raise UploadRejected("The picture is no longer there.")
    try:
        data = await deps.media.store.read(stored.key)
    except MediaNotFound as error:
        raise UploadRejected("The picture is no longer there.") from error
    if reference.startswith("upload:"):
        data = await deps.media.spool.cleaned(data)  # releases before 0.2 kept metadata
    extension = stored.media.mime_type.partition("/")[2]
    link = await deps.provider.client.upload(
        data,
        file_name=f"{uuid4().hex}.{extension}",
        mime_type=stored.media.mime_type,
        account=claim.account.name,
    )
    return {field: link}
