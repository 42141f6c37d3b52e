"""Limits connections, watches whether their clients are still there, and ends them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from types import TracebackType
from typing import Any, Protocol, Self

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

ABORT = "atelier.abort"
"""The extension of the scope that ends the connection `now`, unsent bytes and all."""

LINGER_S = 5.0
"""How long the rest of a request is still read, and thrown away, after it was answered."""


class Connection(Protocol):
    """One connection."""

    @property
    def is_waiting(self) -> bool:
        """Whether no whole request of it is being answered."""

    def leave(self) -> None:
        """Close to make room for another connection."""

    def shed(self) -> None:
        """Answer whatever comes next at once, since there is no room."""


@dataclass(frozen=True, slots=True)
class AddressLimit:
    """How many connections one address may have, unless it is a proxy's."""

    connections: int
    """0 stands for any number."""
    exempt: tuple[IPv4Network | IPv6Network, ...] = ()
    """The networks of our own proxies, whose connections come from many clients."""

    def counted(self, host: str) -> str | None:
        """Return what an address is counted as; None for one that is not.

        An IPv6 client is given 2^64 addresses, so those are one.
        """
        address = _plain(host)
        if not self.connections or address is None:
            return None
        if any(address in network for network in self.exempt):
            return None
        is_long = isinstance(address, IPv6Address)
        return str(ip_network((address, 64), strict=False)) if is_long else str(address)


class ConnectionLimiter:
    """Makes room for a new connection by closing the oldest one that waits for a request.

    So a thousand silent connections keep nobody out. Where all of them are being answered, the new
    one gets its answer unheard. There is never more than one such connection beyond the limit of a
    counted address, and one beyond the limit of all.
    """

    def __init__(self, limit: int, *, per_address: AddressLimit | None = None) -> None:
        self._limit = limit
        self._per_address = per_address or AddressLimit(0)
        self._open: dict[Connection, str | None] = {}
        self._of_address: defaultdict[str, dict[Connection, None]] = defaultdict(dict)

    def enter(self, arrival: Connection, *, host: str = "") -> None:
        """Count a connection in."""
        address = self._per_address.counted(host)
        if address is not None:
            self._make_room(self._of_address[address], self._per_address.connections, arrival)
            self._of_address[address][arrival] = None
        self._make_room(self._open, self._limit, arrival)
        self._open[arrival] = address

    def exit(self, connection: Connection) -> None:
        """Count a connection out, once or twice."""
        address = self._open.pop(connection, None)
        if address is not None:
            self._of_address[address].pop(connection, None)
            if not self._of_address[address]:
                del self._of_address[address]

    def _make_room(
        self, open_connections: Iterable[Connection], limit: int, arrival: Connection
    ) -> None:
        others = list(open_connections)
        if len(others) < limit:
            return
        # A dict keeps the order of arrival, so this is the one that has been connected longest.
        waiting = next((connection for connection in others if connection.is_waiting), None)
        if waiting:
            # Counted out at once: `connection_lost` comes only in a later turn of the loop.
            self.exit(waiting)
            waiting.leave()
        else:
            arrival.shed()


class Lingering:
    """A transport whose close lets the client read its answer while the rest of it is dropped."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Send the end, and keep reading for a while: unread bytes would cause a reset."""
        if not self._transport.is_closing():
            self._transport.write_eof()
            self._loop.call_later(LINGER_S, self._transport.abort)


class Cut(Exception):
    """The answer cannot be finished: the client is `disconnected`, or the body is `broken`."""


class Exchange:
    """Sends an answer within bounds; opened, it watches whether the client is still there."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.has_begun = False
        self._receive, self._send = receive, send

    async def __aenter__(self) -> Self:
        """Start watching the client."""
        self._gone = asyncio.create_task(self._until_gone(), name="client of a download")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching."""
        self._gone.cancel()
        # Awaited, so that nothing still reads from the connection when the next request begins.
        await asyncio.gather(self._gone, return_exceptions=True)

    async def answer(self, response: Response) -> None:
        """Send a short answer."""
        await response(self.scope, self._receive, self._send)

    async def stream(
        self,
        pieces: AsyncIterator[bytes],
        *,
        headers: Mapping[str, str],
        size: int,
        status: int = 200,
    ) -> None:
        """Send a body of exactly this many bytes. Raises Cut."""
        start = _start(headers, status=status)
        left = size
        async for piece in pieces:
            left -= len(piece)
            if left < 0:
                break
            await self._begin(start)
            await self._write({"type": "http.response.body", "body": piece, "more_body": True})
        if left:
            raise Cut("broken")
        await self._begin(start)
        await self._write({"type": "http.response.body"})

    async def abort(self) -> None:
        """End the connection, so that the client sees that something is missing."""
        # The status has been sent, so the only way left to report a failure is a broken connection.
        self.scope["extensions"][ABORT]["now"]()
        await self._gone

    async def _begin(self, start: Message) -> None:
        """Start the answer with the first piece: an error before it still has a status."""
        if not self.has_begun:
            self.has_begun = True
            await self._write(start)

    async def _write(self, message: Message) -> None:
        if self._gone.done():
            raise Cut("disconnected")
        await self._send(message)

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _start(headers: Mapping[str, str], *, status: int) -> Message:
    raw = [(name.encode(), text.encode()) for name, text in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}


def _plain(host: str) -> IPv4Address | IPv6Address | None:
    """Return an address without the form that an IPv6 socket gives to IPv4."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:  # a Unix socket
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
