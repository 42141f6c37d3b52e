"""The models on offer, read from the service now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import grpc
import structlog

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE
from atelier.generation.v1.model_pb2 import MODEL_VIEW_FULL, Model
from edge_bot.service_clock import ServiceClock
from edge_bot.view.language import base_language
from edge_bot.view.media_input import has_form, is_askable
from edge_bot.view.model_field import purpose_of
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
    askable_ids: frozenset[str] = field(init=False, compare=False)
    """The models of which all that they need can be asked for."""
    is_large: bool = field(init=False, compare=False)
    """Whether models are chosen by purpose: some need more than a prompt and a picture."""

    def __post_init__(self) -> None:
        askable = [each for each in self.models if is_askable(each)]
        object.__setattr__(self, "askable_ids", frozenset(each.id for each in askable))
        object.__setattr__(self, "is_large", any(map(has_form, askable)))

    def find(self, model_id: str) -> Model | None:
        """Return the model with this id, if there still is one."""
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
        refresh_s: float = REFRESH_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generation = generation
        self._service_clock = service_clock
        self._refresh_s = refresh_s
        self._clock = clock
        self._catalog: Catalog | None = None
        self._read_at = 0.0
        self._version = ""

    async def get(self) -> Catalog:
        """Return the catalog; raises AioRpcError if none was ever read and none can be."""
        if self._catalog is None:
            return await self._read()
        fresh_s = CHECK_S if self._version else self._refresh_s
        if self._clock() - self._read_at < fresh_s:
            return self._catalog
        try:
            return await self._read()
        except grpc.aio.AioRpcError as error:
            log.warning("the catalog could not be refreshed", code=error.code().name)
            return self._catalog

    def expire(self) -> None:
        """Have the list read again at the next use."""
        self._read_at = self._clock() - self._refresh_s

    async def _read(self) -> Catalog:
        first = await self._page(version=self._version)
        is_same = bool(first.catalog_version) and first.catalog_version == self._version
        if self._catalog is None or not is_same:
            models = tuple(await self._models(first))
            self._catalog = Catalog(models, self._service_clock)
            self._version = first.catalog_version
        self._read_at = self._clock()
        return self._catalog

    async def _models(self, page: pb.ListModelsResponse) -> list[Model]:
        models = list(page.models)
        while page.next_page_token:
            page = await self._page(token=page.next_page_token)
            models += page.models
        return models

    async def _page(self, *, token: str = "", version: str = "") -> pb.ListModelsResponse:
        request = pb.ListModelsRequest(
            page_token=token, if_catalog_version=version, view=MODEL_VIEW_FULL
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
