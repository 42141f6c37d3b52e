"""The memory of open streams."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.bench.client import client
from tests.bench.table import Line
from tests.bench.usage import resident_kb
from tests.bench.world import Part, World, running

STREAMS = 10_000
CONNECTIONS = 20
AT_ONCE = 25
"""How many are opened at once on each connection: the row is about those that are open."""


async def stream(world: World) -> list[Line]:
    """Return the memory of each stream, beside that of bare grpc.aio."""
    url = await world.database("stream")
    floor = await _kb_each(world.bare("server", "insert", DATABASE_URL=url))
    found = await _kb_each(world.service(url, CALLER_MAX_WAITS="20000"))
    row = f"{STREAMS:,} open streams"
    return [
        Line(row=row, program="bare grpc.aio", values=[floor], unit="kB each"),
        Line(row=row, program="Atelier", values=[found], unit="kB each", ratio=found / floor),
    ]


async def _kb_each(part: Part) -> float:
    async with running(part), AsyncExitStack() as stack:
        callers = [
            await stack.enter_async_context(client(part.address)) for _ in range(CONNECTIONS)
        ]
        jobs = [(await each.create()).job.id for each in callers]

        async def opened(number: int) -> None:
            for _ in range(number // AT_ONCE):
                await asyncio.gather(*(_open(at) for at in range(CONNECTIONS)))

        async def _open(at: int) -> None:
            streams = [callers[at].following(jobs[at]) for _ in range(AT_ONCE)]
            calls = [await stack.enter_async_context(each) for each in streams]
            await asyncio.gather(*(call.read() for call in calls))

        await opened(AT_ONCE)
        before = resident_kb(part.pid)
        await opened(STREAMS // CONNECTIONS)
        return (resident_kb(part.pid) - before) / STREAMS
