"""Applies callbacks that were stored and could not be applied when they came."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from generation_svc.domain.port.callback import StoredCallback
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine.batch import BATCH, one_by_one_found
from generation_svc.lifecycle.callback import apply_callback
from generation_svc.lifecycle.dependencies import Dependencies

UNTRUSTED_KEPT = 1000
"""How many callbacks that are not believed are kept for the operator."""
PENDING_AGE = timedelta(seconds=30)
"""The age at which a callback that is yet to be applied is applied by the sweep."""


async def replay_callbacks(deps: Dependencies) -> bool:
    """Apply callbacks that could not be when they came; once is enough."""

    async def find(tx: Transaction, last: StoredCallback | None) -> Sequence[StoredCallback]:
        return await tx.callbacks.pending(
            older_than=PENDING_AGE, after=last.id if last else None, limit=BATCH
        )

    await one_by_one_found(deps, find, partial(_replay, deps))
    return False


async def trim_callbacks(deps: Dependencies) -> bool:
    """Keep only the latest of the callbacks that are not believed."""
    async with deps.database.transaction() as tx:
        await tx.callbacks.trim(keep=UNTRUSTED_KEPT)
    return False


async def _replay(deps: Dependencies, callback: StoredCallback) -> None:
    attempt = None
    if callback.attempt_id:
        async with deps.database.transaction() as tx:
            # As it is now: what the callback says may be known since.
            attempt = await tx.attempts.lock(callback.attempt_id)
    observation = deps.provider.callbacks.read(callback.body)
    await apply_callback(deps, callback, attempt=attempt, observation=observation)
