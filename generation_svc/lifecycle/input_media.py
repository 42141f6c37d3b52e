"""The media that a job refers to as its input.

The provider forgets what it was given after a day, and "again" must work a month later: so a job
refers to an upload or to a result of ours.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import (
    FieldViolation,
    InvalidInputs,
)
from generation_svc.domain.job import Job
from generation_svc.domain.model import Model
from generation_svc.domain.port.media import StoredMedia
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.retention import Retention


async def hold(
    tx: Transaction,
    caller: Caller,
    *,
    model: Model,
    inputs: Mapping[str, Any],
    retention: Retention,
) -> None:
    """Keep the job's picture for as long as the job. Raises InvalidInputs if we have it not."""
    field, reference = media_of(model, inputs)
    if not reference or is_link(reference):
        return
    stored = await find(tx, caller.name, reference=reference)
    if stored is None:
        raise violation(field, "There is no such picture of yours; upload it with UploadInput.")
    if not await _is_kept(tx, stored, reference=reference, retention=retention):
        raise violation(field, "This picture has expired; upload it again with UploadInput.")


async def _is_kept(
    tx: Transaction, stored: StoredMedia, *, reference: str, retention: Retention
) -> bool:
    """Return whether the bytes are there until the provider has them; an upload lives on."""
    if reference.startswith("upload:"):
        return await tx.media.keep_upload(stored.media.id, lifetime=retention.uploads)
    expire_time = retention.expire_time(stored.media.mime_type, end_time=stored.end_time)
    return not stored.is_removed and expire_time > tx.now()


def needs_upload(job: Job, *, model: Model) -> bool:
    """Return whether the job has a picture that the provider cannot fetch by itself."""
    _, reference = media_of(model, job.inputs)
    return bool(reference) and not is_link(reference)


def media_of(model: Model, inputs: Mapping[str, Any]) -> tuple[str, str]:
    """Return the field of a model's picture and what these inputs hold there."""
    field = model.picture.field if model.picture else ""
    reference = inputs.get(field)
    return field, reference if isinstance(reference, str) else ""


def is_link(reference: str) -> bool:
    """Return whether the provider fetches it by itself."""
    return reference[:6].lower() == "https:"


def violation(field: str, description: str) -> InvalidInputs:
    """Return the refusal of one input."""
    return InvalidInputs((FieldViolation(f"inputs.{field}", description),))


async def find(tx: Transaction, caller: str, *, reference: str) -> StoredMedia | None:
    """Find the upload or the result of an earlier job that an input refers to."""
    kind, _, text = reference.partition(":")
    find_one = tx.media.find_upload if kind == "upload" else tx.media.find_media
    return await find_one(UUID(text), caller=caller)
