"""Says whether a database has the schema of this release, without what changes a schema.

Alembic and SQLAlchemy take longer to import than the whole rest of the service, and nearly every
start finds a schema that is up to date. So they are imported, with `migrate`, when it is not.
"""

from functools import cache
from typing import Any

import psycopg
from psycopg import errors

from generation_svc.resource import resource_folder

MIGRATIONS = resource_folder("migrations")


class MigrationTimeout(Exception):
    """The schema could not be brought up to date in time, and the text says what is in the way."""


class MigrationStopped(Exception):
    """The migration was asked to stop before it had what it waited for."""


@cache
def known_revisions() -> tuple[str, ...]:
    """Return the revisions of this release, oldest first, from the names of their files."""
    files = (MIGRATIONS / "versions").glob("[0-9]*_*.py")
    return tuple(sorted(file.name.partition("_")[0] for file in files))


def is_up_to_date(connection: psycopg.Connection[Any]) -> bool:
    """Return whether no migration of this release is missing.

    None is missing from a database that is ahead of it: releases only ever expand the schema, so an
    older one runs on a newer one.
    """
    try:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except errors.UndefinedTable:
        rows = []
    finally:
        connection.rollback()
    known = known_revisions()
    return any(revision == known[-1] or revision not in known for (revision,) in rows)
