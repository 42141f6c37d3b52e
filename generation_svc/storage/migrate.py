"""Brings the schema up to date at start, whichever replica comes first.

The lock of the replicas is polled: a session that waits in `pg_advisory_lock` holds a snapshot, and
a `CREATE INDEX CONCURRENTLY` of the migrating one would wait for it for ever.

The locks on tables are given up after a second (`lock_timeout`, set in `migrations/env.py`) and
tried for again after a pause, so that a table that is in use stops the migration, not the service.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from generation_svc.storage.connection import NETWORK

LOCK_KEY = 0x41_54_45_4C
"""The advisory lock that all replicas agree on ("ATEL")."""
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
PAUSE_SECONDS = 1.0
"""How long the service goes on undisturbed before a migration tries again for a table's lock."""


class MigrationTimeout(Exception):
    """The schema could not be brought up to date in time, and the text says what is in the way."""


def migrate(database_url: str, *, timeout_seconds: float = 120.0) -> None:
    """Apply every migration that is missing; blocking, so call it before the loop or in a thread.

    A database that is ahead of this release is left as it is: releases only ever expand the
    schema, so an older one runs on a newer one. Raises MigrationTimeout.
    """
    deadline = time.monotonic() + timeout_seconds
    with engine_of(database_url).connect() as connection, _lock(connection, deadline=deadline):
        config = alembic_config()
        if not is_ahead(connection, config=config):
            config.attributes["connection"] = connection
            _upgrade(config, connection, deadline=deadline)


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


def _upgrade(config: Config, connection: sa.Connection, *, deadline: float) -> None:
    while True:
        try:
            return command.upgrade(config, "head")
        except sa.exc.OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            connection.rollback()
            if time.monotonic() > deadline:
                raise MigrationTimeout(_table_is_kept(connection)) from error
        time.sleep(PAUSE_SECONDS)


def _table_is_kept(connection: sa.Connection) -> str:
    """Say whose transactions are open for so long that they can be what is in the way."""
    query = sa.text(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND xact_start < now() - interval '1 s' AND pid <> pg_backend_pid() ORDER BY xact_start"
    )
    pids = ", ".join(str(pid) for pid in connection.execute(query).scalars())
    return f"A table that the migration changes stays locked; transactions open for long: {pids}."


@contextmanager
def _lock(connection: sa.Connection, *, deadline: float) -> Iterator[None]:
    while not _try_lock(connection):
        if time.monotonic() > deadline:
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
    is_locked = bool(connection.execute(query, {"key": LOCK_KEY}).scalar())
    connection.commit()
    return is_locked
