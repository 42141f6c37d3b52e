"""How long GetJob takes while a thousand jobs run, beside GetJob while nothing happens."""

from __future__ import annotations

from functools import partial

from tests.bench.life import System, atelier
from tests.bench.load import batch, load
from tests.bench.table import Line
from tests.bench.world import World

JOBS = 1_000
READERS = 2
SECONDS = 10.0


async def read(world: World) -> list[Line]:
    """Return both; the jobs are stopped after the measurement."""
    async with atelier(world, "read") as system:
        job = (await system.client.create()).job
        quiet = await _read(system, job.id, row="GetJob, nothing under way", seconds=2.0)
        creating = [system.client.create] * JOBS
        await batch(creating, callers=64)
        busy = await _read(system, job.id, row="GetJob, 1,000 jobs under way", seconds=SECONDS)
    return [quiet, busy]


async def _read(system: System, job_id: str, *, row: str, seconds: float) -> Line:
    calls = [partial(system.client.get, job_id)] * READERS
    sample = await load(calls, seconds=seconds)
    return Line(
        row=row,
        program="Atelier",
        values=[sample.p50_ms],
        unit="ms p50",
        p99_ms=sample.p99_ms,
    )
