"""The media that a job refers to as its inputs.

The provider forgets what it was given after a day, and "again" must work a month later: so a job
refers to an upload or to a result of ours.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import FieldViolation, InvalidInputs
from generation_svc.domain.job import Job
from generation_svc.domain.media import Media
from generation_svc.domain.media_input import InputValue, MediaInput, given_in
from generation_svc.domain.model import Model
from generation_svc.domain.port.media import StoredMedia
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.retention import Retention
from generation_svc.domain.schema import Steps
from generation_svc.lifecycle.dependencies import Dependencies

_EXPIRED = "This media has expired. Upload it again with UploadInput."


async def hold(
    tx: Transaction,
    caller: Caller,
    *,
    model: Model,
    inputs: Mapping[str, Any],
    retention: Retention,
) -> None:
    """Keep the job's media for as long as the job.

    Raises InvalidInputs, with a violation for each that is not ours, that has expired or that the
    model cannot take.
    """
    places = [(one, given) for one, given in _places(model, inputs) if not given.is_link]
    flaws: dict[Steps, str] = {}
    # In one order, so that jobs that name the same uploads in several never wait for each other.
    for one, given in sorted(places, key=lambda place: place[1].text.lower()):
        flaw = await _hold(tx, caller, one, given=given, retention=retention)
        if flaw is not None:
            flaws[given.steps] = flaw
    if flaws:
        found = (given for _, given in places if given.steps in flaws)
        raise InvalidInputs(tuple(violation_at(given, flaws[given.steps]) for given in found))


async def _hold(
    tx: Transaction, caller: Caller, one: MediaInput, *, given: InputValue, retention: Retention
) -> str | None:
    stored = await find(tx, caller.name, reference=given.text)
    flaw = _flaw_of(stored, one, given=given)
    if flaw is not None or stored is None:
        return flaw
    is_kept = await _is_kept(tx, stored, reference=given.text, retention=retention)
    return None if is_kept else _EXPIRED


async def look(
    tx: Transaction, caller: Caller, *, model: Model, inputs: Mapping[str, Any]
) -> dict[Steps, Media]:
    """Return the media of ours that inputs name, by place. Raises InvalidInputs as `hold` does."""
    found: dict[Steps, Media] = {}
    violations = []
    for one, given in _places(model, inputs):
        stored = await find(tx, caller.name, reference=given.text) if given.is_ours else None
        flaw = _flaw_of(stored, one, given=given) if given.is_ours else None
        if flaw is not None:
            violations.append(violation_at(given, flaw))
        elif stored is not None:
            found[given.steps] = stored.media
    if violations:
        raise InvalidInputs(tuple(violations))
    return found


def _flaw_of(stored: StoredMedia | None, one: MediaInput, *, given: InputValue) -> str | None:
    if stored is None:
        return f"Media {given.text!r} not found. Upload it with UploadInput."
    return one.flaw_of(stored.media) or (_EXPIRED if stored.is_removed else None)


async def _is_kept(
    tx: Transaction, stored: StoredMedia, *, reference: str, retention: Retention
) -> bool:
    """Return whether the bytes are there until the provider has them; an upload lives on."""
    if reference.startswith("upload:"):
        return await tx.media.keep_upload(stored.media.id, lifetime=retention.uploads)
    expire_time = retention.expire_time(stored.media.mime_type, end_time=stored.end_time)
    return not stored.is_removed and expire_time > tx.now()


def kept(deps: Dependencies) -> Retention:
    """Return for how long things are kept: an upload never less long than a job may need it."""
    retention = deps.storage.retention
    return replace(retention, uploads=max(retention.uploads, deps.timing.input_grace))


def needs_upload(job: Job, *, model: Model) -> bool:
    """Return whether the job has media that the provider cannot fetch by itself."""
    return any(not given.is_link for given in media_of(model, job.inputs))


def media_of(model: Model, inputs: Mapping[str, Any]) -> tuple[InputValue, ...]:
    """Return what these inputs hold in the places that take media."""
    return tuple(given for _, given in _places(model, inputs))


def _places(model: Model, inputs: Mapping[str, Any]) -> list[tuple[MediaInput, InputValue]]:
    return [(one, given) for one in model.media_inputs for given in given_in(dict(inputs), one)]


def violation_at(given: InputValue, description: str) -> FieldViolation:
    """Return what is wrong with one place of the inputs."""
    return FieldViolation(f"inputs.{given.path}", description)


async def find(tx: Transaction, caller: str, *, reference: str) -> StoredMedia | None:
    """Find the upload or the result of an earlier job that an input refers to."""
    kind, _, text = reference.partition(":")
    find_one = tx.media.find_upload if kind == "upload" else tx.media.find_media
    return await find_one(UUID(text), caller=caller)
