"""What a replica does while nobody asks for anything."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.bench.life import System, atelier
from tests.bench.table import Line
from tests.bench.usage import cpu_s
from tests.bench.world import World, running

SECONDS = 10.0


async def idle(world: World) -> list[Line]:
    """Return what an idle replica costs, without an edge and with one."""
    async with atelier(world, "idle") as system, AsyncExitStack() as stack:
        alone = await idle_counts(world, system)
        telegram = world.telegram()
        edge = world.edge(system.service.address, telegram=telegram.address)
        await stack.enter_async_context(running(telegram, edge))
        return [alone, await idle_counts(world, system, beside=", an edge beside")]


async def idle_counts(
    world: World, system: System, *, beside: str = "", seconds: float = SECONDS
) -> Line:
    """Count a while of nothing; the costs are milliseconds for each second."""
    pids = (system.service.pid, world.postgres_pid)
    async with world.counted() as counts:
        before = [cpu_s(pid) for pid in pids]
        await asyncio.sleep(seconds)
        service, postgres = (cpu_s(pid) - then for pid, then in zip(pids, before, strict=True))
    return Line(
        row="idle, each second",
        program=f"Atelier{beside}",
        values=[counts.transactions / seconds],
        unit="transactions",
        cpu_ms=1000 * service / seconds,
        postgres_ms=1000 * postgres / seconds,
        statements=counts.statements / seconds,
        transactions=counts.transactions / seconds,
        detail=counts.top(per=seconds),
    )
