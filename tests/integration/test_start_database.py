"""A start waits for a database that may answer later, and says in one line why it gives up."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from structlog.testing import capture_logs

from generation_svc.storage.database import PostgresDatabase
from generation_svc.storage.migrate import alembic_config
from generation_svc.storage.schema_state import is_up_to_date, known_revisions
from generation_svc.storage.start import started_database
from runtime.process import StartError
from tests.e2e.program import until

NOBODY = "postgresql://atelier:secret@127.0.0.1:9/atelier"
"""An address at which nobody listens."""


async def start(url: str, *, stop: asyncio.Event) -> PostgresDatabase:
    opened = started_database(SecretStr(url), folder=Path(), max_connections=2, stop=stop)
    async with opened as database:
        return database


async def test_the_schema_is_up_to_date(database_url: str) -> None:
    opened = started_database(
        SecretStr(database_url), folder=Path(), max_connections=2, stop=asyncio.Event()
    )
    async with opened as database, database.transaction() as tx:
        assert not (await tx.queue.read()).lengths


async def test_the_schema_of_an_empty_database_is_made(empty_database_url: str) -> None:
    await start(empty_database_url, stop=asyncio.Event())

    with psycopg.connect(empty_database_url) as connection:
        assert is_up_to_date(connection)


async def test_a_schema_that_is_newer_is_left_alone(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

        await start(database_url, stop=asyncio.Event())

        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


@pytest.mark.parametrize("revision", [None, *known_revisions()])
def test_every_revision_but_the_newest_lacks_something(
    database_url: str, revision: str | None
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM alembic_version")
        if revision:
            connection.execute("INSERT INTO alembic_version VALUES (%s)", (revision,))
        connection.commit()

        assert is_up_to_date(connection) == (revision == known_revisions()[-1])


def test_the_revisions_are_those_that_alembic_knows() -> None:
    newest_first = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    assert known_revisions() == tuple(reversed([each.revision for each in newest_first]))


async def test_a_database_that_does_not_answer_is_asked_again_until_it_shall_stop() -> None:
    stop = asyncio.Event()

    async def stop_after_two_tries(logs: Sequence[Mapping[str, Any]]) -> None:
        async def has_tried_twice() -> bool:
            return len(logs) >= 2

        await until(has_tried_twice, within_s=20, what="a second try")
        stop.set()

    with capture_logs() as logs:
        stopping = asyncio.create_task(stop_after_two_tries(logs))
        with pytest.raises(StartError, match="before the database answered"):
            await start(NOBODY, stop=stop)
        await stopping
    assert {each["event"] for each in logs} == {"the database is unavailable"}
    assert "secret" not in str(logs)


async def test_a_database_that_is_not_there_is_not_waited_for(database_url: str) -> None:
    url = urlsplit(database_url)._replace(path="/nothing").geturl()
    words = re.escape("The database cannot be used: ") + '.*"nothing" does not exist'
    with pytest.raises(StartError, match=words):
        await start(url, stop=asyncio.Event())
