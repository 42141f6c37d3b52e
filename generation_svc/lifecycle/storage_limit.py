"""Refuses new jobs and uploads without room; what was accepted always gets its room.

A quota is of rows, so that all replicas agree: an owner's is exact under the owner's lock, and that
of the whole service is read now and then, since its sum takes longer the more owners there are. The
disk is this process's own.
"""

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import Overloaded, StorageQuotaReached
from generation_svc.domain.model import Model
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.storage_limit import DISK_RETRY
from generation_svc.lifecycle.dependencies import Dependencies


async def admit_job(deps: Dependencies, model: Model) -> None:
    """Let a job of this model begin. Raises Overloaded, StorageQuotaReached."""
    level = await deps.storage.disk.level()
    if not level.takes_job(model):
        raise Overloaded("disk", retry_after=DISK_RETRY)
    await _check_overall(deps)


async def admit_upload(deps: Dependencies) -> None:
    """Let an upload begin; its owner is asked about when its size is known.

    Raises Overloaded, StorageQuotaReached.
    """
    level = await deps.storage.disk.level()
    if not level.takes_uploads:
        raise Overloaded("disk", retry_after=DISK_RETRY)
    await _check_overall(deps)


async def reserve(
    deps: Dependencies, tx: Transaction, caller: Caller, *, owner: str, size_bytes: int
) -> None:
    """Take so many bytes for an owner until the transaction ends. Raises StorageQuotaReached."""
    used = await tx.usage.reserve(owner, caller=caller.name)
    _check(f"owner {owner}", used=used + size_bytes, limit=deps.storage.quota.owner_bytes)


async def stored_bytes(deps: Dependencies) -> int:
    """Return how many bytes are kept in all, as of a few seconds ago."""

    async def read(tx: Transaction) -> int:
        return await tx.usage.overall()

    return await deps.storage.overall.get(read, database=deps.database)


async def _check_overall(deps: Dependencies) -> None:
    limit = deps.storage.quota.overall_bytes
    _check("the service", used=await stored_bytes(deps) + 1, limit=limit)


def _check(subject: str, *, used: int, limit: int) -> None:
    if used > limit:
        raise StorageQuotaReached(subject, limit_bytes=limit)
