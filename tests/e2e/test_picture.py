"""Pictures from the user's words to the chat, with callbacks and without."""

from __future__ import annotations

import asyncio

from tests.e2e.person import photo
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(replicas=2, service={"OWNER_MAX_ACTIVE_JOBS": "100", "KIE_CREATE_LIMIT": "1000"})
JOBS = 40


async def test_a_text_becomes_a_picture(running: Stack) -> None:
    person = await running.telegram.person(first_name="Ada")
    await person.asks_for("a lighthouse in a storm")
    picture = await person.gets_picture()
    assert "a lighthouse in a storm" in picture["caption"]


async def test_a_photo_with_a_caption_comes_back_changed(running: Stack) -> None:
    person = await running.telegram.person(first_name="Bob")
    await person.sends_photo(photo(), caption="make it night")
    await person.presses("✨ Generate")
    assert "make it night" in (await person.gets_picture())["caption"]


async def test_a_request_sent_fifty_times_at_once_makes_one_job_and_one_task(
    running: Stack,
) -> None:
    asked = [running.create("one of fifty", request_id="fifty", owner="me") for _ in range(50)]
    assert len({job.id for job in await asyncio.gather(*asked)}) == 1
    job_id = await running.history.job_of("one of fifty")
    assert (await running.history.settled(job_id))["state"] == "succeeded"
    assert len(await running.kie.creations("one of fifty")) == 1


async def test_with_callbacks_kie_is_read_at_most_once_per_twenty_jobs(running: Stack) -> None:
    await running.kie.configure(create_limit=1000)
    reads = (await running.kie.counters())["reads"]
    jobs = await asyncio.gather(*(running.create(f"read {n}") for n in range(JOBS)))
    ends = await asyncio.gather(*(running.history.settled(job.id, within_s=60) for job in jobs))
    assert {job["state"] for job in ends} == {"succeeded"}
    assert (await running.kie.counters())["reads"] - reads <= JOBS / 20


async def test_without_callbacks_the_picture_arrives_too(running: Stack) -> None:
    await asyncio.gather(*(each.restart(CALLBACK_BASE_URL="") for each in running.services))
    person = await running.telegram.person(first_name="Eve")
    await person.asks_for("nobody calls back")
    await person.gets_picture()
    creation = (await running.kie.creations("nobody calls back"))[0]
    assert "callBackUrl" not in creation
    job_id = await running.history.job_of("nobody calls back")
    assert "poll" in await running.history.kinds(job_id)
