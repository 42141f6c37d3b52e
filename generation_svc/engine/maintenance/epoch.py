"""Begins the next epoch of the money soon after money moved, and sees a restored database."""

import structlog

from generation_svc.domain.epoch import EpochState, ForeignStore
from generation_svc.engine.maintenance.receipts import number_receipts
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.epoch import watch_epoch

_logger = structlog.get_logger(__name__)


async def follow_epoch(deps: Dependencies) -> bool:
    """Hold the epochs of database and media store together; once is enough.

    Receipts wait for the epoch that covers their money, so they get their numbers as soon as it
    begins. Those of a replica that is killed in between get them by the sweep of their own.
    """
    if deps.money.mode is None:
        return False
    try:
        state = await watch_epoch(deps.database, deps.media.store)
    except ForeignStore as error:  # exchanged under a service that runs: its own may come back
        deps.money.unread.add("epoch")
        _logger.error("no jobs are sent", reason=str(error))
        return False
    deps.money.unread.clear()
    if state is EpochState.BEGUN:
        await number_receipts(deps)
    return False
