"""The models on offer, read from the service now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

import grpc
import structlog

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE
from atelier.generation.v1.model_pb2 import MODEL_VIEW_BASIC, Model
from edge_bot.service_clock import ServiceClock
from edge_bot.view.language import base_language
from edge_bot.view.large_file import LargeFiles
from edge_bot.view.media_input import has_form, is_askable
from edge_bot.view.model_field import is_brief, purpose_of
from edge_bot.view.open_model import OpenModels
from edge_bot.view.purpose import Purpose

REFRESH_S = 300.0
"""How old the list of a service that tells no version may become before it is read again."""
CHECK_S = 3.0
"""How old a list may become before the service is asked whether there is another version."""

_Text = TypeVar("_Text")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Catalog:
    """The models in the catalog's order: the first of a kind is that kind's default."""

    models: tuple[Model, ...]
    clock: ServiceClock = field(default_factory=ServiceClock, compare=False)
    """The clock by which models are switched off."""
    version: str = ""
    """The version that the service gives the list; empty if it gives none."""
    hidden_ids: frozenset[str] = frozenset()
    """The models that are not offered since a file that they may need could not come."""
    askable_ids: frozenset[str] = field(init=False, compare=False)
    """The models that are offered while they are on: all that they need can be asked for."""
    is_large: bool = field(init=False, compare=False)
    """Whether models are chosen by purpose: some need more than a prompt and a picture."""

    def __post_init__(self) -> None:
        askable = [
            each for each in self.models if is_askable(each) and each.id not in self.hidden_ids
        ]
        object.__setattr__(self, "askable_ids", frozenset(each.id for each in askable))
        object.__setattr__(self, "is_large", any(map(has_form, askable)))

    def with_model(self, model: Model) -> Catalog:
        """Return the catalog with a model in full in place of its brief."""
        models = tuple(model if each.id == model.id else each for each in self.models)
        return replace(self, models=models)

    def without(self, model_id: str) -> Catalog:
        """Return the catalog without a model."""
        return replace(self, models=tuple(each for each in self.models if each.id != model_id))

    def find(self, model_id: str) -> Model | None:
        """Return the model with this id, if there still is one; in full if it was opened."""
        return next((model for model in self.models if model.id == model_id), None)

    @property
    def offered(self) -> tuple[Model, ...]:
        """The models that can be asked for in the conversation and are not off at the moment."""
        now = self.clock.now()
        return tuple(
            each for each in self.models if each.id in self.askable_ids and not _is_off(each, now)
        )

    def of_kind(self, kind: int) -> tuple[Model, ...]:
        """Return the models that do this and are offered."""
        return tuple(model for model in self.offered if model.kind == kind)

    def of_purpose(self, purpose: Purpose) -> tuple[Model, ...]:
        """Return the models that are for this and are offered."""
        return tuple(model for model in self.offered if purpose_of(model) is purpose)

    def has_kind(self, kind: int) -> bool:
        """Tell whether there is a model that does this, be it switched off."""
        return any(model.kind == kind for model in self.models)

    def title(self, model_id: str, language: str) -> str:
        """Return the title of the model; its id if it is no longer offered."""
        model = self.find(model_id)
        return localised(model.titles, language) if model else model_id

    def makes_pictures(self, model_id: str) -> bool:
        """Tell whether the results of a model are pictures; those of an unknown one are."""
        model = self.find(model_id)
        kinds = model.result_kinds if model else ()
        return not kinds or kinds[0] == MEDIA_KIND_IMAGE

    def usual_s(self, model_id: str) -> float:
        """Return the seconds that a generation usually takes; 0 if unknown."""
        model = self.find(model_id)
        return model.usual_duration.ToTimedelta().total_seconds() if model else 0.0


class CatalogCache:
    """Holds the catalog while it stays as it is; an old one serves while the service is away."""

    def __init__(
        self,
        generation: GenerationServiceStub,
        *,
        service_clock: ServiceClock,
        large_files: LargeFiles | None = None,
        refresh_s: float = REFRESH_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generation = generation
        self._service_clock = service_clock
        self._refresh_s = refresh_s
        self._clock = clock
        self._large_files = large_files
        self._open = OpenModels(generation)
        self._catalog: Catalog | None = None
        self._read_at = 0.0
        self._hidden_at = 0.0

    async def get(self) -> Catalog:
        """Return the catalog; raises AioRpcError if none was ever read and none can be."""
        if self._catalog is None:
            return await self._read()
        fresh_s = CHECK_S if self._catalog.version else self._refresh_s
        if self._clock() - self._read_at < fresh_s:
            return self._catalog
        try:
            return await self._read()
        except grpc.aio.AioRpcError as error:
            log.warning("the catalog could not be refreshed", code=error.code().name)
            return self._catalog

    async def opened(self, catalog: Catalog, model_id: str) -> Catalog:
        """Return a catalog with a model in full, or without it if it cannot be asked for.

        Raises AioRpcError while it cannot be read.
        """
        model = catalog.find(model_id)
        if model is None or not is_brief(model):
            return catalog
        full = await self._open.read(model_id, version=catalog.version)
        if full is None:
            self.expire()  # the list is older than that
        is_usable = full is not None and not is_brief(full) and is_askable(full)
        return catalog.with_model(full) if full and is_usable else catalog.without(model_id)

    def expire(self) -> None:
        """Have the list read again at the next use."""
        self._read_at = self._clock() - self._refresh_s

    async def _read(self) -> Catalog:
        known = self._catalog
        first = await self._page(version=known.version if known else "")
        version = first.catalog_version
        if known is None or not version or version != known.version:
            models, hidden = tuple(await self._models(first)), await self._hidden()
            known = Catalog(models, self._service_clock, version=version, hidden_ids=hidden)
        elif self._clock() - self._hidden_at >= self._refresh_s:
            known = replace(known, hidden_ids=await self._hidden())
        self._catalog, self._read_at = known, self._clock()
        return known

    async def _hidden(self) -> frozenset[str]:
        hidden = await self._large_files.hidden_ids() if self._large_files else frozenset()
        self._hidden_at = self._clock()
        return hidden

    async def _models(self, page: pb.ListModelsResponse) -> list[Model]:
        models = list(page.models)
        while page.next_page_token:
            page = await self._page(token=page.next_page_token)
            models += page.models
        return models

    async def _page(self, *, token: str = "", version: str = "") -> pb.ListModelsResponse:
        request = pb.ListModelsRequest(
            page_token=token, if_catalog_version=version, view=MODEL_VIEW_BASIC
        )
        page: pb.ListModelsResponse = await self._generation.ListModels(request)
        return page


def _is_off(model: Model, now: datetime) -> bool:
    # Compared with the service's clock: it set the time, and this machine's may be wrong.
    until = model.unavailable_until_time
    has_time = model.HasField("unavailable_until_time")
    return has_time and until.ToDatetime(tzinfo=UTC) > now


def localised(texts: Mapping[str, _Text], language: str) -> _Text:
    """Return the entry for a language; the English one where the catalog has no other."""
    code = base_language(language)
    return texts[code] if code in texts else texts["en"]
