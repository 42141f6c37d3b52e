"""Brings the schema up to date at start, whichever replica comes first.

The lock of the replicas is polled: a session that waits in `pg_advisory_lock` holds a snapshot, and
a `CREATE INDEX CONCURRENTLY` of the migrating one would wait for it for ever.

The locks on tables are given up after a second (`lock_timeout`) and tried for again after a pause,
so that a table that is in use stops the migration, not the service. What takes no lock that others
wait behind, such as building an index concurrently, waits in one piece: given up, it would begin
anew. Either goes on for as long as it takes, a backup of hours too, and `MigrationWatch` says so.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from generation_svc.storage.connection import NETWORK
from generation_svc.storage.migration_watch import LOCK_KEY, MigrationWatch, in_the_way
from generation_svc.storage.schema_state import (
    MIGRATIONS,
    MigrationStopped,
    MigrationTimeout,
    is_up_to_date,
)
from runtime.wait import Deadline

PAUSE_SECONDS = 1.0
"""How long the service goes on undisturbed before a migration tries again for a table's lock."""

_HARMLESS = ("CONCURRENTLY", "VALIDATE CONSTRAINT")
"""What waits for others, and lets them read and write meanwhile."""


_NOTICE_DEATH = (
    "DO $$ BEGIN SET client_connection_check_interval = '5s';"
    " EXCEPTION WHEN OTHERS THEN NULL; END $$"  # not every system can
)


def migrate(
    database_url: str,
    *,
    timeout_seconds: float = float("inf"),
    stopping: threading.Event | None = None,
) -> None:
    """Apply every migration that is missing; blocking, so call it before the loop or in a thread.

    A database that is ahead of this release is left as it is. Raises psycopg.OperationalError,
    MigrationTimeout, and MigrationStopped soon after `stopping` was set.
    """
    stopping = stopping or threading.Event()
    deadline = Deadline(timeout_seconds, clock=time.monotonic)
    with _errors_of_the_driver(), engine_of(database_url).connect() as connection:
        watch = MigrationWatch(database_url, pid=_prepared(connection), stopping=stopping)
        with watch.watching(), _lock(connection, deadline=deadline, stopping=stopping):
            if not is_up_to_date(_driver(connection)):
                _upgrade(connection, deadline=deadline, stopping=stopping)


@contextmanager
def _errors_of_the_driver() -> Iterator[None]:
    """Let nobody outside meet SQLAlchemy, which a start mostly does without."""
    try:
        yield
    except sa.exc.OperationalError as error:
        raise error.orig or error from None


def _prepared(connection: sa.Connection) -> int:
    """Make the session wait as a migration may; return its pid."""
    sa.event.listen(connection, "before_cursor_execute", _limit_wait)
    connection.execute(sa.text("SET application_name = 'atelier migration'"))
    connection.execute(sa.text("SET statement_timeout = 0"))
    # So that the session of a process that was killed does not wait on, lock in hand.
    connection.execute(sa.text(_NOTICE_DEATH))
    pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    connection.commit()
    return int(pid)


def _limit_wait(_: sa.Connection, cursor: Any, statement: str, *__: Any) -> None:
    """Let a statement wait for locks as long as nobody waits behind it."""
    is_harmless = any(words in statement.upper() for words in _HARMLESS)
    cursor.execute("SET lock_timeout = 0" if is_harmless else "SET lock_timeout = '1s'")


def engine_of(database_url: str) -> sa.Engine:
    """Return an engine that connects as the service does, to the host that can be written to."""
    return sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(database_url, **NETWORK),
        poolclass=sa.NullPool,
    )


def alembic_config() -> Config:
    """Return Alembic's configuration, made here so that no working folder matters."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _upgrade(connection: sa.Connection, *, deadline: Deadline, stopping: threading.Event) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    while True:
        try:
            return command.upgrade(config, "head")
        except sa.exc.OperationalError as error:
            connection.rollback()
            if stopping.is_set():
                raise MigrationStopped from error
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            if deadline.is_over:
                raise MigrationTimeout(_table_is_kept(connection)) from error
        stopping.wait(PAUSE_SECONDS)


def _table_is_kept(connection: sa.Connection) -> str:
    who = in_the_way(_driver(connection))
    connection.rollback()
    return f"A table that the migration changes stays locked; long-running transactions: {who}."


def _driver(connection: sa.Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


@contextmanager
def _lock(
    connection: sa.Connection, *, deadline: Deadline, stopping: threading.Event
) -> Iterator[None]:
    while not _try_lock(connection):
        if stopping.is_set():
            raise MigrationStopped
        if deadline.is_over:
            raise MigrationTimeout("Another process holds the migration lock.")
        time.sleep(0.1)
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
        connection.commit()


def _try_lock(connection: sa.Connection) -> bool:
    query = sa.text("SELECT pg_try_advisory_lock(:key)")
    # An attempt's transaction ends at once: its snapshot would hold up the index that is being
    # built.
    is_locked = bool(connection.execute(query, {"key": LOCK_KEY}).scalar())
    connection.commit()
    return is_locked
