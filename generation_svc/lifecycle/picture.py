"""The user's picture on its way: from the request into our store, from our store to the provider.

The provider forgets a picture after a day, and "again" must work a month later: so what a job
refers to is an upload or a result of ours, and it is handed over anew just before each task.
"""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import UUID, uuid4

from generation_svc.domain.caller import Caller
from generation_svc.domain.catalog import Model
from generation_svc.domain.error import (
    FieldViolation,
    InvalidInputs,
    MediaNotFound,
    UploadRejected,
)
from generation_svc.domain.identifier import new_id
from generation_svc.domain.job import Job, Upload
from generation_svc.domain.port import StoredMedia, Transaction
from generation_svc.domain.provider import Examined
from generation_svc.lifecycle.context import Context

UNUSED_LIFETIME = timedelta(hours=24)
"""How long an upload lives that no job uses."""
USED_LIFETIME = timedelta(days=400)
"""How long an upload lives after a job used it: as long as its request_id."""


def admit(context: Context, caller: Caller, *, owner: str) -> None:
    """Let a caller upload for an owner. Raises PermissionDenied, RateLimited."""
    caller.require_owner(owner)
    context.count_job(caller, owner)


async def upload(
    context: Context, caller: Caller, *, owner: str, pieces: AsyncIterator[bytes]
) -> Upload:
    """Keep a picture as an input for later, without its metadata.

    Raises UploadRejected, Overloaded or Unavailable.
    """
    async with context.spool.open(caller=caller.name, owner=owner) as file:
        async for piece in pieces:
            await file.write(piece)
            del piece  # the next one may be long in coming
        return await _keep(context, caller, owner=owner, examined=await file.examine())


async def _keep(context: Context, caller: Caller, *, owner: str, examined: Examined) -> Upload:
    kept = Upload(
        id=new_id(context.database.now()),
        mime_type=examined.mime_type,
        size_bytes=examined.size_bytes,
        width=examined.width,
        height=examined.height,
        sha256=examined.sha256,
    )
    key = f"upload/{kept.id}"
    await context.store.put_file(key, examined.path)
    async with context.database.transaction() as tx:
        await tx.media.insert_upload(
            kept, caller=caller.name, owner=owner, key=key, lifetime=UNUSED_LIFETIME
        )
    return kept


async def store(
    context: Context, caller: Caller, *, owner: str, model: Model, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the inputs with an upload in place of a `data:` picture. Raises InvalidInputs."""
    field, reference = _picture_of(model, inputs)
    if not reference.startswith("data:"):
        return dict(inputs)
    try:
        pieces = _pieces(_decode(reference))
        kept = await upload(context, caller, owner=owner, pieces=pieces)
    except UploadRejected as error:
        raise _violation(field, str(error)) from error
    return {**inputs, field: f"upload:{kept.id}"}


async def hold(tx: Transaction, caller: Caller, *, model: Model, inputs: Mapping[str, Any]) -> None:
    """Keep the job's picture for as long as the job. Raises InvalidInputs if we have it not."""
    field, reference = _picture_of(model, inputs)
    if not reference or _is_link(reference):
        return
    stored = await _find(tx, caller.name, reference=reference)
    if stored is None:
        raise _violation(field, "There is no such picture of yours; upload it with UploadInput.")
    await tx.media.keep_upload(stored.media.id, lifetime=USED_LIFETIME)


async def hand_over(context: Context, job: Job, *, model: Model) -> dict[str, str]:
    """Give the provider the job's picture and return its links by field."""
    if not needs_upload(job, model=model):
        return {}
    async with context.uploads:
        return await _upload(context, job, model=model)


def needs_upload(job: Job, *, model: Model) -> bool:
    """Return whether the job has a picture that the provider cannot fetch by itself."""
    _, reference = _picture_of(model, job.inputs)
    return bool(reference) and not _is_link(reference)


async def _upload(context: Context, job: Job, *, model: Model) -> dict[str, str]:
    field, reference = _picture_of(model, job.inputs)
    async with context.database.transaction() as tx:
        stored = await _find(tx, job.caller, reference=reference)
    if stored is None:
        raise UploadRejected("The picture is no longer there.")
    try:
        data = await context.store.read(stored.key)
    except MediaNotFound as error:
        raise UploadRejected("The picture is no longer there.") from error
    if reference.startswith("upload:"):
        data = await context.spool.cleaned(data)  # releases before 0.2 kept metadata
    extension = stored.media.mime_type.partition("/")[2]
    link = await context.provider.upload(
        data, file_name=f"{uuid4().hex}.{extension}", mime_type=stored.media.mime_type
    )
    return {field: link}


def _picture_of(model: Model, inputs: Mapping[str, Any]) -> tuple[str, str]:
    field = model.picture.field if model.picture else ""
    reference = inputs.get(field)
    return field, reference if isinstance(reference, str) else ""


def _is_link(reference: str) -> bool:
    return reference[:6].lower() == "https:"


def _violation(field: str, description: str) -> InvalidInputs:
    return InvalidInputs((FieldViolation(f"inputs.{field}", description),))


async def _find(tx: Transaction, caller: str, *, reference: str) -> StoredMedia | None:
    kind, _, text = reference.partition(":")
    find = tx.media.find_upload if kind == "upload" else tx.media.find_media
    return await find(UUID(text), caller=caller)


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _decode(link: str) -> bytes:
    head, _, body = link.partition(",")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise UploadRejected("The data link is no valid Base64.") from error
