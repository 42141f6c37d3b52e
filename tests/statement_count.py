"""Counts what a replica asks of PostgreSQL: the server tells the connection that asked."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from generation_svc.lifecycle import queue_view
from generation_svc.storage.connection import Connection
from generation_svc.storage.database import PostgresDatabase
from generation_svc.storage.notifier import Notifier
from runtime.clock import loop_time

_TOLD = re.compile(r"(?:statement|execute [^:]+): ?(.*)", re.DOTALL)
_OPTIONS = "-c log_statement=all -c client_min_messages=log"
_BEGIN, _END = ("BEGIN",), ("COMMIT", "ROLLBACK")
_CLOCK = "SELECT clock_timestamp() AS told"
"""What is asked every ten seconds, by whoever comes then."""


@dataclass
class Asked:
    """What was asked since the last time that it was cleared."""

    everything: list[str] = field(default_factory=list)

    @property
    def statements(self) -> list[str]:
        """All but the beginnings and ends of transactions."""
        return [each for each in self.everything if not each.startswith((*_BEGIN, *_END))]

    @property
    def transactions(self) -> int:
        return sum(each.startswith(_BEGIN) for each in self.everything)

    def clear(self) -> None:
        self.everything.clear()

    def hear(self, notice: psycopg.errors.Diagnostic) -> None:
        told = _TOLD.match(notice.message_primary or "")
        if told and told[1] != _CLOCK:
            self.everything.append(" ".join(told[1].split()))


@asynccontextmanager
async def counting_database(url: str) -> AsyncIterator[tuple[PostgresDatabase, Asked]]:
    """Open a database whose statements are counted, but those of the notifier and of the clock.

    What is read now and then is read once: nothing that is known grows old meanwhile, however slow
    the machine is.
    """
    asked, notifier = Asked(), Notifier()

    async def listen(connection: Connection) -> None:
        connection.add_notice_handler(asked.hear)

    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        url,
        connection_class=psycopg.AsyncConnection[dict[str, Any]],
        kwargs={"row_factory": dict_row, "options": _OPTIONS},
        configure=listen,
        min_size=4,
        max_size=4,
        open=False,
    )
    async with pool, notifier.connected(url):
        await pool.wait()
        with _nothing_grows_old():
            yield PostgresDatabase(pool, notifier=notifier), asked


@contextmanager
def _nothing_grows_old() -> Iterator[None]:
    began = loop_time()
    with mock.patch.object(queue_view, "loop_time", return_value=began):
        yield
