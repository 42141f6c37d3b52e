"""Keeps the counts of stored bytes true, and exports them."""

from generation_svc.engine.batch import BATCH
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.storage_limit import stored_bytes


async def measure_usage(deps: Dependencies) -> bool:
    """Count a batch of media for its owners, look at the disks; return whether there is more."""
    async with deps.database.transaction() as tx:
        counted = await tx.usage.count_media(limit=BATCH)
    await deps.storage.disk.level()
    deps.meter.stored_bytes.set(await stored_bytes(deps))
    return counted >= BATCH
