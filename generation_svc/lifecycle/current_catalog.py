"""Follows the layers of the catalog, so that every replica offers the same within seconds.

A change is announced. What an announcement fails to tell is found by a look of one statement, now
and then; calls and work read the catalog that is here and never the database.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import structlog

from generation_svc.domain.error import Unavailable
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.wait import is_set_within

LOOK_EVERY = timedelta(seconds=10)
"""How long a change that was announced and not heard stays unknown."""
_logger = structlog.get_logger(__name__)


@asynccontextmanager
async def followed_catalog(deps: Dependencies) -> AsyncIterator[None]:
    """Offer what the layers say now, and what they come to say while the block runs."""
    with deps.database.watch(topic.CATALOG) as change:
        await _refresh_if_possible(deps)
        following = asyncio.create_task(_follow(deps, change), name="catalog")
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def refresh(deps: Dependencies) -> None:
    """Offer what the layers say, if they have changed. Raises Unavailable."""
    models = deps.models
    layers = await deps.database.read(lambda tx: tx.catalog.layers())
    # Another reading may have ended first, with a later revision.
    if layers.revision > models.revision:
        models.catalog, models.revision = models.format.catalog(layers), layers.revision
        _logger.info("the catalog has changed", version=models.catalog.version)


async def _follow(deps: Dependencies, change: asyncio.Event) -> None:
    while True:
        is_announced = await is_set_within(change, LOOK_EVERY.total_seconds())
        change.clear()
        if is_announced or await _has_changed(deps):
            await _refresh_if_possible(deps)


async def _has_changed(deps: Dependencies) -> bool:
    try:
        return await deps.database.read(_revision) != deps.models.revision
    except Unavailable:
        return False


async def _revision(tx: Transaction) -> int:
    return await tx.catalog.revision()


async def _refresh_if_possible(deps: Dependencies) -> None:
    try:
        await refresh(deps)
    except Unavailable as error:
        _logger.warning("the catalog could not be read; it stays as it was", error=str(error))
