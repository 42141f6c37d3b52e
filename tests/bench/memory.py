"""The memory of the three processes: at rest, after many jobs, and with large results under way."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

import httpx2

from tests.bench.client import Client
from tests.bench.life import CALLERS, STEADY_S, System, atelier, new_chat
from tests.bench.load import Call, batch
from tests.bench.table import Line
from tests.bench.usage import resident_kb
from tests.bench.world import Part, World, running
from tests.e2e.memory import peak_of, reset_peak
from tests.e2e.person import SandboxTelegram
from tests.e2e.program import until

JOBS = 3_000
WARM_UP = 500
"""After so many jobs what is loaded once is there, and caches are filled."""
RESULTS, RESULT_MB = 100, 10
VIDEOS, VIDEO_MB = 20, 45
WITHIN_S = 900.0
MB = 2**20


async def memory(world: World) -> list[Line]:
    """Return the three, each for every process that it concerns."""
    telegram = world.telegram()
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(atelier(world, "memory", duration_s=STEADY_S))
        edge = world.edge(system.service.address, telegram=telegram.address)
        await stack.enter_async_context(running(telegram, edge))
        parts = {"service": system.service, "gateway": system.gateway, "edge": edge}
        rest = [
            Line(row="memory at rest", program=name, values=[_held(part)], unit="MB")
            for name, part in parts.items()
        ]
        door = SandboxTelegram(telegram.address)
        return [
            *rest,
            *await _many(system, parts, jobs=world.jobs or JOBS),
            *await _results(system, parts),
            *await _videos(system, parts, door=door),
        ]


def _held(part: Part) -> float:
    return resident_kb(part.pid) / 1024


async def _many(system: System, parts: dict[str, Part], *, jobs: int) -> list[Line]:
    """Return how much more each process holds after so many jobs."""
    live: Call = partial(system.client.live, within_s=WITHIN_S)
    await batch([live] * WARM_UP, callers=CALLERS)
    before = {name: _held(part) for name, part in parts.items()}
    await batch([live] * jobs, callers=CALLERS)
    row = f"memory after {jobs:,} jobs, growth"
    return [
        Line(row=row, program=name, values=[_held(part) - before[name]], unit="MB")
        for name, part in parts.items()
    ]


async def _results(system: System, parts: dict[str, Part]) -> list[Line]:
    """Return how much more each process held at most while large results were fetched."""
    live: Call = partial(system.client.live, within_s=WITHIN_S)
    await _serve_videos(system, size_mb=1)
    await batch([live] * CALLERS, callers=CALLERS)
    await _serve_videos(system, size_mb=RESULT_MB)
    before = _reset(parts)
    await batch([live] * RESULTS, callers=RESULTS)
    return _growth(f"{RESULTS} results of {RESULT_MB} MB, growth", parts, before=before)


async def _videos(system: System, parts: dict[str, Part], *, door: SandboxTelegram) -> list[Line]:
    """Return how much more each process held at most while videos went to chats."""
    chats = [await new_chat(door, system.client) for _ in range(VIDEOS)]
    await _serve_videos(system, size_mb=1)
    await _delivered(chats, door=door, count=VIDEOS)
    await _serve_videos(system, size_mb=VIDEO_MB)
    before = _reset(parts)
    await _delivered(chats, door=door, count=2 * VIDEOS)
    return _growth(f"{VIDEOS} videos of {VIDEO_MB} MB to chats, growth", parts, before=before)


async def _delivered(chats: list[Client], *, door: SandboxTelegram, count: int) -> None:
    await batch([partial(each.live, within_s=WITHIN_S) for each in chats], callers=len(chats))

    async def are_there() -> bool:
        calls = [await door.calls(method) for method in ("sendVideo", "sendDocument")]
        sent = [call for some in calls for call in some if call["status"] == 200]
        return len(sent) >= count

    await until(are_there, within_s=WITHIN_S, what=f"{count} videos in chats")


async def _serve_videos(system: System, *, size_mb: int) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.put(f"http://{system.kie.address}/video?mb={size_mb}")
        answer.raise_for_status()


def _reset(parts: dict[str, Part]) -> dict[str, int]:
    return {name: reset_peak(part.pid) for name, part in parts.items()}


def _growth(row: str, parts: dict[str, Part], *, before: dict[str, int]) -> list[Line]:
    return [
        Line(row=row, program=name, values=[(peak_of(part.pid) - before[name]) / MB], unit="MB")
        for name, part in parts.items()
    ]
