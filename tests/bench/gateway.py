"""POSTs a second through the gateway, beside bare Starlette, to the same empty gRPC server."""

from __future__ import annotations

import httpx2

from tests.bench.load import Rounds, Sample, load
from tests.bench.table import Line
from tests.bench.world import Part, World, frozen, running
from tests.e2e.program import client, free_address

CALLERS = 32
BODY = b'{"code":200,"data":{"taskId":"0","state":"success","resultJson":""},"msg":"success"}'


async def gateway(world: World) -> list[Line]:
    """Return the rates of both; the server behind them answers at once and stores nothing."""
    server = world.bare("server", "insert", DATABASE_URL=await world.database("gateway"))
    bare = world.bare("gateway", GENERATION_ADDRESS=server.address)
    ours = world.gateway(server.address, listen=free_address())
    found = {"bare Starlette + gRPC": Rounds(), "Atelier": Rounds()}
    async with running(server, bare, ours):
        for _ in range(world.rounds):
            for rounds, part, other in zip(found.values(), (bare, ours), (ours, bare), strict=True):
                with frozen(other):
                    rounds.samples.append(await _posted(part, world))
    base = found["bare Starlette + gRPC"]
    return [
        base.line(row="gateway, 32 at once", program="bare Starlette + gRPC"),
        found["Atelier"].line(row="gateway, 32 at once", program="Atelier", base=base),
    ]


async def _posted(part: Part, world: World) -> Sample:
    async with client(f"http://{part.address}") as http:

        async def post() -> httpx2.Response:
            return await http.post("/callbacks/kie/token", content=BODY)

        watched = [part.pid, world.postgres_pid]
        return await load([post] * CALLERS, seconds=world.seconds, watched=watched)
