import asyncio

from edge_bot.profile import publish_profile
from runtime.backoff import Backoff
from tests.contract.edge_chat import chatting


async def test_a_profile_that_telegram_did_not_take_is_published_later() -> None:
    async with chatting() as chat:
        await chat.telegram.fault(kind="server_error", method="setMyDescription", times=2)
        soon = Backoff(first_s=0.01, cap_s=0.01)
        await publish_profile(chat.context.bot, stop=asyncio.Event(), backoff=soon)
        for language in ("", "ru"):
            shown = await chat.telegram.result("getMyDescription", language_code=language)
            assert shown["description"]
