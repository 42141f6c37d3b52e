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
from alembic.script import ScriptDirectory

from generation_svc.resource import resource_folder
from generation_svc.storage.connection import NETWORK
from generation_svc.storage.migration_watch import LOCK_KEY, MigrationWatch, in_the_way
from runtime.wait import Deadline

MIGRATIONS = resource_folder("migrations")
PAUSE_SECONDS = 1.0
"""How long the service goes on undisturbed before a migration tries again for a table's lock."""

_HARMLESS = ("CONCURRENTLY", "VALIDATE CONSTRAINT")
"""What waits for others, and lets them read and write meanwhile."""


_NOTICE_DEATH = (
    "DO $$ BEGIN SET client_connection_check_interval = '5s';"
    " EXCEPTION WHEN OTHERS THEN NULL; END $$"  # not every system can
)


class MigrationTimeout(Exception):
    """The schema could not be brought up to date in time, and the text says what is in the way."""


class MigrationStopped(Exception):
    """The migration was asked to stop before it had what it waited for."""


def migrate(
    database_url: str,
    *,
    timeout_seconds: float = float("inf"),
    stopping: threading.Event | None = None,
) -> None:
    """Apply every migration that is missing; blocking, so call it before the loop or in a thread.

    A database that is ahead of this release is left as it is: releases only ever expand the
    schema, so an older one runs on a newer one. Raises MigrationTimeout, and MigrationStopped soon
    after `stopping` was set.
    """
    stopping = stopping or threading.Event()
    deadline = Deadline(timeout_seconds, clock=time.monotonic)
    with engine_of(database_url).connect() as connection:
        watch = MigrationWatch(database_url, pid=_prepared(connection), stopping=stopping)
        with watch.watching(), _lock(connection, deadline=deadline, stopping=stopping):
            config = alembic_config()
            if not is_ahead(connection, config=config):
                config.attributes["connection"] = connection
                _upgrade(config, connection, deadline=deadline, stopping=stopping)


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


def is_ahead(connection: sa.Connection, *, config: Config) -> bool:
    """Return whether the database is at a revision that this release does not know."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return False
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    current = set(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars())
    connection.commit()
    return not current <= known


def _upgrade(
    config: Config, connection: sa.Connection, *, deadline: Deadline, stopping: threading.Event
) -> None:
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
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    who = in_the_way(driver)
    connection.rollback()
    return f"A table that the migration changes stays locked; long-running transactions: {who}."


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
