"""Transactions on PostgreSQL: the stores of one connection, and one commit."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from generation_svc.domain.error import Unavailable
from generation_svc.storage.attempt_store import PostgresAttemptStore
from generation_svc.storage.budget_store import PostgresBudgetStore
from generation_svc.storage.connection import NETWORK, Connection
from generation_svc.storage.delivery_store import PostgresDeliveryStore
from generation_svc.storage.edge_store import PostgresEdgeStore
from generation_svc.storage.hub import Hub
from generation_svc.storage.job_store import PostgresJobStore
from generation_svc.storage.media_rows import PostgresMediaRows
from generation_svc.storage.receipt_store import PostgresReceiptStore

POOL_TIMEOUT_SECONDS = 10.0
"""How long a call waits for a connection before it is told to come again."""

STATEMENT_SECONDS = 30
"""The longest that a statement may take, waits for locks included."""


class PostgresTransaction:
    """The stores of one transaction and what is announced after it."""

    def __init__(self, connection: Connection) -> None:
        self.topics: list[str] = []
        self.jobs = PostgresJobStore(connection)
        self.attempts = PostgresAttemptStore(connection)
        self.receipts = PostgresReceiptStore(connection)
        self.media = PostgresMediaRows(connection)
        self.deliveries = PostgresDeliveryStore(connection)
        self.edge = PostgresEdgeStore(connection)
        self.budget = PostgresBudgetStore(connection)

    def announce(self, topic: str) -> None:
        """Wake all who wait for `topic` once this transaction is durable."""
        self.topics.append(topic)


class PostgresDatabase:
    """Where everything is kept."""

    def __init__(self, pool: "AsyncConnectionPool[Connection]", *, hub: Hub) -> None:
        self.pool = pool
        self.hub = hub

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        """Begin a transaction: committed at the end of the block, rolled back by an exception."""
        with _translated():
            async with self.pool.connection() as connection, connection.transaction():
                transaction = PostgresTransaction(connection)
                yield transaction
        for topic in dict.fromkeys(transaction.topics):
            self.hub.announce(topic)

    def watch(self, *topics: str) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set whenever one of the topics is announced, by any replica."""
        return self.hub.watch(*topics)

    async def is_ready(self) -> bool:
        """Return whether the database answers."""
        try:
            async with self.pool.connection(timeout=2) as connection:
                await connection.execute("SELECT 1")
        except (psycopg.Error, PoolTimeout):
            return False
        return True


@asynccontextmanager
async def open_database(
    database_url: str, *, hub: Hub, max_connections: int
) -> AsyncIterator[PostgresDatabase]:
    """Open the pool and the hub's own connections."""
    pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
        database_url,
        connection_class=psycopg.AsyncConnection[dict[str, Any]],
        kwargs={"row_factory": dict_row, **NETWORK},
        configure=_limit_waits,
        min_size=2,
        max_size=max_connections,
        timeout=POOL_TIMEOUT_SECONDS,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    async with pool, hub.connected(database_url):
        yield PostgresDatabase(pool, hub=hub)


async def _limit_waits(connection: Connection) -> None:
    """Give every statement, and every pause inside a transaction, an end."""
    await connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
    await connection.execute(
        f"SET idle_in_transaction_session_timeout = '{2 * STATEMENT_SECONDS}s'"
    )
    await connection.commit()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn a driver's "not now" into the domain's; every other error is a fault and stays."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        raise Unavailable("The database is away for a moment.") from error
