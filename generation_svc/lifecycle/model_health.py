"""Tells how models have been doing lately, as this process read it a moment ago."""

from collections.abc import Mapping
from datetime import timedelta

from generation_svc.domain.model_health import ModelHealth
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle.dependencies import Dependencies

RECENT = timedelta(hours=1)
"""What counts as lately."""
BELIEVED_FOR = timedelta(minutes=45)
"""How long the provider's word holds."""


async def health_of(deps: Dependencies) -> Mapping[str, ModelHealth]:
    """Return what is known of the models on offer; one of which nothing is known is missing."""
    model_ids = list(deps.models.catalog.ids)

    async def read(tx: Transaction) -> Mapping[str, ModelHealth]:
        return await tx.health.of_models(model_ids, recent=RECENT, believed_for=BELIEVED_FOR)

    return await deps.models.health.get(read, database=deps.database)
