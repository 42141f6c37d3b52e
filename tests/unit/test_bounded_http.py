"""HTTP of the edge and of the metrics: who says nothing, or is too many, is let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

import httpx2
import pytest
import uvloop
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from callback_gateway.connection import ConnectionLimiter
from callback_gateway.metric import Meter
from callback_gateway.protocol import CallbackProtocol, Timeouts
from runtime.address import Address
from runtime.bounded_http import BoundedProtocol
from runtime.http import serving
from tests.e2e.program import until

ANY_PORT = Address("127.0.0.1", 0)
OPTIONS: dict[str, Any] = {
    "meter": Meter(CollectorRegistry()),
    "connections": ConnectionLimiter(10),
    "timeouts": Timeouts(),
}
"""What the gateway's protocol is given."""
WITHIN_S = 5
ENDLESS = 2 << 20
PIECES, PIECE_BYTES = 800, 64 << 10
CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


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


async def pieces(_: Request) -> Response:
    async def each() -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            yield bytes(PIECE_BYTES)

    return StreamingResponse(each(), headers={"content-length": str(PIECE_BYTES * PIECES)})


APP = Starlette(
    routes=[Route("/", echo, methods=["POST"]), Route("/much", much), Route("/pieces", pieces)]
)


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


class Patient(BoundedProtocol):
    """Waits for longer than the tests do."""

    head_s = body_s = read_s = 20 * WITHIN_S


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.1\r\nx: " + b"y" * ENDLESS,
        b"POST / HTTP/1.1\r\n" + b"x: y\r\n" * (ENDLESS // 6),
        b"POST /" + b"y" * ENDLESS,
        b"\r\n" * (ENDLESS // 2),
        CHUNKED + b"0\r\nx: " + b"y" * ENDLESS,
        CHUNKED + b"2\r\n{}\r\n0\r\n" + b"x: y\r\n" * (ENDLESS // 6),
        CHUNKED + b"2;" + b"y" * ENDLESS,
    ],
    ids=["a header", "headers", "a path", "blank lines", "a trailer", "trailers", "an extension"],
)
async def test_who_sends_a_head_without_end_is_let_go(sent: bytes) -> None:
    async with serving(APP, ANY_PORT, http=Patient) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(sent)
        await closed(reader)
        async with httpx2.AsyncClient() as http:
            assert (await http.post(f"http://{address}/", content=b"x" * ENDLESS)).is_success
        writer.close()


@pytest.mark.parametrize("has_asked", [False, True], ids=["before", "between"])
@pytest.mark.parametrize(
    "protocol", [Quick, partial(CallbackProtocol, **OPTIONS)], ids=["any port", "the gateway"]
)
async def test_blank_lines_keep_no_connection(protocol: Any, *, has_asked: bool) -> None:
    async with serving(APP, ANY_PORT, http=protocol, timeout_keep_alive=1) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        if has_asked:
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello")
            await asyncio.wait_for(reader.readuntil(b"hello"), WITHIN_S)

        async def has_ended() -> bool:
            writer.write(b"\r\n")
            return reader.at_eof() or writer.transport.is_closing()

        await until(has_ended, within_s=WITHIN_S, what="the end of the connection")
        writer.close()


async def test_a_request_that_has_begun_is_answered_though_nothing_more_comes() -> None:
    options = OPTIONS | {"timeouts": Timeouts(head_s=1.5)}
    protocol = partial(CallbackProtocol, **options)
    async with serving(APP, ANY_PORT, http=protocol, timeout_keep_alive=1) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        whole = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello"
        writer.write(whole + b"POST /callbacks/kie HTTP/1.1\r\n")
        answer = await asyncio.wait_for(reader.read(), WITHIN_S)
        writer.close()
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2


async def test_no_answer_is_written_into_another() -> None:
    async with serving(APP, ANY_PORT, http=partial(CallbackProtocol, **OPTIONS)) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(CHUNKED.replace(b"POST /", b"GET /pieces"))
        async with asyncio.timeout(WITHIN_S):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"zz\r\n")
            assert await reader.read() == bytes(PIECE_BYTES * PIECES)
        writer.close()


async def leaves_with_requests_in_line(protocol: Any) -> None:
    """Send three requests at once; the connection ends while the first is being answered."""
    server_side: list[asyncio.Transport] = []
    came, may_end, lost = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late(_: Request) -> Response:
        came.set()
        await may_end.wait()
        return Response()

    class Watched(protocol):  # type: ignore[misc]
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            server_side.append(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    app = Starlette(routes=[Route("/", late)])
    options = {"http": partial(Watched, **OPTIONS) if protocol is CallbackProtocol else Watched}
    async with asyncio.timeout(WITHIN_S), serving(app, ANY_PORT, **options) as address:
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
        await came.wait()
        server_side[0].abort()
        await lost.wait()
        may_end.set()  # and the server waits for its answer before it stops
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("protocol", [BoundedProtocol, CallbackProtocol])
def test_who_leaves_with_requests_in_line_makes_no_fault(
    protocol: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # uvloop, as in the processes: asyncio lets others write to what is closed.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(leaves_with_requests_in_line(protocol))
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []
