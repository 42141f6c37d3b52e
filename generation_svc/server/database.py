"""The database of the service: ours if none was named, with its schema up to date."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import sqlalchemy.exc
import structlog

from generation_svc.settings import GenerationSettings
from generation_svc.storage.database import PostgresDatabase, open_database
from generation_svc.storage.embedded.server import embedded_postgres
from generation_svc.storage.migrate import MigrationStopped, migrate
from generation_svc.storage.notifier import Notifier
from runtime.process import StartError
from runtime.redaction import redact

MAX_WAIT_SECONDS = 60.0
"""How long a start waits for a database that does not answer yet."""

_FINAL = ("authentication failed", "does not exist", "no pg_hba.conf entry")
"""What a server says whose address is right and whose other settings are not: of an answer to a
connection libpq gives the words alone, not the code."""
_UNTRIED = "connection is bad: invalid"
"""What libpq says before it tries, and then quotes what may be a password."""
_logger = structlog.get_logger(__name__)


@asynccontextmanager
async def migrated_database(
    settings: GenerationSettings, *, stop: asyncio.Event
) -> AsyncIterator[PostgresDatabase]:
    """Open the database once its schema is up to date, whoever migrates it. Raises StartError."""
    async with AsyncExitStack() as stack:
        if settings.database_url:
            url = settings.database_url.get_secret_value()
        else:
            folder = Path(settings.data_folder) / "postgres"
            url = await stack.enter_async_context(embedded_postgres(folder))
        redact(url)
        await _migrate(url, stop=stop)
        database = await stack.enter_async_context(
            open_database(url, notifier=Notifier(), max_connections=settings.database_pool_size)
        )
        yield database


async def _migrate(url: str, *, stop: asyncio.Event) -> None:
    deadline = asyncio.get_running_loop().time() + MAX_WAIT_SECONDS
    while True:
        try:
            return await _stoppable(url, stop=stop)
        except sqlalchemy.exc.OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            if _UNTRIED in reason:
                raise StartError(
                    "DATABASE_URL is wrong: libpq refuses one of its options."
                ) from error
            if any(words in reason for words in _FINAL):
                raise StartError(f"The database cannot be used: {reason}") from error
            _logger.warning("the database is unavailable", reason=reason)
            if asyncio.get_running_loop().time() > deadline:
                raise StartError(f"The database cannot be used: {reason}") from error
        except MigrationStopped as error:
            raise StartError(
                "The service was asked to stop before the schema was up to date."
            ) from error
        await asyncio.sleep(0.5)
        if stop.is_set():
            raise StartError("The service was asked to stop before the database answered.")


async def _stoppable(url: str, *, stop: asyncio.Event) -> None:
    """Migrate in a thread, which nothing but its own end stops, until a signal asks for that."""
    stopping = threading.Event()
    asked = asyncio.create_task(stop.wait(), name="stop of the migration")
    asked.add_done_callback(lambda _: stopping.set())
    try:
        await asyncio.to_thread(migrate, url, stopping=stopping)
    finally:
        asked.cancel()
