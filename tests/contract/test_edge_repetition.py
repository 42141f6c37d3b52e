import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from telegram.error import TelegramError

from atelier.generation.v1 import job_pb2
from edge_bot.conversation.handle_update import apologize, handle_update
from edge_bot.conversation.session import Session
from generation_client import GenerationError
from tests.contract.edge_chat import Chat, buttons, chatting
from tests.edge_model import USER, job
from tests.integration.sandbox_telegram import picture

Act = Callable[[Chat], Awaitable[object]]


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with chatting() as chat:
        yield chat


async def press(chat: Chat, data: str) -> None:
    """Press a button, whose update waits."""
    body = {"message_id": (await chat.last())["message_id"], "data": data, "force": True}
    response = await chat.telegram.http.post(f"/sandbox/chats/{USER}/press", json=body)
    assert response.status_code == 200, response.text


async def press_generate(chat: Chat) -> None:
    await chat.say("a cat")
    await press(chat, next(data for label, data in buttons(await chat.last()) if "Gen" in label))


async def press_on_job(chat: Chat, code: str) -> None:
    done = chat.service.generation.put(job(job_pb2.JOB_STATE_SUCCEEDED))
    await press(chat, f"{code}:{done.id}")


MOST_CALLS = 7
"""More calls than any turn makes to the service."""

ACTS: dict[str, tuple[Act, int, int]] = {
    "text": (lambda chat: chat.telegram.say(USER, "a cat"), 1, 0),
    "photo": (
        lambda chat: chat.telegram.say(
            USER, "red", files={"photo": ("cat.png", picture(), "image/png")}
        ),
        1,
        0,
    ),
    "command": (lambda chat: chat.telegram.say(USER, "/models"), 1, 0),
    "generate": (press_generate, 0, 1),
    "again": (lambda chat: press_on_job(chat, "a"), 1, 1),
    "change": (lambda chat: press_on_job(chat, "h"), 1, 0),
    "stale button": (lambda chat: press(chat, "g:0badc0de"), 1, 0),
}
"""What a user does, the messages that answer it, and the jobs it makes."""


@pytest.mark.parametrize(("act", "messages", "jobs"), ACTS.values(), ids=ACTS)
async def test_a_turn_cut_short_anywhere_is_done_once(
    chat: Chat, act: Act, messages: int, jobs: int
) -> None:
    for lost_call in range(1, MOST_CALLS + 1):
        await act(chat)
        messages_before = len(await chat.from_bot())
        jobs_before = len(chat.service.generation.requests)
        (update,) = await chat.updates()
        chat.service.loss.after(lost_call)
        for _ in range(3):
            with suppress(GenerationError):
                await handle_update(chat.context, update)
        chat.service.loss.after(0)
        assert len(await chat.from_bot()) == messages_before + messages
        assert len(chat.service.generation.requests) == jobs_before + jobs


@pytest.mark.parametrize("method", ["sendMessage", "editMessageText"])
async def test_an_outage_of_telegram_escapes_and_the_press_is_not_lost(
    chat: Chat, method: str
) -> None:
    await press_on_job(chat, "a") if method == "sendMessage" else await press_generate(chat)
    await chat.telegram.fault(method=method, kind="server_error", times=1)
    (update,) = await chat.updates()
    with pytest.raises(TelegramError):
        await handle_update(chat.context, update)
    await handle_update(chat.context, update)
    assert len(chat.service.generation.requests) == 1


async def test_generate_again_does_not_hide_how_far_the_job_is(chat: Chat) -> None:
    await press_generate(chat)
    await chat.pump()
    (made,) = chat.service.generation.jobs.values()
    made.state, made.revision = job_pb2.JOB_STATE_RUNNING, 2
    key = f"chat:{USER}"
    session = Session.model_validate_json(chat.session)
    assert session.draft is not None
    killed = session.model_copy(update={"draft": session.draft.model_copy(update={"job_id": ""})})
    chat.service.edge.sessions[key].data = killed.model_dump_json().encode()
    await chat.repeat()
    assert "is drawing" in await chat.last_text()


async def test_two_updates_at_once_are_both_answered_once(chat: Chat) -> None:
    await chat.telegram.say(USER, "a cat")
    await chat.telegram.say(USER, "a dog")
    before = len(await chat.from_bot())
    updates = await chat.updates()
    await asyncio.gather(*(handle_update(chat.context, update) for update in updates))
    assert len(await chat.from_bot()) == before + 2
    replies = Session.model_validate_json(chat.session).replies
    assert sorted(replies.values())[-2:] == sorted(
        message["message_id"] for message in (await chat.from_bot())[before:]
    )


async def test_the_service_being_away_escapes(chat: Chat) -> None:
    chat.service.generation.refuse_with("TEMPORARILY_UNAVAILABLE", code=4)
    await press_generate(chat)
    (update,) = await chat.updates()
    with pytest.raises(GenerationError):
        await handle_update(chat.context, update)
    chat.service.generation.refusal = None
    await handle_update(chat.context, update)
    assert len(chat.service.generation.requests) == 1


async def test_an_apology_is_said_in_the_users_language() -> None:
    async with chatting(language="ru") as chat:
        await chat.say("кот")
        await apologize(chat.context, chat.handled[-1])
        assert "пошло не так" in await chat.last_text()
