"""From KIE's POST of a callback to the last update on an open stream, the picture stored."""

from __future__ import annotations

import time

import httpx2

from tests.bench.bare.chain import FEWEST_COMMITS
from tests.bench.life import STEADY_S, System, atelier, bare_chain
from tests.bench.load import Sample, steadily
from tests.bench.table import Line
from tests.bench.world import World, frozen

JOBS = 40
PER_SECOND = 4
ROW = "callback to update, ms"


async def callback(world: World) -> list[Line]:
    """Return the waits behind the service and behind a chain of the fewest commits."""
    async with atelier(world, "callback", duration_s=STEADY_S) as ours:
        chain = bare_chain(world, ours.database_url, commits=FEWEST_COMMITS, duration_s=STEADY_S)
        async with chain as bare:
            with frozen(*ours.parts):
                floor = await _waits(bare)
            with frozen(*bare.parts):
                found = await _waits(ours)
    base = Line(row=ROW, program="bare chain", values=[floor.p50_ms], unit="ms p50")
    return [
        Line(**{**vars(base), "p99_ms": floor.p99_ms}),
        Line(
            row=ROW,
            program="Atelier",
            values=[found.p50_ms],
            unit="ms p50",
            p99_ms=found.p99_ms,
            ratio=found.p50_ms / floor.p50_ms,
        ),
    ]


async def _waits(system: System) -> Sample:
    ended: dict[str, float] = {}

    async def live() -> None:
        prompt = await system.client.live()
        ended[prompt] = time.time()

    await steadily([live] * JOBS, per_second=PER_SECOND)
    async with httpx2.AsyncClient(trust_env=False, verify=False) as http:
        posted = (await http.get(f"http://{system.kie.address}/posted")).json()
    return Sample([ended[prompt] - posted[prompt] for prompt in ended], 0)
