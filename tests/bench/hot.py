"""A caller with ten thousand queued jobs of many owners, and a thousand others with one each."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.load import Sample
from tests.bench.queue import Queue
from tests.bench.table import Line
from tests.bench.world import World, running
from tests.fill import Filling, fill

BACKLOG = 10_000
OWNERS = 100
"""Of the hot caller's backlog: their first jobs share the first round with those of the others."""
OTHERS = 1_000
SENT = OTHERS + OWNERS
"""The first round: in it all others are served, and nothing of the hot caller's further jobs."""
ROW = f"{BACKLOG:,} queued jobs of one caller"
HOT = Filling(queued=BACKLOG, queued_owners=OWNERS, caller="hot")
SINGLE = Filling(queued=OTHERS, queued_owners=OTHERS, queued_callers=OTHERS, caller="single")


async def hot(world: World) -> list[Line]:
    """Return how fast the first round is sent, beside a queue of that round alone."""
    alone = Filling(queued=OWNERS, queued_owners=OWNERS, caller="hot")
    base, _ = await _sent(world, "hot_base", alone)
    sample, callers = await _sent(world, "hot", HOT)
    served = sum(each != "hot" for each in callers)
    found = Line(
        row=ROW,
        program="Atelier",
        values=[sample.per_second],
        unit="sent a second",
        p99_ms=sample.p99_ms,
        ratio=sample.per_second / base.per_second,
    )
    return [
        Line(
            row=ROW,
            program="without the backlog",
            values=[base.per_second],
            unit="sent a second",
            p99_ms=base.p99_ms,
        ),
        found,
        Line(
            row=ROW,
            program=f"Atelier, others of the first {SENT:,}",
            values=[served],
            unit="jobs",
            ratio=served / OTHERS,
        ),
    ]


async def _sent(world: World, name: str, backlog: Filling) -> tuple[Sample, Sequence[str]]:
    url = await world.database(name)
    await fill(url, backlog)
    await fill(url, SINGLE)
    queue = Queue.on(world, url)
    async with running(queue.kie):
        return await queue.send(SENT)
