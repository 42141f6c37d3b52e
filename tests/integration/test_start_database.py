"""A start waits for a database that may answer later, and says in one line why it gives up."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from generation_svc.storage.database import PostgresDatabase
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
