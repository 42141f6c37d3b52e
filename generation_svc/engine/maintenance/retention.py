"""What is kept for so long and no longer."""

from datetime import timedelta
from functools import partial

from generation_svc.domain.port.media import StoredMedia
from generation_svc.engine.batch import BATCH, one_by_one
from generation_svc.lifecycle.dependencies import Dependencies

REQUEST_LIFETIME = timedelta(days=400)
"""How long a request_id means the same job."""
WEBHOOK_LIFETIME = timedelta(days=35)
"""How long an enabled address that nothing is posted to stays in the list."""


async def forget_uploads(deps: Dependencies) -> None:
    """Uploads past their time lose their bytes, then their row, so that none is left behind."""
    async with deps.database.transaction() as tx:
        expired = await tx.media.expired_uploads(limit=BATCH)
    await one_by_one(expired, partial(_forget_upload, deps))


async def _forget_upload(deps: Dependencies, stored: StoredMedia) -> None:
    await deps.media.store.delete(stored.key)
    async with deps.database.transaction() as tx:
        await tx.media.remove_upload(stored.media.id)


async def forget_requests(deps: Dependencies) -> None:
    """What a request_id stood for is remembered for so long, and no longer."""
    async with deps.database.transaction() as tx:
        await tx.requests.forget(older_than=REQUEST_LIFETIME, limit=BATCH)


async def forget_webhooks(deps: Dependencies) -> None:
    """Addresses that take outcomes are shown for as long as somebody may look for them."""
    async with deps.database.transaction() as tx:
        await tx.webhooks.forget_idle(older_than=WEBHOOK_LIFETIME, limit=BATCH)
