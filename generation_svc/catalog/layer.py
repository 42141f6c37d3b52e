"""Merges the layers of the catalog: the shipped file, imports and overrides."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from generation_svc.catalog.load import OfferRule, ParsedModels, model_of
from generation_svc.domain.catalog_layer import CatalogLayers, Override, patched
from generation_svc.domain.model import Catalog, Model
from generation_svc.domain.port.catalog import CatalogReview
from generation_svc.domain.schema import JsonObject

_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, ArithmeticError)
"""What an entry raises that another release wrote and this one cannot read."""
_logger = structlog.get_logger(__name__)
_Entry = dict[str, Any]


class LayeredModels(Mapping[str, Model]):
    """Models by id: those of layers that were read, and the shipped ones."""

    def __init__(self, shipped: ParsedModels, layered: Mapping[str, Model]) -> None:
        self._shipped, self._layered = shipped, layered
        self._ids = dict.fromkeys((*shipped, *layered))

    def __getitem__(self, model_id: str) -> Model:
        """Return a model; raises KeyError for one that there is not."""
        return self._layered.get(model_id) or self._shipped[model_id]

    def __contains__(self, model_id: object) -> bool:
        """Tell whether there is such a model."""
        return model_id in self._ids

    def __iter__(self) -> Iterator[str]:
        """Go through the ids: those of the file in its order, then the new ones."""
        return iter(self._ids)

    def __len__(self) -> int:
        """Count the models."""
        return len(self._ids)


class ShippedCatalog:
    """`CatalogFormat` on the file of this release."""

    def __init__(self, document: _Entry, *, rule: OfferRule) -> None:
        self._version, self._rule = document["version"], rule
        self._entries: dict[str, _Entry] = {entry["id"]: entry for entry in document["models"]}
        self._models = ParsedModels(document["models"])

    def catalog(self, layers: CatalogLayers) -> Catalog:
        """Return the catalog that layers make.

        An entry that this release cannot read, since another one imported it, is told of and left
        out, so that what was shipped holds: no import may keep a process from starting.
        """
        layered = dict(self._layered(layers))
        models = LayeredModels(self._models, layered)
        entries = [self._entry_of(model_id, layered) for model_id in models]
        off = frozenset(model_id for model_id, each in layers.overrides.items() if each.is_off)
        offered = tuple(each for each in self._rule.offered(entries) if each not in off)
        has_unpaid = self._rule.has_unpaid
        return Catalog(self.version(layers), models, offered, off_ids=off, has_unpaid=has_unpaid)

    def version(self, layers: CatalogLayers) -> str:
        """Return the version of the catalog that layers make."""
        return f"{self._version}.{layers.revision}" if layers.revision else self._version

    def model(self, document: JsonObject) -> Model:
        """Return the model of an entry."""
        return model_of(document)

    def entry(self, layers: CatalogLayers, model_id: str) -> JsonObject | None:
        """Return the entry that holds for a model."""
        found = layers.imports.get(model_id) or self._entries.get(model_id)
        override = layers.overrides.get(model_id)
        if found is None or override is None or not override.patch:
            return found
        made = patched(found, override.patch)
        return made if isinstance(made, dict) else None

    def entries(self, layers: CatalogLayers) -> dict[str, _Entry]:
        """Return all entries that hold, by model."""
        ids = dict.fromkeys((*self._entries, *sorted(layers.imports)))
        return {each: entry for each in ids if (entry := self.entry(layers, each)) is not None}

    def review(
        self,
        layers: CatalogLayers,
        *,
        documents: Sequence[JsonObject] = (),
        dropped: Collection[str] = (),
        overrides: Mapping[str, Override] | None = None,
    ) -> CatalogReview:
        """Check a change of layers. Raises InvalidDocument for the first mistake."""
        # Here, since a start does without jsonschema.
        from generation_svc.catalog.review import checked_documents, reviewed

        added = checked_documents(documents, known=self.entries(layers))
        kept = {id_: entry for id_, entry in layers.imports.items() if id_ not in dropped}
        after = replace(
            layers,
            imports={**kept, **added},
            overrides={**layers.overrides, **(overrides or {})},
        )
        touched = dict.fromkeys((*dropped, *added, *(overrides or {})))
        changes = reviewed(self, layers, after, touched=touched)
        return CatalogReview(after, changes, added)

    def _layered(self, layers: CatalogLayers) -> Iterable[tuple[str, Model]]:
        """Yield the models that the shipped file does not say alone."""
        patched_ids = (id_ for id_, each in layers.overrides.items() if each.patch)
        for model_id in dict.fromkeys((*sorted(layers.imports), *patched_ids)):
            model = self._read(layers, model_id)
            if model:
                yield model_id, model

    def _read(self, layers: CatalogLayers, model_id: str) -> Model | None:
        """Return the model that holds; without its override, or none, where it cannot be read."""
        for each in (layers, replace(layers, overrides={})):
            entry = self.entry(each, model_id)
            try:
                return model_of(entry) if entry else None
            except _UNREADABLE as error:
                _logger.error(
                    "an entry of the catalog cannot be read; what lies below it holds",
                    action="catalog_entry_unreadable",
                    model=model_id,
                    error=repr(error),
                )
        return None

    def _entry_of(self, model_id: str, layered: Mapping[str, Model]) -> _Entry:
        model = layered.get(model_id)
        return model.document if model and model.document else self._entries[model_id]


def parsed_documents(text: str) -> list[JsonObject]:
    """Return the documents in a JSON text: one, a list of them, or a whole catalog file."""
    found = json.loads(text)
    if isinstance(found, dict) and isinstance(found.get("models"), list):
        found = found["models"]
    return found if isinstance(found, list) else [found]
