"""Takes a model off sale for the operator, who switches it on again."""

from dataclasses import replace

from generation_svc.domain.catalog_layer import Override
from generation_svc.domain.error import CatalogChanged
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.dependencies import Dependencies


async def take_off_sale(deps: Dependencies, tx: Transaction, *, model_id: str, reason: str) -> bool:
    """Switch a model off for new jobs; return False if it is off already. Raises CatalogChanged.

    Nothing has to be reviewed, unlike a change by the operator: the entry stays what it is.
    """
    layers = await tx.catalog.layers()
    old = layers.overrides.get(model_id, Override())
    if old.is_off:
        return False
    if not await tx.catalog.advance(layers.revision):
        raise CatalogChanged(deps.models.catalog.version)
    await tx.catalog.put_override(model_id, replace(old, is_off=True, reason=reason))
    tx.announce(topic.CATALOG)
    return True
