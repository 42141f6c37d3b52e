"""What ends a call from outside: its one timer, and a server that drains."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from generation_svc.rpc.draining import Draining, ServerDraining
from generation_svc.rpc.interrupt import Interrupt

MAX_WAIT_S = 10
LONG_S = 3600


class TooLong(Exception):
    """It took too long."""


class Revoked(Exception):
    """The token is another one now."""


async def held(interrupt: Interrupt, work: asyncio.Future[str]) -> str:
    async with interrupt:
        return await work


async def begun(interrupt: Interrupt) -> "asyncio.Task[str]":
    task = asyncio.create_task(held(interrupt, asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    return task


async def test_a_block_ends_with_the_error_of_what_ended_it() -> None:
    interrupt = Interrupt()
    task = await begun(interrupt)
    interrupt.within(0, TooLong)
    with pytest.raises(TooLong):
        await asyncio.wait_for(task, MAX_WAIT_S)


async def test_a_revoked_token_does_not_wait_for_the_limit() -> None:
    interrupt = Interrupt()
    task = await begun(interrupt)
    interrupt.within(LONG_S, TooLong)
    interrupt.now(Revoked)
    with pytest.raises(Revoked):
        await asyncio.wait_for(task, MAX_WAIT_S)


async def test_what_ended_a_block_first_says_why() -> None:
    interrupt, stays = Interrupt(), asyncio.Event()

    async def slow_to_end() -> None:
        async with interrupt:
            try:
                await stays.wait()
            finally:
                interrupt.now(Revoked)

    task = asyncio.create_task(slow_to_end())
    await asyncio.sleep(0)
    interrupt.now(TooLong)
    with pytest.raises(TooLong):
        await asyncio.wait_for(task, MAX_WAIT_S)


async def test_a_timeout_of_the_work_itself_stays_one() -> None:
    with pytest.raises(TimeoutError):
        async with Interrupt():
            raise TimeoutError


async def test_a_cancelled_block_stays_cancelled() -> None:
    task = await begun(Interrupt())
    task.cancel()
    await asyncio.wait({task}, timeout=MAX_WAIT_S)
    assert task.cancelled()


async def test_work_that_ends_while_it_is_told_to_stop_is_not_lost() -> None:
    draining = Draining()

    async def lease() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "leased"
        return "never"

    task = asyncio.create_task(draining.unless(lease()))
    await asyncio.sleep(0)
    draining.start()
    assert await asyncio.wait_for(task, MAX_WAIT_S) == "leased"


async def test_who_comes_when_the_server_drains_does_not_wait() -> None:
    draining = Draining()
    draining.start()
    with pytest.raises(ServerDraining):
        await asyncio.wait_for(draining.unless(asyncio.Event().wait()), MAX_WAIT_S)


async def test_a_stream_that_waits_holds_no_task_beside_its_own() -> None:
    draining, news = Draining(), asyncio.Event()

    async def items() -> AsyncGenerator[int, None]:
        yield 1
        await news.wait()

    async def reader() -> list[int]:
        return [item async for item in draining.each(items())]

    before = len(asyncio.all_tasks())
    readers = [asyncio.create_task(reader()) for _ in range(10)]
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) - before == len(readers)
    news.set()
    assert await asyncio.wait_for(asyncio.gather(*readers), MAX_WAIT_S) == [[1]] * 10
