"""How many connections are open at once, and which one goes when there are too many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Protocol


class Connection(Protocol):
    """One connection."""

    @property
    def is_waiting(self) -> bool:
        """Whether no whole request of it is being answered."""

    def leave(self) -> None:
        """End: somebody else needs the place."""

    def shed(self) -> None:
        """Answer whatever comes next at once, for there is no place."""


@dataclass(frozen=True, slots=True)
class AddressLimit:
    """How many connections come from one address, where that says anything about who it is."""

    connections: int
    """0 stands for any number."""
    exempt: tuple[IPv4Network | IPv6Network, ...] = ()
    """Where proxies of ours are: what comes from them comes from everybody."""

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
    """Makes room for an arrival at the cost of who has been silent longest.

    So that a thousand connections that say nothing keep nobody out. Where all of them are at work,
    the arrival is answered without being heard. Of those there is never more than one of an
    address that is counted, and one beyond the limit of all.
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
        waiting = next((connection for connection in others if connection.is_waiting), None)
        if waiting:
            self.exit(waiting)
            waiting.leave()
        else:
            arrival.shed()


def _plain(host: str) -> IPv4Address | IPv6Address | None:
    """Return an address without the form that an IPv6 socket gives to IPv4."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:  # a Unix socket
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
