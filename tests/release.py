"""Releases before this one: a schema, the rows that one left, and their services as they were."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from alembic import command

from generation_svc.storage.migrate import alembic_config, engine_of
from tests.postgres import migrated_database

SCHEMA = "0001"
"""The revision that the first one knows."""
_TEMPLATE = "left_by_release"
_FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def left_template(postgres: psycopg.Connection, postgres_url: str) -> str:
    """A database as that release left it, to be copied."""
    postgres.execute(f"CREATE DATABASE {_TEMPLATE}".encode())
    url = urlsplit(postgres_url)._replace(path=f"/{_TEMPLATE}").geturl()
    make_schema(url)
    leave_rows(url)
    return _TEMPLATE


@pytest.fixture
def old_database_url(
    postgres: psycopg.Connection, postgres_url: str, left_template: str
) -> Iterator[str]:
    """A database as that release left it, for one test."""
    with migrated_database(postgres, postgres_url, template=left_template) as url:
        yield url


def make_schema(database_url: str, *, revision: str = SCHEMA) -> None:
    """Bring an empty database to the schema of a release."""
    with engine_of(database_url).connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def leave_rows(database_url: str) -> None:
    """Write the rows as if they had been left this moment."""
    with psycopg.connect(database_url) as connection:
        connection.execute((_FIXTURES / "release-0.1.0" / "rows.sql").read_bytes())
        (age,) = connection.execute("SELECT now() - max(update_time) FROM job").fetchone() or ()
        for table, column in connection.execute(_TIMES).fetchall():
            statement = f'UPDATE "{table}" SET "{column}" = "{column}" + %s'
            connection.execute(statement.encode(), (age,))


def unpack_code(folder: Path, *, release: str = "0.1.0") -> str:
    """Unpack the code of its service, and return the PYTHONPATH that leads to it."""
    with zipfile.ZipFile(_FIXTURES / f"release-{release}" / "code.zip") as archive:
        archive.extractall(folder)
    # Each asks for its own version; the first one goes by a name of its own.
    name = "atelier" if release == "0.1.0" else "atelier_generation_service"
    metadata = folder / f"{name}-{release}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n")
    return f"{folder}:{folder / 'generated'}"


def wait_until_blocked(database_url: str, *, times: int = 1) -> None:
    """Wait until a session stood in front of a table's lock, so many separate times."""
    deadline = time.monotonic() + 30
    was_waiting = False
    with psycopg.connect(database_url, autocommit=True) as watcher:
        while times:
            is_waiting = watcher.execute(_BLOCKED).fetchone() is not None
            times -= is_waiting and not was_waiting
            was_waiting = is_waiting
            assert time.monotonic() < deadline, "nobody waits for a lock"
            time.sleep(0.02)


_TIMES = (
    "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'"
)
_BLOCKED = (
    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
