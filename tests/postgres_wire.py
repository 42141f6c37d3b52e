"""A proxy to PostgreSQL that breaks as proxies do: cut, silent, or lost after a commit was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_COMMIT = b"COMMIT\0"


@dataclass
class Wire:
    """The proxy's state; what is changed here holds for open connections, too."""

    url: str = ""
    """The address that leads over it."""
    commits_to_lose: set[int] = field(default_factory=set)
    """The commits, counted from 1, that happen but whose answer is lost with their connection."""
    statement_to_lose: bytes = b""
    """A part of the statement whose transaction loses the answer of its commit, once."""
    commits: int = 0
    """How many were sent."""
    statements: int = 0
    """How many statements were sent, BEGIN and COMMIT not counted."""
    turns: int = 0
    """How often somebody sent something after an answer: those that were waited for."""
    _was_answered: bool = True
    _goes: asyncio.Event = field(default_factory=asyncio.Event)
    _is_down: bool = False
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Break all connections off, and refuse new ones until it is mended."""
        self._is_down = True
        self._goes.set()
        for writer in self._writers:
            writer.close()

    def stall(self) -> None:
        """Keep everything on its way until it is mended; connections stay."""
        self._goes.clear()

    def mend(self) -> None:
        """Let everything through again."""
        self._is_down = False
        self._goes.set()

    async def carry(self, client: _End, *, host: str, port: int) -> None:
        """Connect one client to the server until one of them is gone."""
        if self._is_down:
            client.writer.close()
            return
        server = _End(*await asyncio.open_connection(host, port))
        writers = {client.writer, server.writer}
        self._writers |= writers
        lost = asyncio.Event()
        ways = [
            asyncio.create_task(self._ask(client, server, lost=lost)),
            asyncio.create_task(self._answer(server, client, lost=lost)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        self._writers -= writers
        for writer in writers:
            writer.close()

    async def _ask(self, client: _End, server: _End, *, lost: asyncio.Event) -> None:
        is_doomed = False
        while data := await client.reader.read(65536):
            await self._goes.wait()
            if self.statement_to_lose and self.statement_to_lose in data:
                is_doomed, self.statement_to_lose = True, b""
            if data.endswith(_COMMIT):
                self.commits += 1
                if is_doomed or self.commits in self.commits_to_lose:
                    self.commits_to_lose.discard(self.commits)
                    lost.set()
            self._count(data)
            server.writer.write(data)

    async def _answer(self, server: _End, client: _End, *, lost: asyncio.Event) -> None:
        while data := await server.reader.read(65536):
            await self._goes.wait()
            if lost.is_set():
                return
            self._was_answered = True
            client.writer.write(data)

    def _count(self, data: bytes) -> None:
        self.turns += self._was_answered
        self._was_answered = False
        self.statements += sum(map(_is_statement, _messages(data)))


def _messages(data: bytes) -> Iterator[bytes]:
    """Split what a client sent at once; the greeting, which has no type, is left out."""
    while len(data) > 4 and data[0]:
        length = 1 + int.from_bytes(data[1:5], "big")
        yield data[:length]
        data = data[length:]


def _is_statement(message: bytes) -> bool:
    """Tell a bound statement, or a plain one that neither begins nor ends a transaction."""
    is_plain = message.startswith(b"Q") and not message[5:].startswith((b"BEGIN", b"COMMIT"))
    return is_plain or message.startswith(b"B")


@dataclass(frozen=True)
class _End:
    """One end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@asynccontextmanager
async def wire_to(url: str) -> AsyncIterator[Wire]:
    """Open a proxy to the server at this address."""
    parts = urlsplit(url)
    wire = Wire()
    wire.mend()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            end = _End(reader, writer)
            await wire.carry(end, host=parts.hostname or "", port=parts.port or 5432)

    async with await asyncio.start_server(take, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        wire.url = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}").geturl()
        yield wire
        wire.cut()
