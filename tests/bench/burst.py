"""A thousand jobs at once: when the last one ends, who waits longest, and GetJob meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from tests.bench.client import Client
from tests.bench.life import CALLERS, System, atelier
from tests.bench.load import Call, Sample, batch
from tests.bench.table import Line
from tests.bench.world import World

JOBS = 1_000
OF_ONE_OWNER = 200
"""How many of them one owner has; all others have one each, and come after those."""
RATE_JOBS = 200
"""How many whole lives tell the rate, right before."""
READERS = 2
SPARE_S = 1.0
WITHIN_S = 600.0
ROW = f"{JOBS:,} jobs at once"


async def burst(world: World) -> list[Line]:
    """Return how long all and the slowest owners took, beside the rate of whole lives."""
    async with atelier(world, "burst", KIE_API_KEY="", KIE_API_KEYS="default:1,second:2") as system:
        lives = [partial(system.client.live, within_s=WITHIN_S)] * RATE_JOBS
        rate = (await batch(lives, callers=CALLERS)).per_second
        others, one, seconds, reads = await _at_once(system)
    bound = JOBS / rate + SPARE_S
    return [
        Line(row=ROW, program=f"{JOBS:,} / rate of lives + 1 s", values=[bound], unit="s"),
        Line(
            row=ROW, program="Atelier, the last", values=[seconds], unit="s", ratio=seconds / bound
        ),
        _owners(others, program="Atelier, slowest of the many", of=seconds),
        _owners(one, program=f"Atelier, owner of {OF_ONE_OWNER}", of=seconds),
        Line(
            row=f"{ROW}, GetJob meanwhile",
            program="Atelier",
            values=[reads.p50_ms],
            unit="ms p50",
            p99_ms=reads.p99_ms,
        ),
    ]


def _owners(lengths: Sequence[float], *, program: str, of: float) -> Line:
    """Return when the last job of some owners ended, and its share of the whole."""
    slowest = max(lengths)
    return Line(row=ROW, program=program, values=[slowest], unit="s", ratio=slowest / of)


async def _at_once(system: System) -> tuple[Sequence[float], Sequence[float], float, Sample]:
    """Let all live, and read one job meanwhile: lengths of the many and of one, all, and reads."""
    known, ended = (await system.client.create()).job.id, asyncio.Event()
    of_one: list[Call] = [partial(system.client.live, owner="bench:one", within_s=WITHIN_S)]
    of_many: list[Call] = [partial(system.client.live, within_s=WITHIN_S)]
    async with asyncio.TaskGroup() as group:
        readers = [
            group.create_task(_read(system.client, known, ended=ended)) for _ in range(READERS)
        ]
        began = time.perf_counter()
        one, many = await asyncio.gather(
            batch(of_one * OF_ONE_OWNER, callers=OF_ONE_OWNER),
            batch(of_many * (JOBS - OF_ONE_OWNER), callers=JOBS - OF_ONE_OWNER),
        )
        seconds = time.perf_counter() - began
        ended.set()
    reads = [length for each in readers for length in each.result()]
    return many.seconds, one.seconds, seconds, Sample(reads, 0)


async def _read(client: Client, job_id: str, *, ended: asyncio.Event) -> list[float]:
    lengths: list[float] = []
    while not ended.is_set():
        began = time.perf_counter()
        await client.get(job_id)
        lengths.append(time.perf_counter() - began)
    return lengths
