"""A real PostgreSQL for tests: one server per run, a database of its own for each test."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from generation_svc.storage.embedded.server import embedded_postgres
from generation_svc.storage.migrate import migrate

_TEMPLATE = "migrated"
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2**30


@dataclass(frozen=True)
class CrashablePostgres:
    """A server of its own, durable as in production, that starts again by itself."""

    url: str
    folder: Path

    def kill(self) -> None:
        """Kill the server, as a crash would: also those who would answer for a moment longer."""
        postmaster = self.postmaster_pid()
        listed = Path(f"/proc/{postmaster}/task/{postmaster}/children")
        children = listed.read_text().split() if listed.exists() else ()  # Linux has it
        for pid in (postmaster, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def postmaster_pid(self) -> int:
        return int((self.folder / "cluster/postmaster.pid").read_text().split()[0])


@pytest.fixture(scope="session")
def postgres_bin_folder() -> Path | None:
    """The PostgreSQL under test; None is the one of the wheel."""
    folder = os.environ.get("TEST_POSTGRES_BIN")
    return Path(folder) if folder else None


@pytest.fixture(scope="session")
def postgres_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where servers keep their data: in memory if it has room, for they make files by hundreds."""
    root = tmp_path_factory.mktemp("postgres")
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES:
        _remove_what_killed_runs_left()
        root = _MEMORY / f"atelier-test-{os.getpid()}"
        root.mkdir(mode=0o700)
    yield root
    shutil.rmtree(root)


@pytest.fixture
def postgres_folder(postgres_root: Path) -> Iterator[Path]:
    """A folder for a server of the test's own, not made yet."""
    folder = postgres_root / uuid4().hex
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def postgres_url(postgres_root: Path, postgres_bin_folder: Path | None) -> AsyncIterator[str]:
    """The server of this run."""
    folder = postgres_root / "run"
    async with embedded_postgres(folder, bin_folder=postgres_bin_folder, durable=False) as url:
        yield url


@pytest.fixture(scope="session")
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A connection that makes databases, the migrated template first."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        migrate(_with_database(postgres_url, _TEMPLATE))
        yield connection


@pytest.fixture
def database_url(postgres: psycopg.Connection, postgres_url: str) -> Iterator[str]:
    """A migrated database that no other test sees."""
    with migrated_database(postgres, postgres_url) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres: psycopg.Connection, postgres_url: str) -> Iterator[str]:
    """A database that has no schema yet."""
    with migrated_database(postgres, postgres_url, template="template1") as url:
        yield url


@contextmanager
def migrated_database(
    postgres: psycopg.Connection, postgres_url: str, *, template: str = _TEMPLATE
) -> Iterator[str]:
    """Make a migrated database, or one like another, and remove it at the end of the block."""
    name = f"test_{uuid4().hex}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    postgres.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
    try:
        yield _with_database(postgres_url, name)
    finally:
        postgres.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


@pytest.fixture
async def crashable_postgres(
    postgres_folder: Path, postgres_bin_folder: Path | None
) -> AsyncIterator[CrashablePostgres]:
    """A migrated database on a server that a test may kill."""
    async with embedded_postgres(postgres_folder, bin_folder=postgres_bin_folder) as url:
        await asyncio.to_thread(migrate, url)
        yield CrashablePostgres(url, postgres_folder)


def _remove_what_killed_runs_left() -> None:
    for left in _MEMORY.glob("atelier-test-*"):
        try:
            os.kill(int(left.name.rpartition("-")[2]), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except PermissionError:
            continue  # another user's run


def _with_database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()
