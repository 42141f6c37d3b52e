"""What it costs to be paid: CreateJob and whole lives that hold and charge credits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import psycopg

from tests.bench.client import Client, client, owners
from tests.bench.create import COUNTED
from tests.bench.life import STEADY_S, atelier, life_counts
from tests.bench.load import Call, Rounds, load
from tests.bench.table import Line
from tests.bench.world import Part, World, running

CALLERS = (1, 32, 256)
MODEL_ID = "google/imagen4"
FREE, PAID, ONE = "free", "paid", "paid, one owner"
_BASES = {PAID: FREE, ONE: PAID}
RICH = 200_000
"""How many owners are given credits: each job of the rows for many is somebody else's."""
FEW = 500
PREPAID = "bench"
MONEY = {"MONEY": "test"}
_ENRICH = """
WITH rich AS (
    INSERT INTO wallet (owner, granted, update_time)
    SELECT owner, 1000000000, now() FROM unnest(%(owners)s::text[]) AS owner RETURNING owner)
INSERT INTO transfer (time, currency, amount, source, target, owner, balance_after, kind, cause,
    actor, reason, detail)
SELECT now(), 'credit', 1000000000, 'grants', 'granted', owner, 1000000000, 'grant', owner,
    'bench', 'bench', '{}' FROM rich
"""


async def paid(world: World) -> list[Line]:
    """Return the rates beside those of free jobs, and what each asks of the database."""
    return [*await paid_rates(world), await paid_accept_counts(world), *await paid_lives(world)]


async def paid_rates(world: World, *, callers: Sequence[int] = CALLERS) -> list[Line]:
    """Return how fast paid jobs are accepted, of many owners and of one."""
    url = await world.database("paid")
    await _enrich(url, count=RICH)
    service = world.service(url, KIE_CREATE_LIMIT="1", **MONEY)
    async with running(service), _callers(service) as (free, buyer):
        calls: dict[str, Call] = {
            FREE: free.create,
            PAID: buyer.create,
            ONE: partial(buyer.create, owner=PREPAID),
        }
        found = {number: await _rounds(world, service, calls, number) for number in callers}
    return [
        rounds[name].line(
            row=f"CreateJob, {number}, with money",
            program=name,
            base=rounds[_BASES[name]] if name in _BASES else None,
        )
        for number, rounds in found.items()
        for name in calls
    ]


async def paid_accept_counts(world: World) -> Line:
    """Return what one paid CreateJob asks of the database."""
    url = await world.database("paid_counted")
    await _enrich(url, count=COUNTED + FEW)
    part = world.service(url, "--only", "rpc", **MONEY)
    async with running(part), client(part.address, model_id=MODEL_ID) as caller:
        await caller.create()
        async with world.counted() as counts:
            for _ in range(COUNTED):
                await caller.create()
    return Line(
        row="CreateJob, paid, counted",
        program="Atelier",
        values=[counts.statements / COUNTED],
        unit="statements",
        statements=counts.statements / COUNTED,
        transactions=counts.transactions / COUNTED,
        detail=counts.top(per=COUNTED),
    )


async def paid_lives(world: World, *, jobs: int = 50) -> list[Line]:
    """Return what a whole paid life asks of the database, and what it asks beyond a free one."""
    free, bought = [
        await _life(world, model_id=model_id, jobs=jobs) for model_id in ("z-image", MODEL_ID)
    ]
    more = bought.median - free.median
    beyond = Line(
        row="paid life beyond a free one", program="Atelier", values=[more], unit="statements"
    )
    return [bought, beyond]


async def _life(world: World, *, model_id: str, jobs: int) -> Line:
    name = "paid_life" if model_id == MODEL_ID else "free_life"
    prepare = partial(_enrich, count=jobs + FEW)
    opened = atelier(world, name, duration_s=STEADY_S, model_id=model_id, prepare=prepare, **MONEY)
    async with opened as system:
        return await life_counts(world, system, jobs=jobs, row="whole life, paid, counted")


async def _rounds(
    world: World, service: Part, calls: dict[str, Call], callers: int
) -> dict[str, Rounds]:
    rounds = defaultdict[str, Rounds](Rounds)
    watched = {"own": service.pid, "postgres": world.postgres_pid}
    for _ in range(world.rounds):
        for name, call in calls.items():
            sample = await load([call] * callers, seconds=world.seconds, watched=watched)
            rounds[name].samples.append(sample)
    return rounds


@asynccontextmanager
async def _callers(service: Part) -> AsyncIterator[tuple[Client, Client]]:
    """Give somebody who asks for free pictures, and somebody who pays."""
    async with AsyncExitStack() as stack:
        free = await stack.enter_async_context(client(service.address))
        yield free, await stack.enter_async_context(client(service.address, model_id=MODEL_ID))


async def _enrich(database_url: str, *, count: int) -> None:
    """Give credits to the next owners, and to the one that all share."""
    rich = [*owners(count), PREPAID]
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(_ENRICH, {"owners": rich})
        await connection.execute("ANALYZE wallet")
