import asyncio
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from telegram.error import NetworkError

from sandbox.telegram.event import Broadcast
from sandbox.telegram.presence import EventStream
from tests.integration.sandbox_telegram import Sandbox, eventually, picture, sandbox

REFUSALS = {
    "server_error": (502, "Bad Gateway"),
    "blocked": (403, "Forbidden: bot was blocked by the user"),
    "chat_not_found": (400, "Bad Request: chat not found"),
    "token_revoked": (401, "Unauthorized"),
    "too_many_requests": (429, "Too Many Requests: retry after 3"),
}


@pytest.fixture
async def telegram() -> AsyncIterator[Sandbox]:
    async with sandbox() as running:
        yield running


@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_fault_hits_the_next_calls_to_its_chat(telegram: Sandbox, kind: str) -> None:
    hit, spared = await telegram.started(7), await telegram.started(8)
    await telegram.fault(kind=kind, chat_id=hit, times=1)
    assert (await telegram.call("sendMessage", chat_id=spared, text="x"))["ok"]
    body = await telegram.call("sendMessage", chat_id=hit, text="x")
    assert (body["error_code"], body["description"]) == REFUSALS[kind]
    assert (await telegram.call("sendMessage", chat_id=hit, text="x"))["ok"]


async def test_a_lost_answer_leaves_the_message(telegram: Sandbox) -> None:
    chat = await telegram.started()
    await telegram.fault(kind="answer_lost", method="sendPhoto", times=1)
    async with telegram.client() as bot:
        with pytest.raises(NetworkError):
            await bot.send_photo(chat, picture())
    assert "photo" in (await telegram.messages(chat))[-1]
    record = (await telegram.calls("sendPhoto"))[0]
    assert (record["status"], record["fault"]) == (0, "answer_lost")
    assert record["files"][0]["field"] == "photo"


async def test_a_timeout_leaves_nothing(telegram: Sandbox) -> None:
    chat = await telegram.started()
    await telegram.fault(kind="timeout", method="sendMessage", times=1, seconds=30)
    with pytest.raises(httpx2.ReadTimeout):
        await telegram.http.post(
            "/bot42:sandbox-secret/sendMessage",
            json={"chat_id": chat, "text": "x"},
            timeout=httpx2.Timeout(10, read=0.1),
        )
    assert len(await telegram.messages(chat)) == 1


async def test_a_late_callback_hits_answers_only(telegram: Sandbox) -> None:
    chat = await telegram.started()
    await telegram.fault(kind="late_callback")
    markup = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
    sent = await telegram.result("sendMessage", chat_id=chat, text="x", reply_markup=markup)
    query = await telegram.press(chat, sent["message_id"], "go")
    refusal = await telegram.refusal("answerCallbackQuery", callback_query_id=query)
    assert refusal.startswith("Bad Request: query is too old")


async def test_a_rate_is_the_same_for_the_same_seed(telegram: Sandbox) -> None:
    chat = await telegram.started()
    runs = []
    for _ in range(2):
        number = await telegram.fault(kind="server_error", method="sendMessage", rate=0.5, seed=3)
        bodies = [await telegram.call("sendMessage", chat_id=chat, text="x") for _ in range(12)]
        runs.append([body["ok"] for body in bodies])
        await telegram.http.delete(f"/sandbox/faults/{number}")
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 2
    assert (await telegram.http.get("/sandbox/faults")).json() == {"faults": []}


async def test_an_unknown_fault_is_explained(telegram: Sandbox) -> None:
    response = await telegram.http.put("/sandbox/faults", json={"kind": "gremlin"})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["kind"]


async def test_counters_and_reset(telegram: Sandbox) -> None:
    chat = await telegram.started()
    await telegram.result("sendMessage", chat_id=chat, text="x")
    await telegram.refusal("sendMessage", chat_id=chat, text="")
    counters = (await telegram.http.get("/sandbox/counters")).json()
    assert counters["calls.sendMessage"] == 2
    assert (counters["answers.400"], counters["messages.bot"]) == (1, 1)
    assert (await telegram.http.post("/sandbox/reset")).status_code == 204
    assert (await telegram.http.get("/sandbox/counters")).json() == {}
    assert (await telegram.http.get("/sandbox/users")).json() == {"users": []}
    assert await telegram.refusal("sendMessage", chat_id=chat, text="x")


async def test_a_restart_finds_everything_again(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as telegram:
        chat = await telegram.started(first_name="Vera")
        sent = await telegram.result("sendPhoto", chat_id=chat, files={"photo": picture()})
    async with sandbox(tmp_path) as telegram:
        messages = await telegram.messages(chat)
        assert messages[0]["from"]["first_name"] == "Vera"
        file = await telegram.result("getFile", file_id=sent["photo"][-1]["file_id"])
        response = await telegram.http.get(f"/file/bot42:sandbox-secret/{file['file_path']}")
        assert response.content.startswith(b"\xff\xd8")
        assert len(await telegram.result("getUpdates")) == 1
        again = await telegram.result("sendMessage", chat_id=chat, text="x")
        assert again["message_id"] == sent["message_id"] + 1


async def test_a_stop_ends_streams_and_polls(telegram: Sandbox) -> None:
    chat = await telegram.started()
    first = (await telegram.result("getUpdates"))[0]["update_id"]
    poll = asyncio.create_task(telegram.result("getUpdates", offset=first + 1, timeout=50))
    async with telegram.watching(chat) as events:
        await telegram.until_called("getUpdates", times=2)
        telegram.stop()
        assert [event async for event, _ in events] == ["closed"]
    assert await poll == []


async def test_a_poller_that_hangs_up_is_forgotten(telegram: Sandbox) -> None:
    chat = await telegram.started()
    first = (await telegram.result("getUpdates"))[0]["update_id"]
    poll = asyncio.create_task(telegram.result("getUpdates", offset=first + 1, timeout=50))
    await telegram.until_called("getUpdates", times=2)
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    await telegram.until_called("getUpdates", times=2, is_over=True)
    await telegram.say(chat, "still here?")
    assert len(await telegram.result("getUpdates")) == 1


async def test_a_stream_ends_with_its_reader() -> None:
    events, sent = Broadcast(), []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["type"])

    async def receive() -> MutableMapping[str, Any]:
        await eventually(lambda: len(sent) == 2)
        return {"type": "http.disconnect"}

    async with asyncio.timeout(5):
        await EventStream(events.stream((42, 7)))({"type": "http"}, receive, send)
    assert sent == ["http.response.start", "http.response.body"]


async def test_a_watcher_of_all_chats_hears_of_each(telegram: Sandbox) -> None:
    one, two = await telegram.started(7), await telegram.started(8)
    async with telegram.watching(one) as events:
        await telegram.result("sendMessage", chat_id=two, text="not here")
        await telegram.result("sendChatAction", chat_id=one, action="typing")
        assert await anext(events) == (
            "action",
            {"bot_id": 42, "chat_id": one, "action": "typing"},
        )
