"""A user who waits while the service hangs is told so once, and gets every answer once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import grpc
import pytest
from prometheus_client import CollectorRegistry
from telegram import Update

from edge_bot.conversation.handle_update import apologize, handle_update
from edge_bot.metric import Meter
from edge_bot.update.dispatcher import Dispatcher
from edge_bot.update.waiting_notice import WaitingNotice
from edge_bot.view.notice import takes_longer
from runtime.backoff import Backoff
from tests.contract.edge_chat import Chat, chatting
from tests.contract.edge_harness import until
from tests.contract.test_edge_money import invoice, wallet
from tests.edge_model import USER

AFTER_S = 0.1
LONGEST_PAUSE_S = 0.02
NOTICE = takes_longer("en")


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with chatting(is_sold=True) as chat:
        await chat.say("/help")  # what is sold is known from now on
        yield chat


def dispatcher(chat: Chat, *, after_s: float = AFTER_S) -> Dispatcher:
    return Dispatcher(
        partial(handle_update, chat.context),
        acknowledge=_nothing,
        apologize=partial(apologize, chat.context),
        meter=Meter(CollectorRegistry()),
        waiting=WaitingNotice(chat.context.bot, after_s=after_s),
        backoff=Backoff(first_s=0.01, cap_s=LONGEST_PAUSE_S),
    )


async def _nothing(_: Update) -> None: ...


def away(chat: Chat) -> None:
    wallet(chat).refuse_with("GetBalance", "", grpc.StatusCode.UNAVAILABLE)


async def has_long_tried(chat: Chat, before: int) -> bool:
    """Tell whether an update was tried for longer than somebody waits without a word."""
    return len(wallet(chat).asked("GetBalance")) > before + 20 * AFTER_S / LONGEST_PAUSE_S


async def said(chat: Chat) -> list[str]:
    return [str(each.get("text", "")) for each in await chat.from_bot()]


async def told(chat: Chat) -> int:
    """How often somebody was ever told to wait."""
    calls = await chat.telegram.calls("sendMessage")
    return sum(call["params"].get("text") == NOTICE for call in calls)


async def is_told(chat: Chat) -> bool:
    return NOTICE in await said(chat)


async def is_over(chat: Chat) -> bool:
    return NOTICE not in await said(chat)


async def test_who_waits_is_told_once_and_gets_each_answer_once(chat: Chat) -> None:
    away(chat)
    before = len(await said(chat))
    for _ in range(3):
        await chat.telegram.say(USER, "/balance")
    settle = partial(dispatcher(chat).settle, max_wait_s=60)
    waiting = [asyncio.create_task(settle(each)) for each in await chat.updates()]
    await until(partial(is_told, chat))
    wallet(chat).refusals.clear()
    assert await asyncio.gather(*waiting) == [True] * 3
    await until(partial(is_over, chat))
    assert await told(chat) == 1
    answers = (await said(chat))[before:]
    assert len(answers) == 3
    assert all(each.startswith("Balance") for each in answers)


async def test_who_is_answered_in_time_is_told_nothing(chat: Chat) -> None:
    await chat.telegram.say(USER, "/balance")
    settle = dispatcher(chat, after_s=30).settle
    assert [await settle(each, max_wait_s=60) for each in await chat.updates()] == [True]
    assert await told(chat) == 0


async def test_an_update_that_comes_again_tells_nothing_new(chat: Chat) -> None:
    away(chat)
    await chat.telegram.say(USER, "/balance")
    [update] = await chat.updates()
    dispatch = dispatcher(chat)
    async with asyncio.timeout(60):
        first = asyncio.create_task(dispatch.settle(update, max_wait_s=60))
        await until(partial(is_told, chat))
        first.cancel()
        await asyncio.wait((first,))
        again = asyncio.create_task(dispatch.settle(update, max_wait_s=60))
        before = len(wallet(chat).asked("GetBalance"))
        await until(partial(has_long_tried, chat, before))
        wallet(chat).refusals.clear()
        assert await again
    await until(partial(is_over, chat))
    assert await told(chat) == 1


async def test_who_was_told_that_nothing_came_of_it_does_not_wait_any_more(chat: Chat) -> None:
    away(chat)
    await chat.telegram.say(USER, "/balance")
    [update] = await chat.updates()
    dispatch = dispatcher(chat)
    waiting = asyncio.create_task(dispatch.settle(update, max_wait_s=20 * AFTER_S))
    await until(partial(is_told, chat))
    assert not await waiting
    await dispatch.apologize(update)
    await until(partial(is_over, chat))
    assert "Something went wrong" in (await said(chat))[-1]


async def test_a_payment_tells_of_its_own_delay_alone(chat: Chat) -> None:
    wallet(chat).refuse_with("RecordTopUp", "", grpc.StatusCode.UNAVAILABLE)
    message = await invoice(chat)
    query = (await chat.telegram.pay(USER, message_id=message["message_id"]))[
        "pre_checkout_query_id"
    ]
    await chat.pump()
    await chat.telegram.until_paid(query)
    [update] = await chat.updates()
    dispatch = dispatcher(chat)
    waiting = asyncio.create_task(dispatch.settle(update, max_wait_s=60))
    before = len(wallet(chat).asked("RecordTopUp"))
    await until(partial(has_long_recorded, chat, before))
    wallet(chat).refusals.clear()
    assert await waiting
    assert await told(chat) == 0
    assert len([each for each in await said(chat) if "cannot credit it" in each]) == 1


async def has_long_recorded(chat: Chat, before: int) -> bool:
    return len(wallet(chat).asked("RecordTopUp")) > before + 20 * AFTER_S / LONGEST_PAUSE_S
