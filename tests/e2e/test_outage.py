"""KIE is away: nobody's job fails, and everybody is told why it takes so long."""

from __future__ import annotations

import asyncio

from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack

TIME_SCALE = 0.01
"""Not smaller: the deadlines scale, but the sandbox draws as slowly as ever."""
HOUR_S = 3600 * TIME_SCALE
SHAPE = Shape(
    time_scale=TIME_SCALE,
    service={"KIE_CREATE_LIMIT": "1000", "KIE_READ_LIMIT": "1000"},
    sandbox={
        "SANDBOX_KIE_DURATION_S": "0.3",
        "SANDBOX_KIE_VISIBLE_AFTER_S": "0.05",
        "SANDBOX_KIE_CREATE_LIMIT": "1000",
        "SANDBOX_KIE_READ_LIMIT": "1000",
    },
)


async def test_an_hour_without_kie_fails_no_job(running: Stack) -> None:
    person = await running.telegram.person()
    await running.kie.fault("no_callback", match="under way")
    under_way = await running.create("under way before the outage")
    await running.history.job_of("under way before the outage")
    await _creations(running, "under way before the outage")
    await running.kie.fault("down", match="/api/")
    ends_at = asyncio.get_running_loop().time() + HOUR_S
    waiting = [await running.create(f"asked during the outage {n}") for n in range(10)]
    await person.asks_for("asked in the chat")
    await person.reads("not answering right now")

    async def is_over() -> bool:
        states = await running.history.rows("SELECT DISTINCT state FROM job")
        assert {row["state"] for row in states} <= {"queued", "running"}
        return asyncio.get_running_loop().time() >= ends_at

    await until(is_over, within_s=2 * HOUR_S, what="the end of the hour")
    await running.kie.heal("down")
    for job in (under_way, *waiting):
        settled = await running.history.settled(job.id)
        assert settled["state"] == "succeeded", settled["failure"]
    await person.gets_picture()
    assert await person.failures() == []


async def test_jobs_wait_for_a_kie_that_takes_no_connections(running: Stack) -> None:
    running.kie_program.kill()
    person = await running.telegram.person()
    await person.asks_for("nobody listens")
    await person.reads("not answering right now")
    running.kie_program.start()
    await running.kie_program.ready()
    await person.gets_picture()
    assert len(await running.kie.creations("nobody listens")) == 1


async def _creations(running: Stack, prompt: str) -> None:
    async def is_created() -> bool:
        return bool(await running.kie.tasks(prompt))

    await until(is_created, within_s=10, what=f"a task for {prompt!r}")
