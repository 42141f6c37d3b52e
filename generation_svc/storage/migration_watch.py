"""Says what a migration waits for, and ends its wait when the process is to stop.

A backup holds a snapshot, and a lock on every table, for as long as it runs. An index that is built
concurrently waits for it at its end, a change of a table at its beginning. Neither is in anybody's
way meanwhile, so the start waits, and whoever looks at the log sees for whom.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, LiteralString

import psycopg
import structlog
from psycopg.rows import dict_row

from generation_svc.storage.connection import NETWORK

LOCK_KEY = 0x41_54_45_4C
"""The advisory lock that all replicas agree on ("ATEL")."""
LOOK_SECONDS = 0.5
FIRST_SECONDS = 2.0
"""How long a migration waits before that is worth a line."""
AGAIN_SECONDS = 30.0
"""After what time it is said again."""

_logger = structlog.get_logger(__name__)


class MigrationWatch:
    """Looks, from a connection and a thread of its own, at the session that migrates."""

    def __init__(self, database_url: str, *, pid: int, stopping: threading.Event) -> None:
        self._url, self._pid, self._stopping = database_url, pid, stopping
        self._is_over = threading.Event()
        self._said_at = time.monotonic() + FIRST_SECONDS - AGAIN_SECONDS

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the block runs."""
        thread = threading.Thread(target=self._watch, name="migration watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._is_over.is_set():
            with suppress(psycopg.Error), self._connection() as connection:
                while not self._is_over.wait(LOOK_SECONDS):
                    self._look(connection)
            self._is_over.wait(LOOK_SECONDS)

    def _connection(self) -> "psycopg.Connection[dict[str, Any]]":
        return psycopg.connect(self._url, autocommit=True, row_factory=dict_row, **NETWORK)

    def _look(self, connection: "psycopg.Connection[dict[str, Any]]") -> None:
        if self._stopping.is_set():
            connection.execute("SELECT pg_cancel_backend(%s)", (self._pid,))
        elif time.monotonic() >= self._said_at + AGAIN_SECONDS:
            found = connection.execute(_IN_THE_WAY, {"pid": self._pid, "key": LOCK_KEY}).fetchall()
            if found:
                self._said_at = time.monotonic()
                _logger.warning(
                    "the migration is waiting", blocked_by="; ".join(_said(each) for each in found)
                )


def in_the_way(connection: psycopg.Connection[Any]) -> str:
    """Say whose transactions are open for so long that they can be what is in the way."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_OPEN_FOR_LONG).fetchall()
    return "; ".join(_said(each) for each in found) or "none any more"


def _said(session: dict[str, Any]) -> str:
    if not session["pid"]:
        return "a prepared transaction (pg_prepared_xacts)"
    since = f"{session['since']:%Y-%m-%d %H:%M:%S} UTC" if session["since"] else "an unknown time"
    name = f"pid {session['pid']} ({session['name'] or 'no name'})"
    return f"{name}, {session['state'] or 'at work'} since {since}, {session['kind']}"


_SESSION: LiteralString = (
    " activity.pid, activity.application_name AS name, activity.state,"
    " activity.xact_start AT TIME ZONE 'UTC' AS since,"
    " coalesce(upper(substring(activity.query FROM '^\\s*([A-Za-z]+)')), 'no query') AS kind"
)
_IN_THE_WAY: LiteralString = (
    "WITH blocker AS (SELECT DISTINCT unnest(pg_blocking_pids(%(pid)s)) AS pid UNION"
    " SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0"
    " AND objid = %(key)s AND pid <> %(pid)s AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database()))"
    f" SELECT blocker.pid, {_SESSION.replace('activity.pid,', '')}"
    " FROM blocker LEFT JOIN pg_stat_activity AS activity USING (pid) ORDER BY since"
)
_OPEN_FOR_LONG: LiteralString = (
    f"SELECT {_SESSION} FROM pg_stat_activity AS activity WHERE datname = current_database()"
    " AND xact_start < now() - interval '1 s' AND activity.pid <> pg_backend_pid()"
    " ORDER BY xact_start"
)
