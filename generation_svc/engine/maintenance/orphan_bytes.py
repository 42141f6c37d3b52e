"""Removes bytes without a row, left by a fetch or an upload that was killed.

Bytes are written before their row, so what is young is left alone. Each replica walks through the
store for itself, a piece at each call; a walk that came to its end begins again much later.
"""

import re
from collections.abc import Sequence
from functools import partial
from uuid import UUID

import structlog

from generation_svc.engine.batch import one_by_one
from generation_svc.lifecycle.dependencies import Dependencies

REST_SHARE = 1 / 48
"""The rest between two walks, as a part of the age of what is removed: an hour for two days."""
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_RESULT = re.compile(rf"result/{_UUID}/({_UUID})/[0-9]{{1,4}}(?:-[0-9]{{1,9}})?")
_UPLOAD = re.compile(rf"upload/({_UUID})(?:-[0-9a-f]{{8}})?")
_UNFINISHED = re.compile(rf"unfinished/{_UUID}")
_logger = structlog.get_logger(__name__)


async def remove_orphans(deps: Dependencies) -> bool:
    """Remove what of the next piece of the store is old and has no row; the next one can wait."""
    age = deps.timing.orphan_age
    piece = await deps.media.walk.next(deps.media.store, rest=age * REST_SHARE)
    # By age, since a fetch that is under way has bytes and no row yet.
    old = [each.key for each in piece if each.write_time < deps.database.now() - age]
    if old and not deps.money.unread:
        await one_by_one(await _without_row(deps, old), partial(_remove, deps))
    return False


async def _without_row(deps: Dependencies, keys: Sequence[str]) -> list[str]:
    """Return those that have no row; what is not named as ours are is not ours to remove.

    What a restored database lacks says what was done since the backup, until that is recovered.
    """
    results = {key: UUID(m[1]) for key in keys if (m := _RESULT.fullmatch(key))}
    uploads = {key: UUID(m[1]) for key in keys if (m := _UPLOAD.fullmatch(key))}
    async with deps.database.transaction() as tx:
        state = await tx.money.state()
        if state and state.is_restored:
            return []
        known_results = await tx.media.known_results(set(results.values()))
        known_uploads = await tx.media.known_uploads(set(uploads.values()))
    orphans = [key for key in keys if _UNFINISHED.fullmatch(key)]
    orphans += [key for key in results if key not in known_results]
    return orphans + [key for key in uploads if key not in known_uploads]


async def _remove(deps: Dependencies, key: str) -> None:
    await deps.media.store.delete(key)
    deps.meter.orphaned_bytes.inc()
    _logger.warning("bytes without a row were removed", key=key)
