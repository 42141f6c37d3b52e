"""Where the layers of the catalog are kept, and who knows how a document becomes a model."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from generation_svc.domain.catalog_layer import CatalogLayers, ModelChange, Override
from generation_svc.domain.model import Catalog, Model
from generation_svc.domain.schema import JsonObject


class CatalogStore(Protocol):
    """The layers of the catalog, and the documents that jobs were made with."""

    async def revision(self) -> int:
        """Read the number of the latest change; 0 if there never was one."""

    async def layers(self) -> CatalogLayers:
        """Read all layers, in one statement."""

    async def advance(self, revision: int) -> bool:
        """Go on from a revision to the next; return False if it is no longer the latest."""

    async def put_imports(self, entries: Mapping[str, JsonObject], *, source: str) -> None:
        """Keep imported entries, each in the place of an earlier one."""

    async def drop_imports(self, model_ids: Collection[str]) -> None:
        """Forget imports, so that what was shipped holds again."""

    async def put_override(self, model_id: str, override: Override) -> None:
        """Keep an override; one that overrides nothing is forgotten."""

    async def keep_document(self, digest: str, document: JsonObject) -> None:
        """Keep the document of a model, or note that it is still used."""

    async def document(self, digest: str) -> JsonObject | None:
        """Read the document that a job was made with."""

    async def forget_documents(self, *, unused_for: timedelta) -> int:
        """Forget documents with which no job was made for so long; return how many."""


@dataclass(frozen=True, slots=True)
class CatalogReview:
    """A change of layers that was checked: what would hold, and how it differs."""

    layers: CatalogLayers
    """As they would be; their revision is the one that was reviewed."""
    changes: Sequence[ModelChange]
    added: Mapping[str, JsonObject]
    """The entries of the documents, as they are kept."""


class CatalogFormat(Protocol):
    """What knows documents, entries and the shipped file."""

    def catalog(self, layers: CatalogLayers) -> Catalog:
        """Return the catalog that layers make; an entry that cannot be used is left out."""

    def version(self, layers: CatalogLayers) -> str:
        """Return the version of the catalog that layers make."""

    def model(self, document: JsonObject) -> Model:
        """Return the model of an entry."""

    def entry(self, layers: CatalogLayers, model_id: str) -> JsonObject | None:
        """Return the entry that holds for a model."""

    def review(
        self,
        layers: CatalogLayers,
        *,
        documents: Sequence[JsonObject] = (),
        dropped: Collection[str] = (),
        overrides: Mapping[str, Override] | None = None,
    ) -> CatalogReview:
        """Check a change of layers. Raises InvalidDocument for the first mistake."""
