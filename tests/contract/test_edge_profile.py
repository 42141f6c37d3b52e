import asyncio

import pytest

from edge_bot.telegram.profile import publish_profile
from runtime.backoff import Backoff
from tests.contract.edge_chat import Chat, chatting

GETTERS = ("getMyCommands", "getMyDescription", "getMyShortDescription")
SOON = Backoff(first_s=0.01, cap_s=0.01)


async def shown(chat: Chat, getter: str, language: str) -> bool:
    found = await chat.telegram.result(getter, language_code=language)
    return bool(found and (isinstance(found, list) or all(found.values())))


async def test_a_profile_that_telegram_did_not_take_is_published_later() -> None:
    async with chatting() as chat:
        await chat.telegram.fault(kind="server_error", method="setMyDescription", times=2)
        await publish_profile(chat.context.bot, stop=asyncio.Event(), backoff=SOON)
        for language in ("", "ru"):
            shown = await chat.telegram.result("getMyDescription", language_code=language)
            assert shown["description"]


@pytest.mark.parametrize(("language", "words"), [("", "videos, music"), ("ru", "видео, музык")])
@pytest.mark.parametrize("has_money", [True, False])
async def test_a_bot_says_that_it_makes_more_than_pictures_where_it_does(
    language: str, words: str, has_money: bool
) -> None:
    async with chatting() as chat:
        stop = asyncio.Event()
        await publish_profile(chat.context.bot, stop=stop, backoff=SOON, has_money=has_money)
        for getter in GETTERS[1:]:
            told = await chat.telegram.result(getter, language_code=language)
            assert (words in str(told)) is has_money


@pytest.mark.parametrize(
    "refused",
    ["setMyCommands", "getMyCommands", "setMyDescription", "setMyShortDescription"],
)
async def test_one_refused_part_of_the_profile_stops_no_other(refused: str) -> None:
    async with chatting() as chat:
        await chat.telegram.fault(kind="too_many_requests", method=refused)
        stop, refusals = asyncio.Event(), 0
        publishing = asyncio.create_task(publish_profile(chat.context.bot, stop=stop, backoff=SOON))
        while refusals < 4:  # both languages, tried twice
            await chat.telegram.until_called(refused, times=refusals + 1, is_over=True)
            refusals = len(await chat.telegram.calls(refused))
        others = [each for each in GETTERS if each.removeprefix("get") not in refused]
        for getter in others:
            assert await shown(chat, getter, "")
            assert await shown(chat, getter, "ru")
        stop.set()
        await asyncio.wait_for(publishing, 5)
        assert len(await chat.telegram.calls(others[0])) == 4  # two of them are the test's own
