"""Applies a callback and stores it, in one transaction."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.body import BodyText, read_text
from generation_svc.domain.identifier import new_id
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.port.callback import Evidence, StoredCallback
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle.callback import CallbackOutcome, decide, log_outcome
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.redact import redact
from runtime.token import token_hash

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback as the gateway hands it on."""

    body: bytes
    headers: Mapping[str, str]
    token: str
    provider: str = ""
    """Whose it is by its path; empty means the provider that every release knows."""


@dataclass(slots=True)
class _Report:
    """A callback, and what is known of it so far."""

    callback: Callback
    said: BodyText | None
    observation: Observation
    stored: StoredCallback | None = None
    """None until it is known whose it is."""


async def report_callback(deps: Dependencies, callback: Callback) -> CallbackOutcome:
    """Apply a callback, store it with what came of it, and say that.

    Whatever hinders the first, it is stored: then `callback_replay` applies it.
    """
    said = read_text(callback.body)
    text = said.text.encode("utf-8", "replace") if said else callback.body
    report = _Report(callback, said, _read(deps, callback, text=text))
    try:
        return await _apply(deps, report, text=text)
    except (Exception, asyncio.CancelledError):
        # In a task of its own: nobody waits for a cancelled call, but its callback is kept.
        storing = asyncio.ensure_future(_store_anyway(deps, report))
        await asyncio.wait({storing})
        storing.result()
        raise


async def _apply(deps: Dependencies, report: _Report, *, text: bytes) -> CallbackOutcome:
    async with deps.database.transaction() as tx:
        attempt, is_trusted = await _find(deps, tx, report=report, text=text)
        stored = StoredCallback(
            id=new_id(tx.now()),
            body=kept_body(report.callback.body, said=report.said, token=report.callback.token),
            attempt_id=attempt.id if attempt else None,
            is_trusted=is_trusted,
        )
        report.stored = stored
        outcome = await decide(
            deps, tx, callback=stored, attempt=attempt, observation=report.observation
        )
        # Last, so that it is stored with its outcome by one statement.
        await _store(tx, report, stored=stored, outcome=outcome)
    log_outcome(outcome, callback=stored, attempt=attempt)
    return outcome


async def _find(
    deps: Dependencies, tx: Transaction, *, report: _Report, text: bytes
) -> tuple[Attempt | None, bool]:
    """Return the attempt that a callback is about, and whether it is believed."""
    callback, task_id = report.callback, report.observation.task_id
    provider = callback.provider or deps.provider.client.name
    attempt = await tx.attempts.find_by_token(token_hash(callback.token))
    if attempt is not None and attempt.account.provider != provider:
        attempt = None
    if attempt is None and task_id:
        return await tx.attempts.find_by_task(task_id, provider=provider), False
    return attempt, attempt is not None and _is_proved(deps, callback, text=text)


async def _store_anyway(deps: Dependencies, report: _Report) -> None:
    """Store a callback that could not be applied; nothing is stored of what nobody looked at."""
    if report.stored is None:
        return
    try:
        async with deps.database.transaction() as tx:
            await _store(tx, report, stored=report.stored, outcome=None)
    except Exception:
        # The reporter gets the first error and tries again, and polling finds out what it said.
        _logger.exception("a callback that could not be applied could not be stored either")


async def _store(
    tx: Transaction, report: _Report, *, stored: StoredCallback, outcome: CallbackOutcome | None
) -> None:
    await tx.callbacks.insert(
        stored,
        task_id=report.observation.task_id,
        headers=report.callback.headers,
        outcome=outcome,
    )


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
