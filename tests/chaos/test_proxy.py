"""The proxy passes everything on until it is told not to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chaos.proxy import Link, net
from tests.e2e.program import until

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    """A proxy to a server that says everything again."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, net(1) as proxies:
        proxies.proxy("here-there", f"{host}:{port}")
        yield proxies.links["here-there"]


async def test_what_is_said_comes_back_and_an_end_is_passed_on(link: Link) -> None:
    reader, writer = await _connected(link)
    writer.write(b"hello")
    writer.write_eof()
    assert await reader.read() == b"hello"
    writer.close()


async def test_a_cut_is_a_reset(link: Link) -> None:
    reader, writer = await _talking(link)
    link.cut()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    await _talks(link)


async def test_a_stall_delays_and_loses_nothing(link: Link) -> None:
    reader, writer = await _talking(link)
    stalled = asyncio.create_task(link.stall(0.2))
    await asyncio.sleep(0)
    writer.write(b"late")
    reading = asyncio.create_task(reader.readexactly(4))
    done, _ = await asyncio.wait({reading, stalled}, return_when=asyncio.FIRST_COMPLETED)
    assert done == {stalled}
    assert await reading == b"late"
    writer.close()


async def test_a_refusal_takes_no_connections_and_ends(link: Link) -> None:
    refused = asyncio.create_task(link.refuse(0.2))

    async def is_refused() -> bool:
        try:
            (await _connected(link))[1].close()
        except ConnectionError:
            return True
        return False

    await until(is_refused, within_s=5, what="a refusal")
    await refused
    await _talks(link)


async def test_what_clients_send_is_shown_with_its_moment(link: Link) -> None:
    seen: list[bytes] = []
    link.tap = lambda data, moment: seen.append(data)
    await _talks(link)
    assert seen == [b"?"]


async def _talks(link: Link) -> None:
    _, writer = await _talking(link)
    writer.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _connected(link: Link) -> Pair:
    host, _, port = link.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def _talking(link: Link) -> Pair:
    reader, writer = await _connected(link)
    writer.write(b"?")
    assert await reader.readexactly(1) == b"?"
    return reader, writer
