"""Applies a callback.

One that came with an attempt's token (and, where a key is set, a valid and recent signature) is
believed. Any other is a hint: it moves the next read of a live task forward and nothing else, so
a forged one can do nothing.
"""

from enum import StrEnum

import structlog

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.port.callback import StoredCallback
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.observe import apply

_logger = structlog.get_logger(__name__)


class CallbackOutcome(StrEnum):
    """What came of a callback."""

    APPLIED = "applied"
    REPEATED = "repeated"
    HINT = "hint"
    IGNORED = "ignored"
    UNKNOWN_TASK = "unknown_task"
    UNREADABLE = "unreadable"


async def apply_callback(
    deps: Dependencies,
    callback: StoredCallback,
    *,
    attempt: Attempt | None,
    observation: Observation,
) -> CallbackOutcome:
    """Apply a callback that is stored, and say what came of it."""
    async with deps.database.transaction() as tx:
        outcome = await decide(
            deps, tx, callback=callback, attempt=attempt, observation=observation
        )
        # In the transaction that applies it: without an outcome, a callback is applied again later.
        await tx.callbacks.finish(callback.id, outcome=outcome)
    log_outcome(outcome, callback=callback, attempt=attempt)
    return outcome


def log_outcome(
    outcome: CallbackOutcome, *, callback: StoredCallback, attempt: Attempt | None
) -> None:
    """Log what came of a callback."""
    log = _logger.info if callback.is_trusted else _logger.warning
    log("callback", outcome=str(outcome), job_id=str(attempt.job_id) if attempt else None)


async def decide(
    deps: Dependencies,
    tx: Transaction,
    *,
    callback: StoredCallback,
    attempt: Attempt | None,
    observation: Observation,
) -> CallbackOutcome:
    """Apply a callback as a part of a transaction, and say what came of it."""
    if attempt is None:
        is_readable = observation.task_id is not None
        return CallbackOutcome.UNKNOWN_TASK if is_readable else CallbackOutcome.UNREADABLE
    if not callback.is_trusted or _contradicts(attempt, observation):
        return await _hint(deps, tx, attempt=attempt)
    changed = await apply(deps, tx, attempt=attempt, observation=observation, source="callback")
    # It says that something happened and not what, so the provider is asked soon.
    if not changed and observation.state in (ProviderState.UNKNOWN, ProviderState.EMPTY):
        return await _hint(deps, tx, attempt=attempt)
    return CallbackOutcome.APPLIED if changed else CallbackOutcome.REPEATED


async def _hint(deps: Dependencies, tx: Transaction, *, attempt: Attempt) -> CallbackOutcome:
    moved = await tx.attempts.hasten_read(attempt.id, interval=deps.timing.hint_interval)
    if moved:
        tx.announce(topic.READ)
    return CallbackOutcome.HINT if moved else CallbackOutcome.IGNORED


def _contradicts(attempt: Attempt, observation: Observation) -> bool:
    """Return whether the body speaks of another task than the token."""
    known, named = attempt.task_id, observation.task_id
    return known is not None and named is not None and known != named
