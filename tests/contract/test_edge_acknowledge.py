"""A press is acknowledged at once, whatever else is slow, stopped or under way."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest
from prometheus_client import CollectorRegistry
from telegram import Update

from edge_bot.conversation.handle_update import apologize, handle_update
from edge_bot.metric import Meter
from edge_bot.telegram.acknowledge import MAX_WAIT_S, acknowledge
from edge_bot.update.dispatcher import Dispatcher
from edge_bot.view.catalog import CatalogCache
from generation_client import connect
from tests.contract.edge_chat import Chat, chatting
from tests.contract.edge_harness import CHAT, Harness, harness, until
from tests.edge_model import USER
from tests.integration.sandbox_telegram import Sandbox

PRESSES = 12


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with chatting() as chat:
        yield chat


@pytest.fixture
async def edge() -> AsyncIterator[Harness]:
    async with harness() as made:
        yield made


async def press(telegram: Sandbox, *, message_id: int, times: int = PRESSES) -> list[str]:
    url, body = f"/sandbox/chats/{USER}/press", {"message_id": message_id, "data": "s"}
    answers = [await telegram.http.post(url, json=body | {"force": True}) for _ in range(times)]
    return [str(answer.json()["callback_query_id"]) for answer in answers]


async def are_answered(telegram: Sandbox, queries: list[str]) -> bool:
    found = [await telegram.http.get(f"/sandbox/callbacks/{query}") for query in queries]
    return all(each.json()["answer"] == {"text": "", "show_alert": False} for each in found)


async def test_twelve_presses_are_acknowledged_while_the_first_is_handled(edge: Harness) -> None:
    handled, gate = [], asyncio.Event()

    async def handle(update: Update) -> None:
        await gate.wait()
        handled.append(update.update_id)

    message_id = await edge.progress_message()
    async with edge.polling(handle):
        queries = await press(edge.telegram, message_id=message_id)
        await until(lambda: are_answered(edge.telegram, queries))
        assert handled == []
        gate.set()
        await until(edge.has_confirmed)


async def test_an_acknowledgement_does_not_wait_for_messages_to_the_chat(edge: Harness) -> None:
    message_id = await edge.progress_message()
    await edge.telegram.fault(kind="too_many_requests", method="sendMessage", retry_after=20)
    sending = asyncio.create_task(edge.bot.send_message(CHAT, "first"))
    await edge.telegram.until_called("sendMessage", times=2, is_over=True)
    async with edge.polling(partial(acknowledge, edge.bot)):
        queries = await press(edge.telegram, message_id=message_id)
        await until(lambda: are_answered(edge.telegram, queries))
    assert not sending.done()
    sending.cancel()


async def test_presses_are_acknowledged_while_the_service_is_away(chat: Chat) -> None:
    message_id = (await chat.last())["message_id"]
    async with connect("127.0.0.1:9") as nowhere:
        catalog = CatalogCache(nowhere.generation, service_clock=chat.context.clock)
        context = replace(chat.context, client=nowhere, catalog=catalog)
        dispatcher = Dispatcher(
            partial(handle_update, context),
            acknowledge=partial(acknowledge, context.bot),
            apologize=partial(apologize, context),
            meter=Meter(CollectorRegistry()),
        )
        queries = await press(chat.telegram, message_id=message_id)
        updates = await chat.updates()
        settling = [
            asyncio.create_task(dispatcher.settle(update, max_wait_s=60)) for update in updates
        ]
        await until(lambda: are_answered(chat.telegram, queries))
        assert not any(each.done() for each in settling)
        for each in settling:
            each.cancel()
        await asyncio.wait(settling)


async def test_a_press_that_is_too_old_is_no_trouble() -> None:
    async with chatting(answer_timeout_s=0) as chat:
        await chat.press("Create a picture")
        assert len(await chat.telegram.calls("answerCallbackQuery")) == 1
        assert "Which model" in await chat.last_text()


@pytest.mark.parametrize("kind", ["server_error", "too_many_requests", "answer_lost"])
async def test_an_acknowledgement_is_tried_again(chat: Chat, kind: str) -> None:
    await chat.telegram.fault(kind=kind, method="answerCallbackQuery", times=1, retry_after=1)
    query = await chat.press("Create a picture")
    assert await are_answered(chat.telegram, [query])
    assert len(await chat.telegram.calls("answerCallbackQuery")) == 2


async def test_a_pause_longer_than_a_press_lives_is_not_waited_for(chat: Chat) -> None:
    await chat.telegram.fault(
        kind="too_many_requests", method="answerCallbackQuery", retry_after=600
    )
    async with asyncio.timeout(MAX_WAIT_S / 2):
        await chat.press("Create a picture")
    assert len(await chat.telegram.calls("answerCallbackQuery")) == 1
    assert "Which model" in await chat.last_text()


async def test_each_press_costs_one_answer(chat: Chat) -> None:
    await chat.press("Create a picture")
    await chat.press("Qwen Image")
    assert len(await chat.telegram.calls("answerCallbackQuery")) == 2
