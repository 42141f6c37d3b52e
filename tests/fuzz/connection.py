"""Connections that are slow, silent, or never read, at the doors of the service and the gateway.

All of them are kept open until the storm ends, and between them others must be served as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import grpc
import httpx2

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from tests.contract.raw_connection import PREFACE, SERVICE, RawConnection, framed, raw_connection
from tests.e2e.stack import Stack
from tests.fuzz.access import FUZZ_TOKEN
from tests.fuzz.door import Tally, attack
from tests.fuzz.odd import Odd

MOST = 400
"""How many connections there are at most: all of them are open at once."""
UNREAD_CALLS = 8
ENDLESS_BYTES = 2_000_000
BETWEEN = 20
"""After how many connections others are asked whether they are served."""
MAX_WAIT_S = 20.0
BEARER = (("authorization", f"Bearer {FUZZ_TOKEN}"),)
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
Attack: TypeAlias = Callable[[RawConnection, Odd], Awaitable[None]]


async def silent(connection: RawConnection, odd: Odd) -> None:
    """Send nothing."""


async def preface(connection: RawConnection, odd: Odd) -> None:
    """Send the beginning of HTTP/2, or a part of it, and no more."""
    connection.writer.write(PREFACE[: odd.random.randrange(1, len(PREFACE) + 1)])


async def slow(connection: RawConnection, odd: Odd) -> None:
    """Send a head byte by byte, and never its end."""
    head = odd.pick((PREFACE, b"POST /callbacks/kie/x HTTP/1.1\r\nhost: g\r\nx: y", b"GET /media/"))
    for number in head:
        if connection.writer.transport.is_closing():
            return
        connection.writer.write(bytes((number,)))
        await asyncio.sleep(0.001 * odd.random.random())


async def unread(connection: RawConnection, odd: Odd) -> None:
    """Ask for answers that have no room on the way back."""
    await connection.begin(window=odd.pick((0, 0, 1, 100)))
    for _ in range(UNREAD_CALLS):
        path = f"{SERVICE}/{odd.pick(('ListModels', 'ListJobs'))}"
        await connection.ask(path, framed(b""), headers=BEARER)


async def unfinished(connection: RawConnection, odd: Odd) -> None:
    """Begin calls whose message never comes, or not all of it."""
    await connection.begin()
    for _ in range(odd.random.randrange(1, UNREAD_CALLS)):
        path = odd.pick((f"{SERVICE}/GetJob", f"{SERVICE}/UploadInput", REFLECTION))
        part = framed(bytes(100))[: odd.random.randrange(50)]
        await connection.ask(path, part, headers=BEARER, end=False)


async def unread_page(connection: RawConnection, odd: Odd) -> None:
    """Ask the gateway many things at once and read none of the answers."""
    request = b"POST /callbacks/kie/unread HTTP/1.1\r\nhost: g\r\ncontent-length: 2\r\n\r\n{}"
    connection.writer.write(request * odd.random.randrange(1, 50))


async def wishes(connection: RawConnection, odd: Odd) -> None:
    """Ask the gateway for another protocol again and again."""
    request = b"GET /callbacks/kie/wish HTTP/1.1\r\nUpgrade:h\r\nConnection:upgrade\r\n\r\n"
    connection.writer.write(request * odd.random.randrange(1, 4000))


async def endless(connection: RawConnection, odd: Odd) -> None:
    """Send trailers, an extension of a chunk, a header or blank lines, and never their end."""
    start = b"POST /callbacks/kie/endless HTTP/1.1\r\nhost: g\r\n"
    chunks = start + b"transfer-encoding: chunked\r\n\r\n"
    begun, repeated = odd.pick(
        (
            (chunks + b"0\r\n", b"x: y\r\n"),
            (chunks + b"2\r\n{}\r\n0\r\nx: ", b"y"),
            (chunks + b"2;", b"x"),
            (start + b"x: ", b"y"),
            (b"", b"\r\n"),
        )
    )
    size = odd.random.randrange(ENDLESS_BYTES)
    connection.writer.write(begun + repeated * (size // len(repeated)))


AT_SERVICE: tuple[Attack, ...] = (silent, preface, slow, unread, unfinished)
AT_GATEWAY: tuple[Attack, ...] = (silent, slow, unread_page, wishes, endless)


class _Attacker:
    """Opens connections, keeps them, and asks now and then whether others are served."""

    def __init__(self, stack: AsyncExitStack, running: Stack, *, tally: Tally, odd: Odd) -> None:
        self._stack, self._tally, self._odd = stack, tally, odd
        self._service = running.service.env["GENERATION_LISTEN"]
        self._gateway = urlsplit(running.gateway_url).netloc

    def draw(self) -> tuple[str, Attack]:
        """Return where to, and what."""
        if self._odd.chance(0.3):
            return self._gateway, self._odd.pick(AT_GATEWAY)
        return self._service, self._odd.pick(AT_SERVICE)

    async def __call__(self, drawn: tuple[str, Any]) -> str:
        address, kind = drawn
        try:
            connection = await self._stack.enter_async_context(raw_connection(address))
            await kind(connection, self._odd)
        except ConnectionError:
            return "closed at once"
        if self._tally.inputs % BETWEEN == 0:
            await self._are_others_served()
        return str(kind.__name__)

    async def _are_others_served(self) -> None:
        try:
            async with grpc.aio.insecure_channel(self._service) as channel:
                await GenerationServiceStub(channel).ListModels(
                    pb.ListModelsRequest(), metadata=BEARER, timeout=MAX_WAIT_S, wait_for_ready=True
                )
            async with httpx2.AsyncClient(timeout=MAX_WAIT_S) as http:
                answer = await http.post(f"http://{self._gateway}/callbacks/kie/other", json={})
            if answer.status_code != httpx2.codes.OK:
                self._tally.find(f"the gateway answered {answer.status_code}")
        except (grpc.aio.AioRpcError, httpx2.HTTPError) as error:
            self._tally.find(f"others are not served: {error!r}")


async def storm(running: Stack, odd: Odd, *, inputs: int) -> Tally:
    """Open connections that do no good; return what came of it."""
    tally = Tally("connections")
    async with AsyncExitStack() as stack:
        attacker = _Attacker(stack, running, tally=tally, odd=odd)
        await attack(tally, attacker.draw, attacker, inputs=min(inputs, MOST))
    return tally
