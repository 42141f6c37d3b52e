"""The one kind of connection that the stores use: asynchronous, rows as dictionaries."""

from typing import Any, TypeAlias

import psycopg

Connection: TypeAlias = "psycopg.AsyncConnection[dict[str, Any]]"
Row: TypeAlias = dict[str, Any]
