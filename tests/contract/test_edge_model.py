"""The bot lists models by what chooses them, and reads one in full when it is opened."""

from collections.abc import AsyncIterator

import pytest

from atelier.generation.v1 import model_pb2
from edge_bot.view.catalog import Catalog, CatalogCache
from edge_bot.view.large_file import LargeFiles
from edge_bot.view.open_model import OpenModels
from edge_bot.view.purpose import Purpose
from tests.contract.edge_chat import BOT_ID, Chat, chatting
from tests.contract.test_edge_form import all_models, choose, large_chat, pressed

DIALOGUE = "elevenlabs/text-to-dialogue-v3"
FILM = "bytedance/seedance-2"
UPSCALE = "topaz/video-upscale"
SONGS = "ai-music-api/generate"


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with large_chat() as chat:
        yield chat


async def leave(chat: Chat, model_id: str) -> None:
    """Take a model off the service's list, which the bot has read before."""
    desk = chat.service.generation
    desk.models = tuple(each for each in desk.models if each.id != model_id)


async def test_a_model_is_read_in_full_once_it_is_opened(chat: Chat) -> None:
    desk = chat.service.generation
    desk.version = "one"
    chat.context.catalog.expire()
    await chat.say("/models")
    assert {each.view for each in desk.lists} == {model_pb2.MODEL_VIEW_BASIC}
    assert desk.opened == []
    await choose(chat, FILM)
    await chat.press("What happens")
    await chat.say("waves")
    assert desk.opened == [FILM]


async def test_another_version_of_the_catalog_is_read_anew(chat: Chat) -> None:
    desk = chat.service.generation
    desk.version = "one"
    chat.context.catalog.expire()
    await choose(chat, FILM)
    desk.version = "two"
    chat.context.catalog.expire()
    await choose(chat, FILM)
    assert desk.opened == [FILM, FILM]


async def test_few_models_are_kept_in_full(chat: Chat) -> None:
    models = OpenModels(chat.context.client.generation, most=2)
    for model_id in (FILM, DIALOGUE, FILM, SONGS, FILM, DIALOGUE):
        found = await models.read(model_id, version="one")
        assert found is not None
        assert found.input_schema.fields
    assert chat.service.generation.opened == [FILM, DIALOGUE, SONGS, DIALOGUE]


async def test_a_model_that_went_since_it_was_listed_is_told_kindly(chat: Chat) -> None:
    chat.service.generation.version = "one"
    await chat.say("/models")
    await leave(chat, FILM)
    await chat.press_data(f"m::{FILM}", message_id=(await chat.last())["message_id"])
    assert "no longer on offer" in await chat.last_text()
    assert await chat.labels()


async def test_a_draft_whose_model_went_asks_for_another(chat: Chat) -> None:
    await choose(chat, FILM)
    await chat.press("What happens")
    await leave(chat, FILM)
    chat.service.generation.version = "two"
    chat.context.catalog.expire()
    await chat.say("waves")
    assert "no longer on offer" in await chat.last_text()
    assert any("All models" in each for each in await chat.labels())


async def test_words_begin_a_form_where_the_first_model_has_one() -> None:
    paid = [each for each in all_models() if not each.pricing.is_free]
    async with chatting(models=paid) as chat:
        await chat.say("a very small house under a tall tree in spring")
        assert len(chat.service.generation.opened) == 1
        await pressed(chat, "Square", "Create")
        (request,) = chat.service.generation.requests.values()
        assert request.model_id == chat.service.generation.opened[0]
        assert request.inputs["prompt"] == "a very small house under a tall tree in spring"


async def offered(chat: Chat, *, has_links: bool) -> Catalog:
    """Return the catalog of an edge whose operator serves links, or none."""
    chat.service.edge.has_links = has_links
    cache = CatalogCache(
        chat.context.client.generation,
        service_clock=chat.context.clock,
        large_files=LargeFiles(chat.context.client, BOT_ID),
    )
    return await cache.get()


async def test_without_links_no_model_is_offered_that_may_need_a_larger_file(chat: Chat) -> None:
    has_links = await offered(chat, has_links=True)
    has_none = await offered(chat, has_links=False)
    hidden = {each.id for each in has_links.offered} - {each.id for each in has_none.offered}
    assert UPSCALE in hidden
    full = {each.id: each for each in all_models()}
    for model_id in hidden:
        kinds = [one.kind for one in full[model_id].media_inputs if one.max_size_bytes > 20_000_000]
        assert kinds, model_id
    assert len(has_links.offered) == len(all_models())
    assert len(has_none.of_purpose(Purpose.TEXT_TO_VIDEO)) == len(
        has_links.of_purpose(Purpose.TEXT_TO_VIDEO)
    )
    assert has_none.find(UPSCALE) is not None
