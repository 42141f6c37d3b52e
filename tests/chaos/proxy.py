"""A TCP proxy between two parts of the stack, which cuts, stalls and refuses on demand."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count

from tests.port import free_address

_CHUNK = 64 * 1024
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing then sends RST, not FIN."""
Tap = Callable[[bytes, float], None]
"""Is shown what clients send, with the moment at which it came."""


class Link:
    """One proxy: where clients connect, and the replicas that they get to in turn."""

    def __init__(self, name: str, upstreams: tuple[str, ...], *, rng: random.Random) -> None:
        self.name = name
        self.tap: Tap | None = None
        self._upstreams, self._rng = list(upstreams), rng
        self.address = free_address()
        self._listener = _listen(self.address)
        self._connections: set[_Connection] = set()
        self._numbers = count(1)
        self._start()

    @property
    def open_count(self) -> int:
        """The number of connections that are open."""
        return len(self._connections)

    def cut(self, share: float = 1.0) -> None:
        """Reset this share of the connections."""
        for connection in self._some(share):
            connection.reset()

    async def stall(self, seconds: float, *, share: float = 1.0) -> None:
        """Let nothing through on this share of the connections for a while."""
        stalled = self._some(share)
        for connection in stalled:
            connection.way.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            for connection in stalled:
                connection.way.set()

    async def refuse(self, seconds: float) -> None:
        """Take no new connections for a while."""
        self._stop()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._listener = _listen(self.address)
            self._start()

    async def close(self) -> None:
        """End everything."""
        self._stop()
        tasks = [connection.task for connection in self._connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self) -> None:
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _stop(self) -> None:
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()

    def _some(self, share: float) -> list[_Connection]:
        chosen = sorted(self._connections, key=lambda each: each.number)
        return [each for each in chosen if self._rng.random() < share]

    def _accept(self) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            sock, _ = self._listener.accept()
            sock.setblocking(False)
            connection = _Connection(next(self._numbers), sock, link=self)
            self._connections.add(connection)
            connection.task.add_done_callback(partial(self._forget, connection))

    def _forget(self, connection: _Connection, _: asyncio.Task[None]) -> None:
        connection.let_go()
        self._connections.discard(connection)

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect to the next replica that takes a connection; None if none does."""
        for _ in self._upstreams:
            self._upstreams.append(self._upstreams.pop(0))
            host, _, port = self._upstreams[0].rpartition(":")
            with suppress(OSError):
                return await asyncio.open_connection(host, int(port))
        return None


class _Connection:
    """A client's connection and the one that it is joined to."""

    def __init__(self, number: int, sock: socket.socket, *, link: Link) -> None:
        self.number = number
        self.way = asyncio.Event()
        self.way.set()
        self._sock, self._link = sock, link
        self._writers: list[asyncio.StreamWriter] = []
        self.task = asyncio.create_task(self._run(), name=f"{link.name} {number}")

    def reset(self) -> None:
        """Break both sides off without a word."""
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        self.task.cancel()

    def let_go(self) -> None:
        """Close the client's socket if nothing was done with it yet."""
        if not self._writers:
            self._sock.close()

    async def _run(self) -> None:
        reader, writer = await asyncio.open_connection(sock=self._sock)
        self._writers.append(writer)
        try:
            upstream = await self._link.connected()
            if upstream is None:
                self.reset()
                return
            self._writers.append(upstream[1])
            await self._join((reader, writer), upstream)
        finally:
            for each in self._writers:
                each.transport.abort()

    async def _join(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        ways = (
            self._pump(client[0], server[1], tap=self._link.tap),
            self._pump(server[0], client[1], tap=None),
        )
        with suppress(OSError):
            await asyncio.gather(*ways)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, tap: Tap | None
    ) -> None:
        while data := await reader.read(_CHUNK):
            if tap:
                tap(data, time.time())
            await self.way.wait()
            writer.write(data)
            await writer.drain()
        await self.way.wait()
        if writer.can_write_eof():
            writer.write_eof()


class Net:
    """Every proxy of a stack, by its name; what it draws comes from one seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.links: dict[str, Link] = {}

    def proxy(self, link: str, *addresses: str) -> str:
        """Put a proxy before the replicas and return its address."""
        count = sum(each.partition("#")[0] == link for each in self.links)
        name = f"{link}#{count + 1}" if count else link
        opened = Link(name, addresses, rng=random.Random(self._rng.random()))
        self.links[name] = opened
        return opened.address


@asynccontextmanager
async def net(seed: int) -> AsyncIterator[Net]:
    """Have proxies that end with the context."""
    proxies = Net(random.Random(f"net {seed}"))
    try:
        yield proxies
    finally:
        await asyncio.gather(*(each.close() for each in proxies.links.values()))


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    listener = socket.create_server((host, int(port)), backlog=512)
    listener.setblocking(False)
    return listener
