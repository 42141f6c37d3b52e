"""What many want to know is read once, and told as it was while it cannot be read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from generation_svc.domain.error import Unavailable
from generation_svc.domain.port.transaction import Database, Transaction
from generation_svc.lifecycle.queue_view import Recent


class SlowDatabase:
    """Opens a transaction after a while, or not at all."""

    def __init__(self) -> None:
        self.wait_seconds = 0.0
        self.query_seconds = 0.0
        self.is_away = False
        self.reads = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        await asyncio.sleep(self.wait_seconds)
        if self.is_away:
            raise Unavailable("away")
        yield None

    async def count(self, _: Transaction) -> int:
        await asyncio.sleep(self.query_seconds)
        self.reads += 1
        return self.reads


@pytest.fixture
def slow() -> SlowDatabase:
    return SlowDatabase()


async def told(recent: Recent[int], slow: SlowDatabase) -> int:
    return await recent.get(slow.count, database=cast(Database, cast(Any, slow)))


async def test_it_is_read_once_for_all_who_want_it(slow: SlowDatabase) -> None:
    recent = Recent(0, seconds=0.1)
    slow.query_seconds = 0.02
    assert await asyncio.gather(*(told(recent, slow) for _ in range(5))) == [1] * 5
    await asyncio.sleep(0.11)
    assert await told(recent, slow) == 2


async def test_what_expires_while_it_is_read_is_read_again(slow: SlowDatabase) -> None:
    recent = Recent(0, seconds=60)
    slow.query_seconds = 0.02
    reading = asyncio.create_task(told(recent, slow))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it has begun
    recent.expire()
    assert await reading == 1
    assert await told(recent, slow) == 2
    assert await told(recent, slow) == 2


async def test_a_query_that_takes_long_is_made_less_often(slow: SlowDatabase) -> None:
    recent = Recent(0, seconds=0.01, rest_factor=1000, longest_rest_seconds=60)
    slow.query_seconds = 0.05
    assert await told(recent, slow) == 1
    await asyncio.sleep(0.1)
    assert await told(recent, slow) == 1


async def test_waiting_for_a_connection_is_no_reason_to_rest(slow: SlowDatabase) -> None:
    recent = Recent(0, seconds=0.01, rest_factor=100, longest_rest_seconds=60)
    slow.wait_seconds = 0.5
    assert await told(recent, slow) == 1
    async with asyncio.timeout(20):  # a rest of a hundred times the wait would be longer
        while await told(recent, slow) == 1:  # noqa: ASYNC110 - it is read when asked
            await asyncio.sleep(0.01)
    assert slow.reads == 2


async def test_no_rest_is_longer_than_the_longest(slow: SlowDatabase) -> None:
    recent = Recent(0, seconds=0.01, rest_factor=50, longest_rest_seconds=0.05)
    slow.query_seconds = 0.05
    assert await told(recent, slow) == 1
    await asyncio.sleep(0.06)
    assert await told(recent, slow) == 2


async def test_it_is_told_as_it_was_while_it_cannot_be_read(slow: SlowDatabase) -> None:
    recent = Recent(7, seconds=0.01, rest_factor=50)
    slow.wait_seconds, slow.is_away = 0.1, True
    assert await told(recent, slow) == 7
    slow.is_away = False
    await asyncio.sleep(0.02)
    assert await told(recent, slow) == 1


async def test_nobody_waits_long_for_a_reading(slow: SlowDatabase) -> None:
    recent = Recent(7, seconds=0.01, max_wait_seconds=0.02)
    slow.wait_seconds = 1
    # Who had waited until it is read would be told of that.
    assert [await told(recent, slow) for _ in range(3)] == [7] * 3
    async with asyncio.timeout(20):
        while await told(recent, slow) == 7:  # noqa: ASYNC110 - it is read when asked
            await asyncio.sleep(0.01)


async def test_who_hangs_up_takes_the_reading_from_nobody(slow: SlowDatabase) -> None:
    recent = Recent(7, seconds=10)
    slow.wait_seconds = 0.05
    first = asyncio.create_task(told(recent, slow))
    await asyncio.sleep(0.01)
    first.cancel()
    assert await told(recent, slow) == 1


async def test_a_fault_is_shown(slow: SlowDatabase) -> None:
    async def broken(_: Transaction) -> int:
        raise LookupError

    with pytest.raises(LookupError):
        await Recent(0, seconds=1).get(broken, database=cast(Database, cast(Any, slow)))
