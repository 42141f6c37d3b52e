"""A stack for each module, on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.e2e.secret import leaks_of
from tests.e2e.stack import Shape, Stack, stack


@pytest.fixture(scope="module")
def empty_database_url(postgres: psycopg.Connection, postgres_url: str) -> Iterator[str]:
    """A database in which the service has everything to do by itself."""
    name = f"e2e_{uuid4().hex}"
    postgres.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    postgres.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
async def running(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    empty_database_url: str,
) -> AsyncIterator[Stack]:
    """The stack of the module, in the SHAPE that the module names; it must keep its secrets."""
    shape: Shape = getattr(request.module, "SHAPE", Shape())
    folder = Path(tmp_path_factory.mktemp("stack"))
    async with stack(folder, database_url=empty_database_url, shape=shape) as started:
        yield started
        assert await leaks_of(started) == []
