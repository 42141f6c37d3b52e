"""Answers ListModels and GetModel."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1 import model_pb2
from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import InvalidPageToken
from generation_svc.domain.model import Catalog, Model
from generation_svc.domain.model_health import ModelHealth, ModelState
from generation_svc.domain.money import NO_MARGIN, Margins
from generation_svc.lifecycle import model_outage
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.model_health import health_of
from generation_svc.lifecycle.pricing import terms_of
from generation_svc.rpc.answer_bound import fitting
from generation_svc.rpc.bound import MAX_FILTER_LENGTH, MAX_VERSION_LENGTH, Bounds
from generation_svc.rpc.model_filter import matches, parse_model_filter
from generation_svc.rpc.model_message import ModelMessages
from generation_svc.rpc.page_token import PageQuery

MAX_MODELS = 500
"""The models of one page."""


_STATES = {
    ModelState.FINE: model_pb2.MODEL_STATE_FINE,
    ModelState.SLOW: model_pb2.MODEL_STATE_SLOW,
    ModelState.FAILING: model_pb2.MODEL_STATE_FAILING,
}


@dataclass(frozen=True, slots=True)
class ModelReport:
    """How models are doing, which no catalog says."""

    off: Mapping[str, datetime]
    """The models that are off, and until when."""
    health: Mapping[str, ModelHealth]
    margins: Margins = field(default_factory=Margins)
    """What prices are multiplied with."""

    def words(self, model: Model) -> str:
        """Return what differs from a model of which nothing is known; empty if nothing does."""
        off, health = self.off.get(model.id), self.health.get(model.id)
        state, margin = health.state if health else None, self.margins.of(model)
        if not off and not state and margin == NO_MARGIN:
            return ""
        return f"{model.id} {off and off.isoformat()} {state} {margin.normalize()}\n"


class ModelPages:
    """The models as callers see them."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._messages = ModelMessages()

    async def list_models(
        self, caller: Caller, request: pb.ListModelsRequest
    ) -> pb.ListModelsResponse:
        """List the models on offer. Raises InvalidInputs and InvalidPageToken."""
        size = _checked_size(request)
        catalog, lately = self._deps.models.catalog, await self._lately()
        version = version_of(catalog, lately=lately)
        if request.if_catalog_version == version and not request.page_token:
            return pb.ListModelsResponse(catalog_version=version)
        wanted = parse_model_filter(request.filter)
        models = [model for model in catalog.offered if matches(model, wanted)]
        query = PageQuery("ListModels", caller.name, tuple(filter(None, [request.filter])))
        rest = models[_start_after(query.cursor(request.page_token), models=models) :]
        is_full = request.view == model_pb2.MODEL_VIEW_FULL
        page = [self._told(each, caller, is_full=is_full, lately=lately) for each in rest[:size]]
        count = fitting(page)
        token = query.next_token(rest, shown=count, cursor=lambda model: model.id)
        return pb.ListModelsResponse(
            models=page[:count], next_page_token=token, catalog_version=version
        )

    async def get_model(self, caller: Caller, request: pb.GetModelRequest) -> pb.GetModelResponse:
        """Return a model in full. Raises InvalidInputs and UnknownModel."""
        bounds = Bounds()
        bounds.text("model_id", request.model_id, is_required=True)
        bounds.check()
        model = self._deps.models.catalog.get(request.model_id)
        lately = await self._lately()
        return pb.GetModelResponse(model=self._told(model, caller, is_full=True, lately=lately))

    async def _lately(self) -> ModelReport:
        terms = await terms_of(self._deps)
        resting = await model_outage.resting(self._deps)
        return ModelReport(resting, await health_of(self._deps), terms.margins)

    def _told(
        self, model: Model, caller: Caller, *, is_full: bool, lately: ModelReport
    ) -> model_pb2.Model:
        has_operator_fields = Scope.OPERATOR_FIELDS in caller.scopes
        message = self._messages.of(
            model,
            is_full=is_full,
            has_operator_fields=has_operator_fields,
            margin=lately.margins.of(model),
        )
        if model.id in lately.off:
            message.unavailable_until_time.FromDatetime(lately.off[model.id])
        health = lately.health.get(model.id)
        if health and health.state:
            message.state = _STATES[health.state]
        if health and health.usual and model.usual_duration is None:
            message.usual_duration.FromTimedelta(health.usual)
        return message


def version_of(catalog: Catalog, *, lately: ModelReport) -> str:
    """Return the version of what is told: the catalog's, and of how its models are doing.

    A margin changes their prices, so it changes the version, too.
    """
    told = "".join(sorted(filter(None, map(lately.words, catalog.offered))))
    if not told:
        return catalog.version
    return f"{catalog.version}+{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def _checked_size(request: pb.ListModelsRequest) -> int:
    bounds = Bounds()
    size = bounds.page_size(request.page_size, default=MAX_MODELS, most=MAX_MODELS)
    bounds.text("if_catalog_version", request.if_catalog_version, most=MAX_VERSION_LENGTH)
    bounds.text("filter", request.filter, most=MAX_FILTER_LENGTH)
    bounds.check()
    return size


def _start_after(model_id: str, *, models: list[Model]) -> int:
    """Return where the page after a model begins. Raises InvalidPageToken if the model has left."""
    if not model_id:
        return 0
    ids = [model.id for model in models]
    if model_id not in ids:
        raise InvalidPageToken
    return ids.index(model_id) + 1
