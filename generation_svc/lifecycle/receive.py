"""Takes a callback: stored first, then applied.

One that came with an attempt's token (and, where a key is set, a valid and recent signature) is
believed. Any other is a hint: it moves the next read of a live task forward and nothing else, so
a forged one can do nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from uuid import UUID

import structlog
from uuid6 import uuid7

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.port import Receipt, Transaction
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.batch import one_by_one
from generation_svc.lifecycle.context import Context
from generation_svc.lifecycle.dispatch import token_hash
from generation_svc.lifecycle.observe import apply

STRAYS_KEPT = 1000
"""How many callbacks that are not believed are kept for the operator."""
PENDING_AGE = timedelta(seconds=30)
"""After what time a receipt that nobody applied is applied by the sweep."""
PENDING_BATCH = 100
_TOKEN = re.compile(rb"(callbacks(?:\\*/|%2F)kie(?:\\*/|%2F)+)[\w~.-]+", re.IGNORECASE)
"""A token in its address, whose slashes JSON or a URL may have escaped."""
_logger = structlog.get_logger(__name__)


class CallbackOutcome(StrEnum):
    """What came of a callback."""

    APPLIED = "applied"
    REPEATED = "repeated"
    HINT = "hint"
    IGNORED = "ignored"
    UNKNOWN_TASK = "unknown_task"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback as the gateway hands it on."""

    body: bytes
    headers: Mapping[str, str]
    token: str


async def receive(context: Context, callback: Callback) -> CallbackOutcome:
    """Store a callback, apply it, and say what came of it."""
    observation = context.callbacks.read(callback.body)
    async with context.database.transaction() as tx:
        attempt = await tx.attempts.find_by_token(token_hash(callback.token))
        is_signed = context.callbacks.is_signed(callback.headers, task_id=observation.task_id)
        is_trusted = attempt is not None and is_signed
        if attempt is None and observation.task_id:
            attempt = await tx.attempts.find_by_task(observation.task_id)
        receipt = Receipt(
            id=UUID(bytes=uuid7().bytes),
            body=redact(callback.body, token=callback.token),
            attempt_id=attempt.id if attempt else None,
            is_trusted=is_trusted,
        )
        await tx.receipts.insert(receipt, task_id=observation.task_id, headers=callback.headers)
    return await _apply(context, receipt, attempt=attempt, observation=observation)


async def apply_pending(context: Context) -> None:
    """Apply callbacks that were stored by a process that was killed before it applied them."""
    async with context.database.transaction() as tx:
        receipts = await tx.receipts.pending(older_than=PENDING_AGE, limit=PENDING_BATCH)
        await tx.receipts.trim(keep=STRAYS_KEPT)
    await one_by_one(receipts, partial(_apply_again, context))


async def _apply_again(context: Context, receipt: Receipt) -> None:
    attempt = None
    if receipt.attempt_id:
        async with context.database.transaction() as tx:
            attempt = await tx.attempts.lock(receipt.attempt_id)
    observation = context.callbacks.read(receipt.body)
    await _apply(context, receipt, attempt=attempt, observation=observation)


def redact(body: bytes, *, token: str) -> bytes:
    """Return the body without tokens: KIE repeats the address, and so the true token, in `param`.

    A body that comes to another address than its own holds a token that is not the path's.
    """
    body = body.replace(token.encode("utf-8", "surrogateescape"), b"***") if token else body
    return _TOKEN.sub(rb"\1***", body)


async def _apply(
    context: Context, receipt: Receipt, *, attempt: Attempt | None, observation: Observation
) -> CallbackOutcome:
    async with context.database.transaction() as tx:
        outcome = await _decide(
            context, tx, receipt=receipt, attempt=attempt, observation=observation
        )
        await tx.receipts.finish(receipt.id, outcome=outcome)
    log = _logger.info if receipt.is_trusted else _logger.warning
    log("callback", outcome=str(outcome), job_id=str(attempt.job_id) if attempt else None)
    return outcome


async def _decide(
    context: Context,
    tx: Transaction,
    *,
    receipt: Receipt,
    attempt: Attempt | None,
    observation: Observation,
) -> CallbackOutcome:
    if attempt is None:
        is_readable = observation.task_id is not None
        return CallbackOutcome.UNKNOWN_TASK if is_readable else CallbackOutcome.UNREADABLE
    if not receipt.is_trusted or _contradicts(attempt, observation):
        return await _hint(context, tx, attempt=attempt)
    changed = await apply(context, tx, attempt=attempt, observation=observation, source="callback")
    if not changed and observation.state in (ProviderState.UNKNOWN, ProviderState.EMPTY):
        return await _hint(context, tx, attempt=attempt)
    return CallbackOutcome.APPLIED if changed else CallbackOutcome.REPEATED


async def _hint(context: Context, tx: Transaction, *, attempt: Attempt) -> CallbackOutcome:
    moved = await tx.attempts.hasten_read(attempt.id, interval=context.pace.hint_interval)
    if moved:
        tx.announce(topic.READ)
    return CallbackOutcome.HINT if moved else CallbackOutcome.IGNORED


def _contradicts(attempt: Attempt, observation: Observation) -> bool:
    """Return whether the body speaks of another task than the token."""
    known, named = attempt.task_id, observation.task_id
    return known is not None and named is not None and known != named
