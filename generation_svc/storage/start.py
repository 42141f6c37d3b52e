"""Opens the database at start: waits for it, and brings its schema up to date."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import psycopg
import structlog
from pydantic import SecretStr

from generation_svc.storage.connection import NETWORK
from generation_svc.storage.database import PostgresDatabase, open_database
from generation_svc.storage.embedded.server import embedded_postgres
from generation_svc.storage.notifier import Notifier
from generation_svc.storage.schema_state import MigrationStopped, is_up_to_date
from runtime.process import StartError
from runtime.redaction import redact
from runtime.retry import retry
from runtime.wait import Deadline

DATABASE_MAX_WAIT_SECONDS = 60.0
"""How long a start waits for a database that does not answer yet."""
RETRY_SECONDS = 0.5

_FINAL = ("authentication failed", "does not exist", "no pg_hba.conf entry")
"""What a server says whose address is right and whose other settings are not: of an answer to a
connection libpq gives the words alone, not the code."""
_UNTRIED = "connection is bad: invalid"
"""What libpq says before it tries, and then quotes what may be a password."""
_logger = structlog.get_logger(__name__)


@asynccontextmanager
async def started_database(
    database_url: SecretStr | None, *, folder: Path, max_connections: int, stop: asyncio.Event
) -> AsyncIterator[PostgresDatabase]:
    """Open the database, or our own in the folder, with its schema up to date.

    Raises StartError, also when `stop` is set before that.
    """
    async with AsyncExitStack() as stack:
        if database_url:
            url = database_url.get_secret_value()
        else:
            url = await stack.enter_async_context(embedded_postgres(folder))
        redact(url)
        await _migrate(url, stop=stop)
        database = await stack.enter_async_context(
            open_database(url, notifier=Notifier(), max_connections=max_connections)
        )
        yield database


async def _migrate(url: str, *, stop: asyncio.Event) -> None:
    """Bring the schema up to date, waiting for a database that does not answer yet."""
    try:
        await retry(
            partial(_stoppable, url, stop=stop),
            delays=itertools.repeat(RETRY_SECONDS),
            may_pass=partial(_may_answer, stop=stop),
            deadline=Deadline(DATABASE_MAX_WAIT_SECONDS),
        )
    except psycopg.OperationalError as error:
        if stop.is_set() and _is_away(error):
            raise StartError("Asked to stop before the database answered.") from error
        if _UNTRIED in _words_of(error):
            raise StartError("DATABASE_URL is wrong: libpq refuses an option.") from error
        raise StartError(f"The database cannot be used: {_words_of(error)}") from error
    except MigrationStopped as error:
        raise StartError("Asked to stop before the schema was up to date.") from error


def _may_answer(error: Exception, *, stop: asyncio.Event) -> bool:
    """Return whether it is worth asking again, and log that the database is away."""
    if not isinstance(error, psycopg.OperationalError) or not _is_away(error):
        return False
    _logger.warning("the database is unavailable", reason=_words_of(error))
    return not stop.is_set()


def _is_away(error: psycopg.OperationalError) -> bool:
    return not any(words in _words_of(error) for words in (_UNTRIED, *_FINAL))


def _words_of(error: psycopg.OperationalError) -> str:
    return str(error).strip().splitlines()[0]


async def _stoppable(url: str, *, stop: asyncio.Event) -> None:
    """Migrate in a thread, which nothing but its own end stops, until a signal asks for that."""
    stopping = threading.Event()
    asked = asyncio.create_task(stop.wait(), name="stop of the migration")
    asked.add_done_callback(lambda _: stopping.set())
    try:
        await asyncio.to_thread(_migrate_if_needed, url, stopping=stopping)
    finally:
        asked.cancel()


def _migrate_if_needed(url: str, *, stopping: threading.Event) -> None:
    with psycopg.connect(url, **NETWORK) as connection:
        if is_up_to_date(connection):
            return
    # Here, since importing it takes longer than the rest of a start (see `schema_state`).
    from generation_svc.storage.migrate import migrate

    migrate(url, stopping=stopping)
