"""Open streams: their memory, their cost while idle, one update to all, and many opens at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import grpc
import psycopg

from atelier.generation.v1.generation_service_pb2 import StreamJobUpdatesResponse
from atelier.generation.v1.job_pb2 import JobState
from tests.bench.client import Client, Updates, client
from tests.bench.statement import APPLICATION
from tests.bench.table import Line
from tests.bench.usage import cpu_s, resident_kb
from tests.bench.world import Part, World, running

STREAMS = 10_000
CONNECTIONS = 20
AT_ONCE = 10
"""How many are opened at once on each connection: the row is about those that are open."""
OPENS = 4_000
"""How many are opened at once, in the row that is about opening them."""
IDLE_S = 10.0
WITHIN_S = 300.0
NOT_NOW = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
"""What a service says that a client asks again later."""
SETTINGS = {
    "CALLER_MAX_WAITS": "20000",
    "KIE_CREATE_LIMIT": "1",
    "MAX_UNREAD_MB": "100000",
    "CALLER_MAX_UNREAD_MB": "100000",
}
"""All callers here are one process, which reads what ten thousand would."""
ROW = f"{STREAMS:,} open streams"


@dataclass(frozen=True, kw_only=True)
class _Found:
    kb_each: float
    idle_cpu_ms: float
    """In each second, with all of them open."""
    update_s: float
    """From the call that ends the job until the last stream has it."""
    resumed: int
    """How many streams were broken off by that, and opened again."""
    connections: tuple[int, int]
    """To the database, before and while they were open."""


async def stream(world: World) -> list[Line]:
    """Return what streams cost, beside those of bare grpc.aio."""
    url = await world.database("stream")
    floor = await _measured(world.bare("server", "insert", DATABASE_URL=url), url)
    service = world.service(url, **SETTINGS)
    found = await _measured(service, url)
    return [*_lines(floor, found), await _opens(world, url)]


def _lines(floor: _Found, found: _Found) -> list[Line]:
    before, during = found.connections
    update, ratio = f"one update to {STREAMS:,}", found.update_s / floor.update_s
    return [
        Line(row=ROW, program="bare grpc.aio", values=[floor.kb_each], unit="kB each"),
        Line(
            row=ROW,
            program="Atelier",
            values=[found.kb_each],
            unit="kB each",
            ratio=found.kb_each / floor.kb_each,
        ),
        Line(row=ROW, program="bare grpc.aio, idle", values=[floor.idle_cpu_ms], unit="CPU ms/s"),
        Line(row=ROW, program="Atelier, idle", values=[found.idle_cpu_ms], unit="CPU ms/s"),
        Line(row=ROW, program="to the database, before", values=[before], unit="connections"),
        Line(row=ROW, program="to the database, meanwhile", values=[during], unit="connections"),
        Line(row=update, program="bare grpc.aio", values=[floor.update_s], unit="s"),
        Line(row=update, program="Atelier", values=[found.update_s], unit="s", ratio=ratio),
        Line(row=update, program="Atelier, broken off", values=[found.resumed], unit="streams"),
    ]


async def _measured(part: Part, url: str) -> _Found:
    """Open the streams of one job on some connections, let them be, and end the job."""
    async with running(part), AsyncExitStack() as stack:
        callers = await _callers(part, stack)
        job_id = (await callers[0].create()).job.id
        calls = await _opened(callers, job_id, each=AT_ONCE, stack=stack)
        memory, connections = resident_kb(part.pid), await _connections(url)
        calls += await _opened(callers, job_id, each=STREAMS // CONNECTIONS - AT_ONCE, stack=stack)
        opened = STREAMS - AT_ONCE * CONNECTIONS
        kb_each = (resident_kb(part.pid) - memory) / opened
        idle = cpu_s(part.pid)
        await asyncio.sleep(IDLE_S)
        idle = cpu_s(part.pid) - idle
        during = await _connections(url)
        update_s, resumed = await _updated(callers[0], job_id, calls=calls)
        return _Found(
            kb_each=kb_each,
            idle_cpu_ms=1000 * idle / IDLE_S,
            update_s=update_s,
            resumed=resumed,
            connections=(connections, during),
        )


async def _callers(part: Part, stack: AsyncExitStack) -> list[Client]:
    return [await stack.enter_async_context(client(part.address)) for _ in range(CONNECTIONS)]


async def _opened(
    callers: Sequence[Client], job_id: str, *, each: int, stack: AsyncExitStack
) -> list[Updates]:
    """Open so many streams on each connection, some at a time, and read what comes first."""

    async def opened(caller: Client) -> list[Updates]:
        opens = (_open(caller, job_id, stack=stack) for _ in range(AT_ONCE))
        return await asyncio.gather(*opens)

    found: list[Updates] = []
    for _ in range(each // AT_ONCE):
        for calls in await asyncio.gather(*(opened(caller) for caller in callers)):
            found += calls
    return found


async def _open(caller: Client, job_id: str, *, stack: AsyncExitStack) -> Updates:
    """Open a stream, again if the service says "not now": how many it refuses is another row."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        call = await stack.enter_async_context(caller.following(job_id))
        try:
            await call.read()
        except grpc.aio.AioRpcError as error:
            is_late = time.monotonic() > deadline
            if is_late or error.code() not in NOT_NOW:
                raise
        else:
            return call


async def _updated(caller: Client, job_id: str, *, calls: Sequence[Updates]) -> tuple[float, int]:
    """End the job; return when the last stream has heard of it, and how many had to resume."""
    readers = [asyncio.create_task(_ended(call, caller, job_id)) for call in calls]
    await asyncio.sleep(0)
    began = time.perf_counter()
    await caller.cancel(job_id)
    async with asyncio.timeout(WITHIN_S):
        heard = await asyncio.gather(*readers)
    return max(moment for moment, _ in heard) - began, sum(resumed for _, resumed in heard)


async def _ended(call: Updates, caller: Client, job_id: str) -> tuple[float, bool]:
    """Read until the job has ended; a stream that is broken off is opened again, as clients do."""
    resumed = False
    while True:
        try:
            update = await call.read()
        except grpc.aio.AioRpcError as error:
            if error.code() not in NOT_NOW:
                raise
            resumed, call = True, caller.follow(job_id)
            continue
        assert isinstance(update, StreamJobUpdatesResponse), "a stream ended before its job"
        if update.job.state == JobState.JOB_STATE_CANCELLED:
            return time.perf_counter(), resumed


async def _opens(world: World, url: str) -> Line:
    """Open many at the same moment, and count those that were refused or broken off."""
    service = world.service(url, **SETTINGS)
    async with running(service), AsyncExitStack() as stack:
        callers = await _callers(service, stack)
        job_id = (await callers[0].create()).job.id
        streams = [callers[n % CONNECTIONS].following(job_id) for n in range(OPENS)]
        began = time.perf_counter()
        calls = [await stack.enter_async_context(each) for each in streams]
        answers = await asyncio.gather(*(call.read() for call in calls), return_exceptions=True)
        seconds = time.perf_counter() - began
    failed = sum(isinstance(each, grpc.aio.AioRpcError) for each in answers)
    others = [each for each in answers if isinstance(each, BaseException)]
    assert len(others) == failed, others[0]
    return Line(
        row=f"{OPENS:,} opens at once, in {seconds:.1f} s",
        program="Atelier",
        values=[failed],
        unit="failures",
    )


async def _connections(url: str) -> int:
    """Return how many connections the service has to its database."""
    name = urlsplit(url).path.removeprefix("/")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name LIKE %s",
            (name, f"{APPLICATION}%"),
        )
        row = await cursor.fetchone()
    assert row
    return int(row[0])
