"""What a service asks of its database while there is nothing to do, and how it finds work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from generation_svc.engine.loop import Loop, WorkerQueue, found, run, wake
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
        group.create_task(wake(loop, deps, idle=idle))
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


async def test_one_announcement_has_all_of_the_work_done_side_by_side(harness: Harness) -> None:
    looks: list[float] = []
    pieces: list[int] = []
    all_at_work = asyncio.Barrier(WORKERS)

    async def work(deps: Dependencies) -> bool:
        looks.append(0)
        if not pieces:
            return False
        pieces.pop()
        found()
        await all_at_work.wait()
        return True

    async def are_done() -> bool:
        return not pieces and all_at_work.n_waiting == 0

    loop = Loop("test", work, TOPIC, idle_seconds=600, concurrency=WORKERS)
    async with at_work(harness.deps, loop, idle=WorkerQueue()):
        await until(counted(looks, least=WORKERS), within_s=20, what="the first looks")
        pieces.extend(range(WORKERS))
        async with harness.transaction() as tx:
            tx.announce(TOPIC)
        await until(are_done, within_s=20, what="work on all of it")


async def test_news_that_come_while_all_are_at_work_are_not_forgotten() -> None:
    idle = WorkerQueue()
    idle.wake_one()
    async with asyncio.timeout(20):
        await idle.wait()  # it looks again instead of waiting
        waiting = asyncio.create_task(idle.wait())
        await asyncio.sleep(0)
        assert not waiting.done()  # once for all who asked meanwhile
        idle.wake_one()
        await waiting


async def test_who_finds_work_has_another_one_look(harness: Harness) -> None:
    """Nobody announces what is due by the clock: the third piece ends only beside the second."""
    pieces: list[str] = []
    looks: list[float] = []
    together = asyncio.Barrier(2)

    async def work(deps: Dependencies) -> bool:
        looks.append(0)
        if not pieces:
            return False
        piece = pieces.pop()
        found()
        if piece != "alone":
            await together.wait()
        return True

    async def are_done() -> bool:
        return not pieces and together.n_waiting == 0

    idle = WorkerQueue()
    loop = Loop("test", work, TOPIC, idle_seconds=600, concurrency=WORKERS)
    async with at_work(harness.deps, loop, idle=idle):
        await until(counted(looks, least=WORKERS), within_s=20, what="the first looks")
        pieces.extend(["together", "together", "alone"])
        idle.wake_one()
        await until(are_done, within_s=20, what="work on all of it")
