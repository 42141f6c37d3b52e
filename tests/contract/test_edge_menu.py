"""The menu of commands has those about money only where there is some."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from structlog.testing import capture_logs

from edge_bot.conversation.handler.money import COMMANDS
from edge_bot.pack.pack_cache import PackCache
from edge_bot.pack.seller import Seller
from edge_bot.payment.menu import Menu
from tests.contract.edge_chat import Chat, chatting
from tests.contract.edge_harness import until

ALWAYS = ["start", "models", "help", "cancel"]


async def commands(chat: Chat, language: str = "") -> list[str]:
    found = await chat.telegram.result("getMyCommands", language_code=language)
    return [each["command"] for each in found]


async def has_money(chat: Chat) -> bool:
    return all([set(COMMANDS) <= set(await commands(chat, each)) for each in ("", "ru")])


async def has_none(chat: Chat) -> bool:
    return all([await commands(chat, each) == ALWAYS for each in ("", "ru")])


@asynccontextmanager
async def publishing(chat: Chat, *, contact: str = "@example_help") -> AsyncIterator[None]:
    """Keep the menu up to date while the context is open."""
    stop = asyncio.Event()
    packs = PackCache(chat.context.client.wallet, fresh_s=0)
    menu = Menu(chat.context.bot, packs=packs, seller=Seller("127.0.0.1", contact), look_s=0.02)
    async with asyncio.TaskGroup() as group:
        group.create_task(menu.run(stop))
        try:
            yield
        finally:
            stop.set()


@pytest.mark.parametrize("is_sold", [True, False])
async def test_the_menu_is_what_there_is(is_sold: bool) -> None:
    async with chatting(is_sold=is_sold) as chat, publishing(chat):
        await until(lambda: has_money(chat) if is_sold else has_none(chat))


async def test_the_menu_follows_the_operator() -> None:
    async with chatting() as chat, publishing(chat):
        await until(lambda: has_none(chat))
        chat.service.wallet.is_off = False
        await until(lambda: has_money(chat))
        chat.service.wallet.is_off = True
        await until(lambda: has_none(chat))


async def test_closed_sales_change_no_menu() -> None:
    async with chatting(is_sold=True) as chat, publishing(chat):
        await until(lambda: has_money(chat))
        chat.service.wallet.is_open = False
        asked = len(chat.service.wallet.asked("ListPacks"))
        await until(lambda: asked_again(chat, asked))
        assert await has_money(chat)


async def asked_again(chat: Chat, before: int) -> bool:
    return len(chat.service.wallet.asked("ListPacks")) > before + 2


async def test_an_unknown_state_takes_no_command_away() -> None:
    async with chatting(is_sold=True) as chat:
        async with publishing(chat):
            await until(lambda: has_money(chat))
        chat.service.wallet.refuse_with("ListPacks", "", grpc.StatusCode.UNAVAILABLE)
        asked = len(chat.service.wallet.asked("ListPacks"))
        async with publishing(chat):
            await until(lambda: asked_again(chat, asked - 2))
        assert await has_money(chat)


@pytest.mark.parametrize(
    ("is_live", "contact", "levels"),
    [(True, "", ["error"]), (False, "", ["warning"]), (True, "@example_help", [])],
    ids=["live", "test", "there is one"],
)
async def test_a_bot_that_sells_and_names_nobody_is_told_once_what_to_set(
    is_live: bool, contact: str, levels: list[str]
) -> None:
    async with chatting(is_sold=True) as chat:
        chat.service.wallet.is_live = is_live
        with capture_logs() as logs:
            async with publishing(chat, contact=contact):
                await until(lambda: has_money(chat))
                await until(lambda: asked_again(chat, 0))
    told = [each for each in logs if "set EDGE_SUPPORT to @name" in each["event"]]
    assert [each["log_level"] for each in told] == levels


async def test_where_nothing_is_sold_no_contact_is_asked_for() -> None:
    async with chatting() as chat:
        with capture_logs() as logs:
            async with publishing(chat, contact=""):
                await until(lambda: has_none(chat))
    assert not [each for each in logs if "EDGE_SUPPORT" in each["event"]]
