"""HTTP of the edge and of the metrics: who says nothing, or is too many, is let go."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from runtime.address import Address
from runtime.bounded_http import BoundedProtocol
from runtime.http import serving
from tests.e2e.program import until

ANY_PORT = Address("127.0.0.1", 0)
WITHIN_S = 5


class Quick(BoundedProtocol):
    """Waits for a moment only."""

    connections_limit = 3
    head_s = 0.3
    body_s = 0.3
    read_s = 0.3


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def much(_: Request) -> Response:
    return Response(bytes(50 << 20))


APP = Starlette(routes=[Route("/", echo, methods=["POST"]), Route("/much", much)])


async def closed(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has ended the connection."""
    async with asyncio.timeout(WITHIN_S):
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            return


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST / HT",
        b"POST / HTTP/1.1\r\nhost: x\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nab",
    ],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
async def test_who_says_too_little_is_let_go(sent: bytes) -> None:
    async with serving(APP, ANY_PORT, http=Quick) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(sent)
        await closed(reader)
        async with httpx2.AsyncClient() as http:
            assert (await http.post(f"http://{address}/", content=b"hello")).text == "hello"
        writer.close()


async def test_who_does_not_read_is_let_go() -> None:
    async with serving(APP, ANY_PORT, http=Quick) as address:
        _, writer = await asyncio.open_connection(address.host, address.port, limit=1024)
        writer.write(b"GET /much HTTP/1.1\r\nhost: x\r\n\r\n")
        transport: Any = writer.transport
        transport.pause_reading()
        async with httpx2.AsyncClient() as http:  # by now the server wrote all that it could
            await http.post(f"http://{address}/", content=b"hello")

        async def is_cut_off() -> bool:
            writer.write(b"x")
            return writer.transport.is_closing()

        await until(is_cut_off, within_s=WITHIN_S, what="the end of the connection")
        writer.close()


async def test_there_are_never_more_connections_than_allowed() -> None:
    class Small(BoundedProtocol):
        connections_limit = 3
        head_s = 2 * WITHIN_S  # later than the end of those that are too many

    async with serving(APP, ANY_PORT, http=Small) as address:
        opened = [await asyncio.open_connection(address.host, address.port) for _ in range(9)]
        for reader, _ in opened[3:]:
            await closed(reader)
        for _, writer in opened:
            writer.close()
        async with httpx2.AsyncClient() as http:
            assert (await http.post(f"http://{address}/", content=b"hello")).text == "hello"
