"""What an edge reads of Telegram's answers, whoever gives them."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from telegram.error import NetworkError
from telegram.request import HTTPXRequest

from edge_bot.telegram.body import BodyTooLarge, bounded

LIMIT = 2**20
Answer = Callable[[asyncio.StreamWriter], None]


def answer(body: bytes, *, length: int | None = None, encoding: str = "") -> Answer:
    """Write a body, repeated so that it has this length."""

    def write(writer: asyncio.StreamWriter) -> None:
        size = len(body) if length is None else length
        packed = f"content-encoding: {encoding}\r\n" if encoding else ""
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n{packed}\r\n".encode())
        for _ in range(-(-size // len(body))):
            writer.write(body)

    return write


@asynccontextmanager
async def serving(write: Answer) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answer every request so, and keep the requests."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        write(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}/file", requests


async def read(url: str) -> bytes:
    async with HTTPXRequest(httpx_kwargs=bounded(limit_bytes=LIMIT)) as request:
        return await request.retrieve(url)


async def test_a_body_within_the_limit_is_read_and_asked_for_unpacked() -> None:
    async with serving(answer(b"x" * LIMIT)) as (url, requests):
        assert len(await read(url)) == LIMIT
    assert b"accept-encoding: identity" in requests[0].lower()


async def test_a_body_that_is_too_long_is_broken_off() -> None:
    async with serving(answer(b"x" * 2**16, length=8 * LIMIT)) as (url, _):
        with pytest.raises(NetworkError) as caught:
            await read(url)
    assert isinstance(caught.value.__cause__, BodyTooLarge)


async def test_a_packed_body_is_not_unpacked() -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(100)) + packer.flush()
    async with serving(answer(bomb, encoding="gzip")) as (url, _):
        with pytest.raises(NetworkError, match="DecodingError"):
            await read(url)
