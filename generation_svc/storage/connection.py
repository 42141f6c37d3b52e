"""The one kind of connection that the stores use: asynchronous, rows as dictionaries."""

from typing import Any, TypeAlias

import psycopg

Connection: TypeAlias = "psycopg.AsyncConnection[dict[str, Any]]"
Row: TypeAlias = dict[str, Any]

NETWORK: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""What finds out that the server is gone without a word: within half a minute."""
