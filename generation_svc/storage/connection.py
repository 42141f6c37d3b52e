"""The one kind of connection that the stores use: asynchronous, rows as dictionaries."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from generation_svc.storage.clock import DatabaseClock

Connection: TypeAlias = "psycopg.AsyncConnection[dict[str, Any]]"
Row: TypeAlias = dict[str, Any]

NETWORK: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    # Of several hosts the one that can be written to; after a failover that is another one.
    "target_session_attrs": "read-write",
}
"""What finds out that the server is gone without a word: within half a minute."""

_SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

CHECK_SECONDS = 2.0
"""How long a connection may take to say that it lives, before another one is tried."""


def check_database_url(url: str) -> None:
    """Raise ValueError for what no server can be reached by; it quotes nothing of the URL.

    libpq itself finds some of it only when it connects, and says so with the words of the URL.
    """
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        parts = {}
    if not parts or not _has_ports(str(parts.get("port") or "")):
        raise ValueError("it must look like postgresql://user:password@host:5432/name")
    if parts.get("sslmode") not in (None, *_SSL_MODES):
        raise ValueError(f"its sslmode must be one of {', '.join(sorted(_SSL_MODES))}")


def _has_ports(text: str) -> bool:
    ports = text.split(",")
    return all(not port or (port.isdecimal() and 0 < int(port) <= 65535) for port in ports)


async def check(connection: psycopg.AsyncConnection[Any]) -> None:
    """Raise OperationalError if the connection is lost, or its server cannot be written to."""
    with bounded(connection, seconds=CHECK_SECONDS):
        await AsyncConnectionPool.check_connection(connection)
    check_writable(connection)


def check_writable(connection: psycopg.AsyncConnection[Any]) -> None:
    """Raise OperationalError if the server said with its last answer that it is read-only.

    It reports both settings by itself, with whatever it answers.
    """
    for setting in ("in_hot_standby", "default_transaction_read_only"):
        if connection.info.parameter_status(setting) == "on":
            raise psycopg.OperationalError("The server is read-only.")


async def read_clock(clock: DatabaseClock, connection: psycopg.AsyncConnection[Any]) -> None:
    """Ask for the time, before a transaction and not within one."""
    asked_at = time.monotonic()
    # Otherwise the SELECT would begin a transaction, and nobody would end it.
    await connection.set_autocommit(True)
    try:
        cursor = await connection.execute("SELECT clock_timestamp() AS told")
        row: Any = await cursor.fetchone()
    finally:
        await connection.set_autocommit(False)
    clock.read(row["told"], asked_at=asked_at)


@contextmanager
def bounded(connection: psycopg.AsyncConnection[Any], *, seconds: float) -> Iterator[None]:
    """Break the connection off if the block takes longer: whoever waits for it gets its error.

    A server that is stopped, or a proxy that stalls, keeps a connection alive and never answers;
    then no timeout of the server's own helps, nor does one of the network.
    """
    timer = asyncio.get_running_loop().call_later(seconds, _break_off, connection)
    try:
        yield
    finally:
        timer.cancel()


def _break_off(connection: psycopg.AsyncConnection[Any]) -> None:
    # On a copy of the descriptor, which is ours to close; the shutdown reaches the socket itself,
    # so libpq, which waits for it, gets an end of file.
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as raw:
        raw.shutdown(socket.SHUT_RDWR)
