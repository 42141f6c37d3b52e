"""Brings the schema up to date at start, whichever replica comes first.

The lock is polled: a session that waits in `pg_advisory_lock` holds a snapshot, and a
`CREATE INDEX CONCURRENTLY` of the migrating one would wait for it for ever.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

LOCK_KEY = 0x41_54_45_4C
"""The advisory lock that all replicas agree on ("ATEL")."""
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


class MigrationTimeout(Exception):
    """Another process holds the migration lock for longer than is waited."""


def migrate(database_url: str, *, timeout_seconds: float = 120.0) -> None:
    """Apply every migration that is missing; blocking, so call it before the loop or in a thread.

    A database that is ahead of this release is left as it is: releases only ever expand the
    schema, so an older one runs on a newer one.
    """
    engine = sa.create_engine(sqlalchemy_url(database_url), poolclass=sa.NullPool)
    with engine.connect() as connection, _lock(connection, timeout_seconds=timeout_seconds):
        config = alembic_config()
        if not is_ahead(connection, config=config):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def alembic_config() -> Config:
    """Return Alembic's configuration, made here so that no working folder matters."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def sqlalchemy_url(database_url: str) -> str:
    """Return the address with the driver that SQLAlchemy is to use."""
    scheme, separator, rest = database_url.partition("://")
    return f"postgresql+psycopg{separator}{rest}" if scheme.startswith("postgres") else database_url


def is_ahead(connection: sa.Connection, *, config: Config) -> bool:
    """Return whether the database is at a revision that this release does not know."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return False
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    current = set(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars())
    connection.commit()
    return not current <= known


@contextmanager
def _lock(connection: sa.Connection, *, timeout_seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + timeout_seconds
    while not _try_lock(connection):
        if time.monotonic() > deadline:
            raise MigrationTimeout
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
