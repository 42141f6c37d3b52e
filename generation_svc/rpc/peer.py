"""Finds the address of a call's peer, and closes its connection.

gRPC for Python has no call that closes one connection of a server, so its socket is looked up among
the open files of the process. Where there is no /proc the connection's greatest age ends it.
"""

import asyncio
import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

OPEN_FILES = Path("/proc/self/fd")
FILES_AT_ONCE = 200
"""How many open files are looked at before other work gets its turn."""
PeerAddress: TypeAlias = tuple[str, int]
"""An IP address in its plain form, and a port."""


def peer_address(peer: str) -> PeerAddress | None:
    """Return the address in gRPC's name of a peer, such as `ipv4:10.0.0.7:4711`."""
    scheme, _, rest = unquote(peer).partition(":")
    host, _, port = rest.rpartition(":")
    if scheme not in ("ipv4", "ipv6") or not port.isdecimal():
        return None
    return _plain(host.strip("[]")), int(port)


async def close_connections(peers: Collection[PeerAddress], *, ports: Collection[int]) -> int:
    """Shut down the connections of these peers to our ports, and return how many there were.

    Raises OSError if the process cannot open the file or two that this takes.
    """
    closed = 0
    for count, number in enumerate(_open_files()):
        closed += _shut(number, peers, ports=ports)
        if count % FILES_AT_ONCE == 0:
            await asyncio.sleep(0)
    return closed


def _open_files() -> list[int]:
    return [int(path.name) for path in OPEN_FILES.iterdir()] if OPEN_FILES.is_dir() else []


def _shut(number: int, peers: Collection[PeerAddress], *, ports: Collection[int]) -> bool:
    """Shut a socket down if it is one of these connections.

    All is done on a copy: the number itself may be given to another file at any time.
    """
    copy = _copy(number)
    if copy is None:
        return False
    with copy, suppress(OSError):
        if copy.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        # Raises for a socket that listens or is closed; it is passed over.
        host, port = copy.getpeername()[:2]
        if (_plain(host), port) in peers and copy.getsockname()[1] in ports:
            copy.shutdown(socket.SHUT_RDWR)
            return True
    return False


def _copy(number: int) -> socket.socket | None:
    """Return a copy of a socket; None if the file is none, or was closed since it was listed."""
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return None
        copied = os.dup(number)
    except OSError as error:
        if error.errno == errno.EBADF:
            return None
        raise
    try:
        return socket.socket(fileno=copied)
    except OSError:  # another file has got the number meanwhile
        os.close(copied)
        return None


def _plain(host: str) -> str:
    """Return an address without the form that an IPv6 socket gives to IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
