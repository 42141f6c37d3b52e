"""From `python -m generation_svc` to the first answer, and what is imported on the way."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import grpc

from tests.bench.table import Line
from tests.bench.world import Part, World
from tests.e2e.stack import serves

_MODULE = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+([\w.]+)$", re.MULTILINE)
_POLL_S = 0.01
ROW = "start to serving"


async def start(world: World) -> list[Line]:
    """Return how long a start takes, and what it imports."""
    return [*await start_times(world), await modules(world)]


async def start_times(world: World) -> list[Line]:
    """Return how long a start takes on a migrated database, beside an empty server's."""
    url = await world.database("start")
    floor, ours = list[float](), list[float]()
    for _ in range(world.rounds):
        empty, service = world.bare("start"), world.service(url)
        floor.append(await _started(empty, is_up=_connects(empty.address)))
        ours.append(await _started(service, is_up=partial(serves, service.address)))
    base = Line(row=ROW, program="empty grpc.aio server", values=floor, unit="s")
    ratio = Line(row=ROW, program="", values=ours, unit="s").median / base.median
    return [base, Line(row=ROW, program="Atelier", values=ours, unit="s", ratio=ratio)]


async def modules(world: World) -> Line:
    """Return how many modules the service has imported when it serves."""
    empty = await _imported(world.bare("start", PYTHONPROFILEIMPORTTIME="1"))
    url = await world.database("modules")
    service = await _imported(world.service(url, PYTHONPROFILEIMPORTTIME="1"))
    packages = Counter(name.partition(".")[0] for name in service)
    return Line(
        row="modules imported at start",
        program="Atelier / empty grpc.aio server",
        values=[len(service)],
        unit="modules",
        ratio=len(service) / len(empty),
        detail=[(number, name) for name, number in packages.most_common(40)],
    )


async def _started(part: Part, *, is_up: Callable[[], Awaitable[bool]]) -> float:
    """Start a program and return the seconds until its first answer."""
    began = time.perf_counter()
    part.program.start()
    try:
        while not await is_up():
            assert part.program.is_alive, part.program.log
            await asyncio.sleep(_POLL_S)
        return time.perf_counter() - began
    finally:
        await part.program.stop()


def _connects(address: str) -> Callable[[], Awaitable[bool]]:
    async def is_up() -> bool:
        async with grpc.aio.insecure_channel(address) as channel:
            try:
                await asyncio.wait_for(channel.channel_ready(), 0.1)
            except TimeoutError:
                return False
        return True

    return is_up


async def _imported(part: Part) -> set[str]:
    part.program.start()
    try:
        await part.program.ready()
        return set(_MODULE.findall(part.program.log))
    finally:
        await part.program.stop()
