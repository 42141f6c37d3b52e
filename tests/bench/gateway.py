"""POSTs a second through the gateway, beside bare Starlette, to the same empty gRPC server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.bench.load import Call, Rounds, Sample, load
from tests.bench.table import Line
from tests.bench.world import Part, World, frozen, running
from tests.port import free_address

CALLERS = 32
BODY = b'{"code":200,"data":{"taskId":"0","state":"success","resultJson":""},"msg":"success"}'
_HEAD = (
    f"POST /callbacks/kie/token HTTP/1.1\r\nhost: gateway\r\ncontent-length: {len(BODY)}\r\n\r\n"
)
_REQUEST = _HEAD.encode() + BODY


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
    async with AsyncExitStack() as stack:
        posts = [await stack.enter_async_context(_poster(part.address)) for _ in range(CALLERS)]
        return await load(posts, seconds=world.seconds, watched={"own": part.pid})


@asynccontextmanager
async def _poster(address: str) -> AsyncIterator[Call]:
    """Give a POST on a connection of its own; an HTTP client would be slower than the gateway."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))

    async def post() -> None:
        writer.write(_REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length, head
        await reader.readexactly(int(length[1]))

    try:
        yield post
    finally:
        writer.close()
