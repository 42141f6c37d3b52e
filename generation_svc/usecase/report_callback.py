"""Stores a callback, then applies it."""

from collections.abc import Mapping
from dataclasses import dataclass

from generation_svc.domain.body import BodyText, read_text
from generation_svc.domain.identifier import new_id
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.port.callback import Evidence, Receipt
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
    provider: str = ""
    """Whose it is by its path; empty means the provider that every release knows."""


async def report_callback(deps: Dependencies, callback: Callback) -> CallbackOutcome:
    """Store a callback, apply it, and say what came of it."""
    said = read_text(callback.body)
    text = said.text.encode("utf-8", "replace") if said else callback.body
    observation = _read(deps, callback, text=text)
    provider = callback.provider or deps.provider.client.name
    async with deps.database.transaction() as tx:
        attempt = await tx.attempts.find_by_token(token_hash(callback.token))
        if attempt is not None and attempt.account.provider != provider:
            attempt = None
        is_trusted = attempt is not None and _is_proved(deps, callback, text=text)
        if attempt is None and observation.task_id:
            attempt = await tx.attempts.find_by_task(observation.task_id, provider=provider)
        receipt = Receipt(
            id=new_id(tx.now()),
            body=kept_body(callback.body, said=said, token=callback.token),
            attempt_id=attempt.id if attempt else None,
            is_trusted=is_trusted,
        )
        await tx.receipts.insert(receipt, task_id=observation.task_id, headers=callback.headers)
    # The receipt is committed by now: a process that is killed here loses nothing
    # (callback_replay).
    return await apply_callback(deps, receipt, attempt=attempt, observation=observation)


def _read(deps: Dependencies, callback: Callback, *, text: bytes) -> Observation:
    """Read what a callback says; those of another provider cannot be read."""
    if callback.provider in ("", deps.provider.client.name):
        return deps.provider.callbacks.read(text)
    return Observation(ProviderState.UNKNOWN)


def _is_proved(deps: Dependencies, callback: Callback, *, text: bytes) -> bool:
    """Return whether a callback with its attempt's token is believed."""
    reader = deps.provider.callbacks
    return not reader.wants_evidence or (reader.evidence(callback.headers, text) is Evidence.TASK)


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
