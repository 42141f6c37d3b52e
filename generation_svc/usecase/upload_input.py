"""Stores uploads that callers use as inputs later."""

import base64
import binascii
import secrets
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import InvalidInputs, StorageQuotaReached, UploadRejected
from generation_svc.domain.identifier import new_id
from generation_svc.domain.ledger import Wallet
from generation_svc.domain.link_error import UploadLinkInvalid
from generation_svc.domain.media import MediaKind, Upload, kind_of
from generation_svc.domain.media_input import InputValue, given_in, with_texts
from generation_svc.domain.model import Model
from generation_svc.domain.money_error import OwnerBlocked
from generation_svc.domain.port.media import Examined
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.upload_link import UploadTicket
from generation_svc.lifecycle import storage_limit
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.input_media import violation_at

_KIND_WORDS = {
    MediaKind.IMAGE: "an image",
    MediaKind.VIDEO: "a video",
    MediaKind.AUDIO: "a piece of sound",
}


def admit(deps: Dependencies, caller: Caller, *, owner: str) -> None:
    """Let a caller upload for an owner. Raises PermissionDenied, RateLimited."""
    caller.require_owner(owner)
    deps.count_job(caller, owner)


async def upload(
    deps: Dependencies,
    caller: Caller,
    *,
    owner: str,
    pieces: AsyncIterator[bytes],
    ticket: UploadTicket | None = None,
) -> Upload:
    """Keep media as an input for later, without its metadata.

    Raises UploadRejected, StorageQuotaReached, OwnerBlocked, Overloaded or Unavailable; with the
    ticket of a link also UploadLinkInvalid, if another file came by it meanwhile.
    """
    await storage_limit.admit_upload(deps)
    await _check_not_blocked(deps, caller, owner=owner)
    async with deps.media.spool.open(caller=caller.name, owner=owner) as file:
        async for piece in pieces:
            await file.write(piece)
            del piece  # the next one may be long in coming
        examined = await file.examine()
        if ticket:
            _check_kind(ticket, examined)
        return await _keep(deps, caller, owner=owner, examined=examined, ticket=ticket)


async def _check_not_blocked(deps: Dependencies, caller: Caller, *, owner: str) -> None:
    """Raise OwnerBlocked before a byte is taken; nobody is blocked where nothing is sold.

    As for a job, neither the owner nor who pays for it may be blocked.
    """
    if deps.money.mode is None:
        return
    for each in dict.fromkeys((owner, caller.wallet or owner)):
        wallet = await deps.database.read(partial(_wallet, owner=each))
        if wallet.is_blocked:
            raise OwnerBlocked(owner, payer=each)


async def _wallet(tx: Transaction, *, owner: str) -> Wallet:
    return await tx.ledger.wallet(owner)


def _check_kind(ticket: UploadTicket, examined: Examined) -> None:
    if kind_of(examined.mime_type) not in ticket.kinds:
        wanted = " or ".join(_KIND_WORDS[kind] for kind in ticket.kinds)
        raise UploadRejected(f"The file is not {wanted}.")


async def _keep(
    deps: Dependencies,
    caller: Caller,
    *,
    owner: str,
    examined: Examined,
    ticket: UploadTicket | None = None,
) -> Upload:
    kept = Upload(
        id=ticket.upload_id if ticket else new_id(deps.database.now()),
        mime_type=examined.mime_type,
        size_bytes=examined.size_bytes,
        width=examined.width,
        height=examined.height,
        sha256=examined.sha256,
        duration=examined.duration,
    )
    # Of two files that come by one link at once each has a key of its own.
    key = f"upload/{kept.id}-{secrets.token_hex(4)}" if ticket else f"upload/{kept.id}"
    # Bytes before their row: what is killed in between leaves bytes without a row, which are swept.
    await deps.media.store.put_file(key, examined.path)
    try:
        await _insert(deps, kept, caller, owner=owner, key=key)
    # Only here is it certain that there is no row: after a lost connection the commit may have
    # happened.
    except (StorageQuotaReached, UploadLinkInvalid):
        await deps.media.store.delete(key)
        raise
    return kept


async def _insert(
    deps: Dependencies, kept: Upload, caller: Caller, *, owner: str, key: str
) -> None:
    async with deps.database.transaction() as tx:
        await storage_limit.reserve(deps, tx, caller, owner=owner, size_bytes=kept.size_bytes)
        lifetime = deps.storage.retention.unused_uploads
        is_first = await tx.media.insert_upload(
            kept, caller=caller.name, owner=owner, key=key, lifetime=lifetime
        )
        if not is_first:  # only an id that a link gave can be there already
            raise UploadLinkInvalid


def is_needed(model: Model, inputs: Mapping[str, Any]) -> bool:
    """Return whether inputs have `data:` media, whose bytes `store` keeps."""
    places = (given_in(dict(inputs), one) for one in model.media_inputs)
    return any(_is_data(given) for found in places for given in found)


def _is_data(given: InputValue) -> bool:
    return given.text.startswith("data:")


async def store(
    deps: Dependencies, caller: Caller, *, owner: str, model: Model, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the inputs with uploads in place of `data:` media. Raises InvalidInputs."""
    kept = dict(inputs)
    for one in model.media_inputs:
        texts = {
            given.steps: await _keep_data(deps, caller, owner=owner, given=given)
            for given in given_in(kept, one)
            if _is_data(given)
        }
        kept = with_texts(kept, one, texts=texts) if texts else kept
    return kept


async def _keep_data(deps: Dependencies, caller: Caller, *, owner: str, given: InputValue) -> str:
    """Keep the media of a `data:` link as an upload, and return what refers to it."""
    try:
        pieces = _pieces(_decode(given.text))
        kept = await upload(deps, caller, owner=owner, pieces=pieces)
    except UploadRejected as error:
        raise InvalidInputs((violation_at(given, str(error)),)) from error
    return f"upload:{kept.id}"


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _decode(link: str) -> bytes:
    head, _, body = link.partition(",")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise UploadRejected("The data: URL is not valid Base64.") from error
