"""The models that the bot offers follow the service's catalog, and its words find them."""

from functools import cache
from typing import Any

import grpc
import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.model_pb2 import Model
from edge_bot.service_clock import ServiceClock
from edge_bot.view.catalog import Catalog, CatalogCache
from edge_bot.view.model_field import purpose_of
from edge_bot.view.purpose import Purpose
from edge_bot.view.search import found_models
from edge_bot.view.search_word import SEARCH_WORDS
from edge_bot.view.shelf import FOUND
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


@pytest.mark.parametrize("words", ["kling 3", "Veo 3", "seedance 2"])
def test_a_version_of_one_digit_finds_all_that_begin_with_it(words: str) -> None:
    name, version = words.casefold().split()
    found = found_models(words, catalog=every_model())
    assert found
    for model in found:
        said = f"{model.family} {model.titles['en']}".casefold()
        assert name in said
        assert f" {version}" in said.replace("-", " ")


def test_a_digit_among_words_that_name_no_model_stays_a_description() -> None:
    assert found_models("3 cats", catalog=every_model()) == ()


@cache
def every_model() -> Catalog:
    models = load_catalog().models.values()
    brief = (model_to_proto(each, is_full=False) for each in models if each.withdrawn is None)
    return Catalog(tuple(brief))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_model_is_found_by_its_whole_title(language: str) -> None:
    catalog = every_model()
    for model in catalog.offered:
        found = found_models(model.titles[language], catalog=catalog)
        assert model.id in [each.id for each in found[:FOUND]], model.titles[language]


def purposes_found(words: str) -> list[Purpose]:
    """Return what the models are for that words find, in the order in which they are shown."""
    found = found_models(words, catalog=every_model())
    return list(dict.fromkeys(purpose_of(each) for each in found))


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("улучшить", Purpose.IMAGE_UPSCALE),
        ("улучши фото", Purpose.IMAGE_UPSCALE),
        ("Улучшение видео", Purpose.VIDEO_UPSCALE),
        ("увеличить", Purpose.IMAGE_UPSCALE),
        ("четкость", Purpose.IMAGE_UPSCALE),
        ("чёткость", Purpose.IMAGE_UPSCALE),
        ("оживить", Purpose.IMAGE_TO_VIDEO),
        ("оживи картинку", Purpose.IMAGE_TO_VIDEO),
        ("озвучить текст", Purpose.TEXT_TO_SPEECH),
        ("озвучка голосом", Purpose.TEXT_TO_SPEECH),
        ("говорящее лицо", Purpose.LIP_SYNC),
        ("убрать фон", Purpose.BACKGROUND_REMOVAL),
        ("убери фон", Purpose.BACKGROUND_REMOVAL),
        ("удали фон с фото", Purpose.BACKGROUND_REMOVAL),
        ("напиши песню", Purpose.TEXT_TO_MUSIC),
        ("сделай мне видео", Purpose.TEXT_TO_VIDEO),
        ("продолжи песню", Purpose.MUSIC_EXTEND),
        ("очистить запись", Purpose.AUDIO_ISOLATION),
        ("upscale", Purpose.IMAGE_UPSCALE),
        ("upscaling a video", Purpose.VIDEO_UPSCALE),
        ("improve", Purpose.IMAGE_UPSCALE),
        ("remove background", Purpose.BACKGROUND_REMOVAL),
        ("remove the background", Purpose.BACKGROUND_REMOVAL),
        ("animate", Purpose.IMAGE_TO_VIDEO),
        ("animating my photo", Purpose.IMAGE_TO_VIDEO),
        ("talk", Purpose.LIP_SYNC),
        ("song", Purpose.TEXT_TO_MUSIC),
        ("write a song", Purpose.TEXT_TO_MUSIC),
        ("voice", Purpose.TEXT_TO_SPEECH),
        ("edit a photo", Purpose.IMAGE_EDIT),
    ],
)
def test_what_is_to_be_done_finds_what_does_it(words: str, first: Purpose) -> None:
    assert purposes_found(words)[:1] == [first]


def test_improving_is_not_only_for_prompts() -> None:
    assert set(purposes_found("улучшить")) >= {
        Purpose.IMAGE_UPSCALE,
        Purpose.VIDEO_UPSCALE,
        Purpose.PROMPT_HELP,
    }


@pytest.mark.parametrize("purpose", [each for each in Purpose if each is not Purpose.OTHER])
def test_every_purpose_is_found_by_each_word_that_means_it(purpose: Purpose) -> None:
    offered = {purpose_of(each) for each in every_model().offered}
    for word in SEARCH_WORDS[purpose]:
        assert purpose not in offered or purpose in purposes_found(word), word


@pytest.mark.parametrize(
    "words",
    ["a cat", "рыжий кот", "the end", "make it red", "нарисуй кота", "my dog", "старый фонарь"],
)
def test_what_is_to_be_drawn_finds_nothing(words: str) -> None:
    assert purposes_found(words) == []
