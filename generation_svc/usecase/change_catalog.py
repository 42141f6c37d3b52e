"""Changes the layers of the catalog: what was checked and reviewed is what is applied."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from generation_svc.domain.caller import Caller
from generation_svc.domain.catalog_layer import CatalogLayers, ModelChange, Override
from generation_svc.domain.error import CatalogChanged, UnknownModel
from generation_svc.domain.port.catalog import CatalogReview
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.schema import JsonObject
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.current_catalog import refresh
from generation_svc.lifecycle.dependencies import Dependencies

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LayerChange:
    """What an operator asks for."""

    documents: Sequence[JsonObject] = ()
    dropped: Collection[str] = ()
    """The models whose imports are forgotten."""
    overrides: Mapping[str, Override] = field(default_factory=dict)
    """What stands in the place of earlier overrides, by model."""
    is_trial: bool = False
    """Whether nothing is to be changed."""
    expected_version: str = ""
    """The version that the change was reviewed with; empty for any."""


@dataclass(frozen=True, slots=True)
class ChangedCatalog:
    """What came of it, or would."""

    version: str
    """The version that holds now."""
    changes: Sequence[ModelChange]
    is_applied: bool


async def change_catalog(deps: Dependencies, caller: Caller, change: LayerChange) -> ChangedCatalog:
    """Review a change, and make it unless it is a trial.

    Raises InvalidDocument, CatalogChanged.
    """
    layers = await deps.database.read(_layers)
    version = deps.models.format.version(layers)
    if change.expected_version not in ("", version):
        raise CatalogChanged(version)
    # In a thread, since a whole catalog takes seconds to check.
    review = await asyncio.to_thread(
        partial(
            deps.models.format.review,
            layers,
            documents=change.documents,
            dropped=change.dropped,
            overrides=change.overrides,
        )
    )
    if change.is_trial or not review.changes:
        return ChangedCatalog(version, review.changes, is_applied=False)
    await _apply(deps, caller, change, review=review, version=version)
    await refresh(deps)
    return ChangedCatalog(
        deps.models.format.version(_next(layers)), review.changes, is_applied=True
    )


async def change_override(
    deps: Dependencies,
    caller: Caller,
    model_id: str,
    *,
    patch: JsonObject | None = None,
    is_off: bool | None = None,
    reason: str = "",
) -> ChangedCatalog:
    """Change what the operator wants otherwise of a model; None leaves a part as it is.

    Raises UnknownModel, InvalidDocument, CatalogChanged.
    """
    layers = await deps.database.read(_layers)
    if deps.models.format.entry(layers, model_id) is None:
        raise UnknownModel(model_id, nearest=deps.models.catalog.nearest(model_id))
    old = layers.overrides.get(model_id, Override())
    override = Override(
        patch=old.patch if patch is None else patch,
        is_off=old.is_off if is_off is None else is_off,
        reason=reason,
    )
    version = deps.models.format.version(layers)
    change = LayerChange(overrides={model_id: override}, expected_version=version)
    return await change_catalog(deps, caller, change)


async def overrides(deps: Dependencies) -> Mapping[str, Override]:
    """Read all overrides, by model."""
    return (await deps.database.read(_layers)).overrides


async def document(deps: Dependencies, model_id: str) -> JsonObject:
    """Read the entry that holds for a model. Raises UnknownModel."""
    layers = await deps.database.read(_layers)
    entry = deps.models.format.entry(layers, model_id)
    if entry is None:
        raise UnknownModel(model_id, nearest=deps.models.catalog.nearest(model_id))
    return entry


async def _apply(
    deps: Dependencies, caller: Caller, change: LayerChange, *, review: CatalogReview, version: str
) -> None:
    changed = {each.model_id for each in review.changes}
    # Only what differs: the rest goes on to follow what is shipped.
    entries = {model_id: each for model_id, each in review.added.items() if model_id in changed}
    async with deps.database.transaction() as tx:
        if not await tx.catalog.advance(review.layers.revision):
            raise CatalogChanged(version)
        if change.dropped:
            await tx.catalog.drop_imports(change.dropped)
        if entries:
            await tx.catalog.put_imports(entries, source=caller.name)
        for model_id, override in change.overrides.items():
            await tx.catalog.put_override(model_id, override)
        tx.announce(topic.CATALOG)
    for each in review.changes:
        _logger.warning(
            "a model of the catalog was changed",
            action="catalog_changed",
            model=each.model_id,
            change=each.kind.value,
            caller=caller.name,
        )


async def _layers(tx: Transaction) -> CatalogLayers:
    return await tx.catalog.layers()


def _next(layers: CatalogLayers) -> CatalogLayers:
    return CatalogLayers(layers.revision + 1)
