"""Takes a callback: stored first, then applied."""

from collections.abc import Mapping
from dataclasses import dataclass

from generation_svc.domain.body import BodyText, read_text
from generation_svc.domain.identifier import new_id
from generation_svc.domain.port.callback import Receipt
from generation_svc.lifecycle.callback import CallbackOutcome, apply_callback
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.redact import redact
from runtime.token import token_hash


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback as the gateway hands it on."""

    body: bytes
    headers: Mapping[str, str]
    token: str


async def report_callback(deps: Dependencies, callback: Callback) -> CallbackOutcome:
    """Store a callback, apply it, and say what came of it."""
    said = read_text(callback.body)
    text = said.text.encode("utf-8", "replace") if said else callback.body
    observation = deps.provider.callbacks.read(text)
    async with deps.database.transaction() as tx:
        attempt = await tx.attempts.find_by_token(token_hash(callback.token))
        is_signed = deps.provider.callbacks.is_signed(callback.headers, task_id=observation.task_id)
        is_trusted = attempt is not None and is_signed
        if attempt is None and observation.task_id:
            attempt = await tx.attempts.find_by_task(observation.task_id)
        receipt = Receipt(
            id=new_id(tx.now()),
            body=kept_body(callback.body, said=said, token=callback.token),
            attempt_id=attempt.id if attempt else None,
            is_trusted=is_trusted,
        )
        await tx.receipts.insert(receipt, task_id=observation.task_id, headers=callback.headers)
    return await apply_callback(deps, receipt, attempt=attempt, observation=observation)


def kept_body(body: bytes, *, said: BodyText | None, token: str) -> bytes:
    """Return what is stored of a body: all that can be read, without tokens.

    What cannot be read may hold one, so of it only the size is kept.
    """
    redacted = redact(said.text, token=token) if said else None
    if said is None or redacted is None:
        return b"(%d bytes that cannot be read)" % len(body)
    if said.is_verbatim and redacted == said.text:
        return body
    return redacted.encode("utf-8", "replace")
