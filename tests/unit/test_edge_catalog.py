"""The models that the bot offers follow the service's catalog, and its words find them."""

from typing import Any

import grpc
import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.model_pb2 import Model
from edge_bot.service_clock import ServiceClock
from edge_bot.view.catalog import Catalog, CatalogCache
from edge_bot.view.search import found_models
from generation_svc.catalog import load_catalog
from generation_svc.rpc.convert_model import model_to_proto


class Service:
    """Answers ListModels as a service does whose catalog has a version, or none."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.ids = ["one"]
        self.sent: list[int] = []
        self.is_away = False

    async def ListModels(self, request: pb.ListModelsRequest) -> pb.ListModelsResponse:
        if self.is_away:
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()
            )
        answer = pb.ListModelsResponse(catalog_version=self.version)
        if not self.version or request.if_catalog_version != self.version:
            answer.models.extend(Model(id=each) for each in self.ids)
        self.sent.append(len(answer.models))
        return answer


class Bot:
    """A bot at a time of its own."""

    def __init__(self, service: Any) -> None:
        self.now = 1000.0
        self._cache = CatalogCache(service, service_clock=ServiceClock(), clock=lambda: self.now)

    async def offers_after(self, seconds: float) -> list[str]:
        self.now += seconds
        return [model.id for model in (await self._cache.get()).models]


async def test_what_was_imported_is_there_within_seconds() -> None:
    service = Service("1")
    bot = Bot(service)
    assert await bot.offers_after(0) == ["one"]
    service.version, service.ids = "2", ["one", "two"]

    assert await bot.offers_after(5) == ["one", "two"]


async def test_a_catalog_that_stays_is_sent_once() -> None:
    service = Service("1")
    bot = Bot(service)
    assert {tuple(await bot.offers_after(5)) for _ in range(4)} == {("one",)}
    assert service.sent == [1, 0, 0, 0]


async def test_a_service_without_versions_is_asked_every_few_minutes() -> None:
    service = Service("")
    bot = Bot(service)
    for _ in range(4):
        await bot.offers_after(5)
    assert service.sent == [1]
    await bot.offers_after(300)
    assert service.sent == [1, 1]


async def test_the_known_catalog_serves_while_the_service_is_away() -> None:
    service = Service("1")
    bot = Bot(service)
    await bot.offers_after(0)
    service.is_away = True
    assert await bot.offers_after(5) == ["one"]


@pytest.mark.parametrize(
    ("words", "model_id"),
    [("suno", "ai-music-api/generate"), ("Veo", "veo-3-1"), ("музыка", "ai-music-api/generate")],
)
def test_a_name_finds_first_what_it_is_the_name_of(words: str, model_id: str) -> None:
    models = load_catalog().models.values()
    told = tuple(model_to_proto(each) for each in models if each.withdrawn is None)
    assert found_models(words, catalog=Catalog(told))[0].id == model_id
