"""Two replicas, one owner with a thousand jobs, and somebody who comes with a first one."""

from __future__ import annotations

import asyncio
from functools import partial

from atelier.generation.v1.job_pb2 import Job
from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack

JOBS = 1000
AT_ONCE = 50
SHAPE = Shape(
    replicas=2,
    edges=0,
    service={"KIE_CREATE_LIMIT": "1", "OWNER_MAX_ACTIVE_JOBS": str(JOBS)},
)


async def fill_queue(running: Stack) -> Job:
    """Let one owner ask for a thousand pictures; return the last job."""
    for _ in range(JOBS // AT_ONCE):
        ask = partial(running.create, "one of many", owner="greedy")
        jobs = await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return jobs[-1]


async def test_a_thousand_jobs_of_one_owner_delay_another_by_one_turn(running: Stack) -> None:
    last = await fill_queue(running)
    # The line that a replica knows is a second old, or two, and meanwhile jobs are served.
    assert last.queue_position > JOBS / 4
    before = len(await running.kie.creations())

    job = await running.create("a newcomer", owner="modest")

    async def is_sent() -> bool:
        return bool(await running.kie.creations("a newcomer"))

    await until(is_sent, within_s=60, what="the newcomer's createTask")
    prompts = [each["input"]["prompt"] for each in await running.kie.creations()]
    assert prompts.index("a newcomer") <= before + 1
    assert job.queue_position < 5
