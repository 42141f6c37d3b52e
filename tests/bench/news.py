"""GetJob beside a bare echo, how long news takes between replicas, and what a cancel leaves."""

from __future__ import annotations

from contextlib import AsyncExitStack

from generation_svc.storage.embedded.server import embedded_postgres
from tests.bench.call import replica
from tests.bench.cancel import left_per_cancel
from tests.bench.load import Rounds, Sample, load
from tests.bench.table import Line
from tests.bench.wait import notifications, outcomes, updates
from tests.bench.world import World

CALLERS = 32


async def get(world: World) -> list[Line]:
    """Return GetJob's rate beside that of an echo in the same process."""
    url, found = await world.database("get"), dict[str, Rounds]()
    async with replica(url, world.folder / "get") as one:
        for _ in range(world.rounds):
            for name, call in (await one.calls()).items():
                sample = await load(
                    [call] * CALLERS, seconds=world.seconds, watched={"own": one.pid}
                )
                found.setdefault(name, Rounds()).samples.append(sample)
    base = found["bare echo"]
    return [
        base.line(row="GetJob, 32", program="bare echo"),
        found["GetJob"].line(row="GetJob, 32", program="Atelier", base=base),
    ]


async def news(world: World) -> list[Line]:
    """Return how long a NOTIFY takes, a cancellation until another replica's stream has it, an
    outcome until its lease, and the memory that a cancelled call leaves.
    """
    url = await world.database("news")
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(replica(url, world.folder / name))
            for name in ("one", "other")
        ]
        lines = [
            _line("NOTIFY to LISTEN", "bare", await notifications(url)),
            _line("cancel here to stream there", "Atelier", await updates(one, other)),
        ]
        left = [await left_per_cancel(one)]
        lines.append(Line(row="left by a cancelled call", program="grpc", values=left, unit="kB"))
    async with embedded_postgres(world.folder / "postgres-news") as own_url:
        sample = await outcomes(world.folder / "news", database_url=own_url)
    return [*lines, _line("KIE's end to leased outcome", "Atelier", sample)]


def _line(row: str, program: str, sample: Sample) -> Line:
    values = [sample.p50_ms]
    return Line(row=row, program=program, values=values, unit="ms p50", p99_ms=sample.p99_ms)
