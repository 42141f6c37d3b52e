"""Asks the provider how the models do that were used lately, one at a time and rarely."""

from datetime import timedelta

import structlog

from generation_svc.domain.error import ProviderError
from generation_svc.lifecycle.dependencies import Dependencies

HEALTH_SECONDS = 30.0
"""How often one model is asked about."""
USED_WITHIN = timedelta(hours=24)
"""How lately a model must have been used."""
ASK_EVERY = timedelta(minutes=10)
"""How old the provider's word becomes: it counts in stretches of ten minutes."""
SPARE = timedelta(days=1)
"""How much longer than the longest job a document stays: who makes jobs with it says so hourly."""
_logger = structlog.get_logger(__name__)


async def watch_models(deps: Dependencies) -> bool:
    """Ask about the model that was not asked about for longest; once is enough."""
    model_ids = list(deps.models.catalog.ids)
    async with deps.database.transaction() as tx:
        model_id = await tx.health.claim_read(model_ids, used_within=USED_WITHIN, every=ASK_EVERY)
    if model_id is None:
        return False
    name = deps.models.catalog.models[model_id].offer.model_id
    account = deps.provider.accounts[0].name
    try:
        share = await deps.provider.client.normal_share(name, account=account)
    except ProviderError as error:  # what our own jobs show is known without it
        _logger.info("the provider does not say how a model does", model=model_id, error=str(error))
        return False
    async with deps.database.transaction() as tx:
        await tx.health.keep(model_id, normal_share=share)
    return False


async def forget_documents(deps: Dependencies) -> bool:
    """Forget the documents of models that no unfinished job can need; once is enough."""
    unused_for = deps.timing.input_grace + SPARE
    async with deps.database.transaction() as tx:
        await tx.catalog.forget_documents(unused_for=unused_for)
    return False
