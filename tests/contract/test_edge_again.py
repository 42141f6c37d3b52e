"""Buttons that make one job after the other, against the real service."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JOB_STATE_QUEUED, Job
from edge_bot.conversation.handle_update import handle_update
from edge_bot.conversation.session import Session
from edge_bot.conversation.session_store import load_session, save_session
from tests.contract.edge_chat import Chat, chatting_at
from tests.contract.service import Service
from tests.edge_model import USER

OWNER = f"telegram:{USER}"


@pytest.fixture
async def chat(service: Service) -> AsyncIterator[Chat]:
    async with chatting_at(service.address) as chat:
        yield chat


async def failed_job(service: Service) -> Job:
    job = await service.create(owner=OWNER)
    await service.fail(job.id)
    return job


async def jobs(service: Service) -> list[Job]:
    """Return the user's jobs, the newest first."""
    answer = await service.generation.ListJobs(pb.ListJobsRequest(owner=OWNER))
    return list(answer.jobs)


async def press(chat: Chat, job_id: str, *, message_id: int, times: int = 3) -> list[Any]:
    """Press "Again" under a message so often, each under an id of its own."""
    url, body = f"/sandbox/chats/{USER}/press", {"message_id": message_id, "data": f"a:{job_id}"}
    for _ in range(times):
        response = await chat.telegram.http.post(url, json=body | {"force": True})
        assert response.status_code == 200, response.text
    return await chat.updates()


async def handle(chat: Chat, updates: list[Any], *, at_once: bool) -> None:
    if at_once:  # as several replicas do
        await asyncio.gather(*(handle_update(chat.context, update) for update in updates))
        return
    for update in updates:
        await handle_update(chat.context, update)


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one after the other"])
async def test_again_pressed_thrice_makes_one_job_while_its_own_job_is_under_way(
    service: Service, chat: Chat, at_once: bool
) -> None:
    job = await failed_job(service)
    under = (await chat.last())["message_id"]
    for made_before in range(1, 4):
        await handle(chat, await press(chat, job.id, message_id=under), at_once=at_once)
        newest, *earlier = await jobs(service)
        assert len(earlier) == made_before
        assert newest.state == JOB_STATE_QUEUED
        await service.fail(newest.id)


async def test_a_press_that_comes_again_after_its_job_ended_makes_no_other(
    service: Service, chat: Chat
) -> None:
    job = await failed_job(service)
    (update,) = await press(chat, job.id, message_id=(await chat.last())["message_id"], times=1)
    await handle_update(chat.context, update)
    await service.fail((await jobs(service))[0].id)
    await handle_update(chat.context, update)
    assert len(await jobs(service)) == 2


async def test_who_presses_again_much_later_is_told_that_the_picture_is_on_its_way(
    service: Service, chat: Chat, database_url: str
) -> None:
    job = await failed_job(service)
    under = (await chat.last())["message_id"]
    await handle(chat, await press(chat, job.id, message_id=under, times=2), at_once=False)
    assert "Sending it off" in await chat.last_text()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE job SET create_time = create_time - interval '1 hour'")
    await handle(chat, await press(chat, job.id, message_id=under, times=1), at_once=False)
    assert await chat.last_text() == "This picture is already on its way."
    assert len(await jobs(service)) == 2


async def test_how_long_ago_a_job_was_made_is_told_by_the_time_of_the_service(
    service: Service, chat: Chat
) -> None:
    job = await failed_job(service)
    under = (await chat.last())["message_id"]
    await handle(chat, await press(chat, job.id, message_id=under, times=2), at_once=False)
    assert "Sending it off" in await chat.last_text()
    expire_time = Timestamp()
    expire_time.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    chat.context.clock.learn(expire_time, lease_s=20)
    await handle(chat, await press(chat, job.id, message_id=under, times=1), at_once=False)
    assert await chat.last_text() == "This picture is already on its way."


async def test_each_message_has_an_again_of_its_own(service: Service, chat: Chat) -> None:
    job = await failed_job(service)
    first = (await chat.last())["message_id"]
    await chat.say("a cat")
    second = (await chat.last())["message_id"]
    for message_id in (first, second):
        await handle(chat, await press(chat, job.id, message_id=message_id), at_once=False)
    assert len(await jobs(service)) == 3


async def test_a_forgotten_repetition_is_found_by_the_service(service: Service, chat: Chat) -> None:
    job = await failed_job(service)
    under = (await chat.last())["message_id"]
    await handle(chat, await press(chat, job.id, message_id=under, times=1), at_once=False)
    await _forget(chat)
    await handle(chat, await press(chat, job.id, message_id=under, times=1), at_once=False)
    assert len(await jobs(service)) == 2
    assert await chat.last_text() == "This picture is already on its way."
    await service.fail((await jobs(service))[0].id)
    await _forget(chat)
    await handle(chat, await press(chat, job.id, message_id=under, times=1), at_once=False)
    assert len(await jobs(service)) == 3


async def _forget(chat: Chat) -> None:
    """Write the session as a release does that knows nothing of repetitions."""
    stored = await load_session(chat.context, USER)
    known = Session(draft=stored.session.draft, replies=stored.session.replies)
    await save_session(chat.context, USER, session=known, version=stored.version)


async def test_generate_pressed_thrice_at_once_makes_one_job(service: Service, chat: Chat) -> None:
    await chat.say("a cat")
    confirmation = await chat.last()
    rows = confirmation["reply_markup"]["inline_keyboard"]
    data = next(each["callback_data"] for row in rows for each in row if "Gen" in each["text"])
    for _ in range(3):
        await chat.telegram.press(USER, confirmation["message_id"], data)
    await handle(chat, await chat.updates(), at_once=True)
    assert len(await jobs(service)) == 1
