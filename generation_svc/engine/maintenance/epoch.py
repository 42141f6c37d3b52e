"""Begins the next epoch of the money soon after money moved, and sees a restored database."""

import structlog

from generation_svc.domain.epoch import ForeignStore
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.epoch import watch_epoch

_logger = structlog.get_logger(__name__)


async def follow_epoch(deps: Dependencies) -> bool:
    """Hold the epochs of database and media store together; once is enough."""
    if deps.money.mode is None:
        return False
    try:
        await watch_epoch(deps.database, deps.media.store)
    except ForeignStore as error:  # exchanged under a service that runs: its own may come back
        deps.money.unread.add("epoch")
        _logger.error("no jobs are sent", reason=str(error))
    else:
        deps.money.unread.clear()
    return False
