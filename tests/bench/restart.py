"""The start with PostgreSQL of its own, and kill -9 under load until everything moves again."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import psycopg

from generation_svc.storage.embedded.server import embedded_postgres
from tests.bench.client import client
from tests.bench.life import STEADY_S, System, atelier
from tests.bench.start import started
from tests.bench.table import Line
from tests.bench.world import World
from tests.e2e.program import until

EMBEDDED = "start with its own PostgreSQL"
KILLED = "kill -9 under load"
BACKLOG = 60
"""How many jobs are accepted right before the kill."""
WITHIN_S = 120.0
# What the dead process held is left out: that is somebody's again when its lease ends.
_FREE = (
    "SELECT id FROM job WHERE state = 'queued' AND (claim_token IS NULL OR dispatch_time <= now())"
)
_STILL = (
    "SELECT count(*) FROM job WHERE id = ANY(%s) AND state = 'queued' AND claim_token IS NULL"
    " AND NOT EXISTS (SELECT FROM attempt WHERE job_id = job.id)"
)


async def restart(world: World) -> list[Line]:
    """Return both."""
    return [*await _embedded(world), *await _killed(world)]


async def _embedded(world: World) -> list[Line]:
    """Return how long a start takes, PostgreSQL's own start apart; the data are there already."""
    service = world.service("postgresql://unused?", METRICS_LISTEN="")
    del service.program.env["DATABASE_URL"]
    await started(service)
    folder = service.program.folder / ".atelier/postgres"
    assert folder.is_dir(), f"no data in {folder}"
    whole, own = list[float](), list[float]()
    for _ in range(world.rounds):
        own.append(await _postgres(folder))
        whole.append(await started(service))
    rest = [both - alone for both, alone in zip(whole, own, strict=True)]
    return [
        Line(row=EMBEDDED, program="PostgreSQL alone", values=own, unit="s"),
        Line(row=EMBEDDED, program="Atelier", values=whole, unit="s"),
        Line(row=EMBEDDED, program="Atelier, without PostgreSQL's", values=rest, unit="s"),
    ]


async def _postgres(folder: Path) -> float:
    began = time.perf_counter()
    async with embedded_postgres(folder) as url, await psycopg.AsyncConnection.connect(url):
        return time.perf_counter() - began


async def _killed(world: World) -> list[Line]:
    accepted, moving = list[float](), list[float]()
    for number in range(world.rounds):
        async with atelier(world, f"killed_{number}", duration_s=STEADY_S) as system:
            first, last = await _kill(system)
            accepted.append(first)
            moving.append(last)
    return [
        Line(row=KILLED, program="Atelier, first job accepted", values=accepted, unit="s"),
        Line(row=KILLED, program="Atelier, every job moving", values=moving, unit="s"),
    ]


async def _kill(system: System) -> tuple[float, float]:
    """Kill a service whose queue is full and start it; the seconds to either from the kill."""
    creates = [asyncio.create_task(system.client.create()) for _ in range(BACKLOG)]
    await asyncio.wait(creates)
    system.service.program.kill()
    began = time.perf_counter()
    waiting = [row[0] for row in await _asked(system.database_url, _FREE)]
    assert waiting, "nothing waited at the moment of the kill"
    system.service.program.start()
    await _accepted(system.service.address)
    first = time.perf_counter() - began

    async def all_move() -> bool:
        ((left,),) = await _asked(system.database_url, _STILL, waiting)
        return not int(left)

    await until(all_move, within_s=WITHIN_S, what="every job that nobody held was sent")
    return first, time.perf_counter() - began


async def _accepted(address: str) -> None:
    """Ask until a job is accepted, each time on a connection of its own."""

    async def is_accepted() -> bool:
        async with client(address) as caller:
            with suppress(grpc.aio.AioRpcError):
                return bool((await caller.create()).job.id)
        return False

    await until(is_accepted, within_s=WITHIN_S, what="a job is accepted")


async def _asked(database_url: str, question: str, *values: Any) -> list[Any]:
    connect = psycopg.AsyncConnection.connect(database_url, autocommit=True)
    async with await connect as connection:
        return await (await connection.execute(question.encode(), values or None)).fetchall()
