"""Two replicas on one database beside one: rate, latency, and statements for a job."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import cycle, islice

from tests.bench.client import client
from tests.bench.life import CALLERS, COUNTED, JOBS, PER_SECOND, RAISED, STEADY_S
from tests.bench.load import Call, Rounds, Sample, batch, steadily
from tests.bench.table import Line
from tests.bench.world import Part, World, running
from tests.port import free_address

ROW = "whole life, two replicas"


async def replicas(world: World) -> list[Line]:
    """Return both, the same number of callers spread over the replicas."""
    one, one_counted = await _measured(world, count=1)
    two, two_counted = await _measured(world, count=2)
    more = (two_counted.statements or 0) / (one_counted.statements or 1)
    return [
        one.line(row=ROW, program="one"),
        two.line(row=ROW, program="two", base=one),
        one_counted,
        Line(**{**vars(two_counted), "ratio": more}),
    ]


async def _measured(world: World, *, count: int) -> tuple[Rounds, Line]:
    url, kie, listen = await world.database(f"replicas_{count}"), world.bare("kie"), free_address()
    slow = world.bare("kie", DURATION_S=str(STEADY_S))
    rounds = Rounds()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(kie))
        lives = await _replicas(world, url, count=count, kie=kie, listen=listen, stack=stack)
        for _ in range(world.rounds):
            watched = {"postgres": world.postgres_pid}
            sample = await batch(_turns(lives, JOBS), callers=CALLERS, watched=watched)
            rounds.samples.append(sample)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(slow))
        lives = await _replicas(world, url, count=count, kie=slow, listen=listen, stack=stack)
        return rounds, await _counted(world, lives, count=count)


async def _replicas(
    world: World, url: str, *, count: int, kie: Part, listen: str, stack: AsyncExitStack
) -> Sequence[Call]:
    """Start replicas behind one gateway, and return the whole lives, one at each of them."""
    back = f"http://{listen}"
    services = [
        world.service(url, kie=kie.address, CALLBACK_BASE_URL=back, **RAISED) for _ in range(count)
    ]
    addresses = ",".join(each.address for each in services)
    gateway = world.gateway(addresses, listen=listen)
    await stack.enter_async_context(running(*services, gateway))
    callers = [await stack.enter_async_context(client(each.address)) for each in services]
    for caller in callers:
        await caller.live()
    return [caller.live for caller in callers]


async def _counted(world: World, lives: Sequence[Call], *, count: int) -> Line:
    async with world.counted() as counts:
        lengths = await steadily(_turns(lives, COUNTED), per_second=PER_SECOND)
    sample = Sample(lengths, 0)
    return Line(
        row=f"{ROW}, counted",
        program="two" if count == 2 else "one",
        values=[sample.p50_ms],
        unit="ms p50",
        p99_ms=sample.p99_ms,
        statements=counts.statements / COUNTED,
        transactions=counts.transactions / COUNTED,
        detail=counts.top(per=COUNTED),
    )


def _turns(lives: Sequence[Call], count: int) -> list[Call]:
    return list(islice(cycle(lives), count))
