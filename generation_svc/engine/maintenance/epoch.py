"""Begins the next epoch of the money soon after money moved, and sees a restored database."""

from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.epoch import watch_epoch


async def follow_epoch(deps: Dependencies) -> bool:
    """Hold the epochs of database and media store together; once is enough."""
    if deps.money.mode is not None:
        await watch_epoch(deps.database, deps.media.store)
        deps.money.unread.clear()
    return False
