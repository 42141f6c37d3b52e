"""From `python -m generation_svc` to the first answer, and what is imported on the way."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from tests.bench.table import Line
from tests.bench.world import Part, World, listens

_MODULE = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+([\w.]+)$", re.MULTILINE)
_POLL_S = 0.01
_SERVING = HealthCheckResponse(status=HealthCheckResponse.SERVING).SerializeToString()
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
        floor.append(await started(empty))
        ours.append(await started(service))
    base = Line(row=ROW, program="empty grpc.aio server", values=floor, unit="s")
    ratio = Line(row=ROW, program="", values=ours, unit="s").median / base.median
    return [base, Line(row=ROW, program="Atelier", values=ours, unit="s", ratio=ratio)]


async def modules(world: World) -> Line:
    """Return how many modules the service has imported when it serves, where it is installed."""
    told = {"PYTHONPROFILEIMPORTTIME": "1", "PYTHONPATH": _without_development(world.folder)}
    empty = await _imported(world.bare("start", **told))
    url = await world.database("modules")
    service = await _imported(world.service(url, **told))
    packages = Counter(name.partition(".")[0] for name in service)
    return Line(
        row="modules imported at start",
        program="Atelier / empty grpc.aio server",
        values=[len(service)],
        unit="modules",
        ratio=len(service) / len(empty),
        detail=[(number, name) for name, number in packages.most_common(40)],
    )


def _without_development(folder: Path) -> str:
    """Return a path on which nothing is found that no installation has.

    structlog imports rich wherever it is there, and only tools of development bring it.
    """
    absent = folder / "absent"
    absent.mkdir(parents=True, exist_ok=True)
    (absent / "rich.py").write_text('raise ImportError("no installation has it")\n')
    found = os.environ.get("PYTHONPATH")
    return os.pathsep.join((str(absent), *([found] if found else ())))


async def started(part: Part) -> float:
    """Start a program and return the seconds until its first answer."""
    began = time.perf_counter()
    part.program.start()
    try:
        while not (await listens(part.address) and await _answers(part.address)):
            assert part.program.is_alive, part.program.log
            await asyncio.sleep(_POLL_S)
        return time.perf_counter() - began
    finally:
        await part.program.stop()


async def _answers(address: str) -> bool:
    """Return whether a server says that it serves, or that it knows no health service."""
    # Channels that share their connections would share the pause after one that was refused, too.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            return bool(await check(b"", timeout=1) == _SERVING)
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.UNIMPLEMENTED


async def _imported(part: Part) -> set[str]:
    part.program.start()
    try:
        await part.program.ready()
        return set(_MODULE.findall(part.program.log))
    finally:
        await part.program.stop()
