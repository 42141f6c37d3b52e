"""Who waits while the database is away, without a database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from generation_svc.domain.error import Unavailable
from generation_svc.domain.port.acceptance import OwnerLimits
from generation_svc.lifecycle.acceptance import AcceptanceQueue

LIMITS = OwnerLimits(active_jobs=1, stored_bytes=1)


class AwayDatabase:
    """Has no connection for anybody, which it says when `may_tell` is set."""

    def __init__(self) -> None:
        self.was_asked = asyncio.Event()
        self.may_tell = asyncio.Event()
        self.asked = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self.asked += 1
        self.was_asked.set()
        await self.may_tell.wait()
        raise Unavailable
        yield  # it is a generator


@pytest.mark.parametrize(
    ("max_wait_seconds", "asked"), [(0, 1), (60, 4)], ids=["waited-long", "just-came"]
)
async def test_who_has_waited_long_for_the_database_does_not_wait_again(
    max_wait_seconds: float, asked: int
) -> None:
    database: Any = AwayDatabase()
    queue = AcceptanceQueue(batch_size=2, slow_seconds=60, max_wait_seconds=max_wait_seconds)
    job = SimpleNamespace(caller="edge", owner="user:1")
    candidate: Any = SimpleNamespace(job=job, charge=None)
    calls = [
        asyncio.create_task(queue.accept(candidate, limits=LIMITS, database=database))
        for _ in range(8)
    ]
    async with asyncio.timeout(10):
        await database.was_asked.wait()
        database.may_tell.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(each) for each in outcomes} == {Unavailable}
    assert database.asked == asked
