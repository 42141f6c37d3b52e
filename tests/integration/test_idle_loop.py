"""What a service asks of its database while there is nothing to do, and how it finds work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from generation_svc.engine.loop import Loop, WorkerQueue, look_now_and_then, run
from generation_svc.lifecycle.dependencies import Dependencies
from tests.e2e.program import until
from tests.lifecycle import Harness

TOPIC = "work:test"
WORKERS = 8


@asynccontextmanager
async def at_work(deps: Dependencies, loop: Loop, *, idle: WorkerQueue) -> AsyncIterator[None]:
    """Run a loop while the block runs."""
    async with asyncio.TaskGroup() as group:
        for _ in range(loop.concurrency):
            group.create_task(run(loop, deps, idle=idle))
        group.create_task(look_now_and_then(loop, deps, idle=idle))
        yield
        deps.stopping.set()


def counted(looks: list[float], *, least: int) -> Callable[[], Awaitable[bool]]:
    async def are_enough() -> bool:
        return len(looks) >= least

    return are_enough


class QuietDatabase:
    """A database that announces nothing, not even that it is there."""

    @contextmanager
    def watch(self, *topics: str) -> Iterator[asyncio.Event]:
        yield asyncio.Event()


async def test_of_many_idle_workers_one_looks_at_a_time(harness: Harness) -> None:
    deps: Any = replace(harness.deps, database=QuietDatabase())  # type: ignore[arg-type]
    looks: list[float] = []

    async def look(deps: Dependencies) -> bool:
        looks.append(asyncio.get_running_loop().time())
        return False

    loop = Loop("test", look, TOPIC, idle_seconds=0.1, concurrency=WORKERS)
    async with at_work(deps, loop, idle=WorkerQueue()):
        await until(counted(looks, least=WORKERS + 10), within_s=20, what="looks")
    assert looks[WORKERS + 9] - looks[0] >= 9 * 0.1


async def test_an_announcement_wakes_everybody(harness: Harness) -> None:
    looks: list[float] = []

    async def look(deps: Dependencies) -> bool:
        looks.append(0)
        return False

    loop = Loop("test", look, TOPIC, idle_seconds=600, concurrency=WORKERS)
    async with at_work(harness.deps, loop, idle=WorkerQueue()):
        await until(counted(looks, least=WORKERS), within_s=20, what="the first looks")
        async with harness.transaction() as tx:
            tx.announce(TOPIC)
        await until(counted(looks, least=2 * WORKERS), within_s=20, what="looks")


async def test_who_finds_work_has_another_one_look(harness: Harness) -> None:
    """Nobody announces what is due by the clock: the third piece ends only beside the second."""
    pieces: list[str] = []
    looks: list[float] = []
    together = asyncio.Barrier(2)

    async def work(deps: Dependencies) -> bool:
        looks.append(0)
        if not pieces:
            return False
        if pieces.pop() != "alone":
            await together.wait()
        return True

    idle = WorkerQueue()
    loop = Loop("test", work, TOPIC, idle_seconds=600, concurrency=WORKERS)
    async with at_work(harness.deps, loop, idle=idle):
        await until(counted(looks, least=WORKERS), within_s=20, what="the first looks")
        pieces.extend(["together", "together", "alone"])
        idle.wake_one()
        await until(counted(looks, least=WORKERS + 4), within_s=20, what="work on all of it")
    assert pieces == []
