"""Transactions on PostgreSQL: the stores of one connection, and one commit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

import psycopg
import structlog
from psycopg import errors
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from generation_svc.domain.error import Unavailable
from generation_svc.domain.job import Job
from generation_svc.storage.acceptance_store import PostgresAcceptanceStore
from generation_svc.storage.attempt_store import PostgresAttemptStore
from generation_svc.storage.audit.audit_store import PostgresAuditStore
from generation_svc.storage.breaker_store import PostgresBreakerStore
from generation_svc.storage.callback_store import PostgresCallbackStore
from generation_svc.storage.catalog_store import PostgresCatalogStore
from generation_svc.storage.clock import DatabaseClock
from generation_svc.storage.connection import (
    CHECK_SECONDS,
    NETWORK,
    Connection,
    bounded,
    check_writable,
    read_clock,
)
from generation_svc.storage.consent_store import PostgresConsentStore
from generation_svc.storage.delivery_store import PostgresDeliveryStore
from generation_svc.storage.dispatch_store import PostgresDispatchStore
from generation_svc.storage.due_store import PostgresDueStore
from generation_svc.storage.edge_store import PostgresEdgeStore
from generation_svc.storage.follower import JobFollower
from generation_svc.storage.health_store import PostgresHealthStore
from generation_svc.storage.job_store import PostgresJobStore
from generation_svc.storage.media_store import PostgresMediaStore
from generation_svc.storage.model_store import PostgresModelStore
from generation_svc.storage.money.epoch_store import PostgresEpochStore
from generation_svc.storage.money.ledger_store import PostgresLedgerStore
from generation_svc.storage.money.money_store import PostgresMoneyStore
from generation_svc.storage.money.star_store import PostgresStarStore
from generation_svc.storage.money.top_up_store import PostgresTopUpStore
from generation_svc.storage.money.wallet_import_store import PostgresWalletImportStore
from generation_svc.storage.notifier import Notifier
from generation_svc.storage.pool_queue import PoolQueue
from generation_svc.storage.queue_store import PostgresQueueStore
from generation_svc.storage.rate_budget_store import PostgresRateBudgetStore
from generation_svc.storage.request_store import PostgresRequestStore
from generation_svc.storage.retention_store import PostgresRetentionStore
from generation_svc.storage.usage_store import PostgresUsageStore
from generation_svc.storage.webhook_store import PostgresWebhookStore
from runtime.wait import Deadline

POOL_TIMEOUT_SECONDS = 5.0
"""How long a call waits for a connection before it is refused as unavailable."""

RECONNECT_SECONDS = 2.0
"""How long the pool retries a connection; the next call starts again without its pauses."""

ASK_AGAIN_SECONDS = 1.0
"""How long a call waits for the pool before it asks again."""

STATEMENT_SECONDS = 30
"""The longest that a statement may take, waits for locks included."""

TRANSACTION_SECONDS = 40
"""The longest that a transaction may take, for whatever reason; its pauses count, too."""

NOT_NOW = (
    psycopg.OperationalError,  # lost, refused or stopped; disk full; deadlock; a timeout
    psycopg.InterfaceError,  # closed while it was used
    errors.ReadOnlySqlTransaction,  # it was the primary until just now
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
    errors.InternalError_,  # the server's own trouble: a quota, a file that may not grow
    errors.FeatureNotSupported,  # a statement was prepared before a migration
)
"""What a driver raises where the same call may succeed later."""

_logger = structlog.get_logger(__name__)


_T = TypeVar("_T")
Begin = Callable[[Connection, AsyncExitStack], Awaitable[None]]
"""Says the first word on a connection; what it opens is closed with the stack."""


class PostgresTransaction:
    """The stores of one transaction and what is announced after it."""

    def __init__(self, connection: Connection, *, clock: DatabaseClock) -> None:
        self.topics: list[str] = []
        self.revisions: list[tuple[str, Job]] = []
        self.ends: list[Callable[[bool], None]] = []
        self._clock = clock
        self.jobs = PostgresJobStore(connection)
        self.acceptance = PostgresAcceptanceStore(connection)
        self.requests = PostgresRequestStore(connection)
        self.queue = PostgresQueueStore(connection)
        self.dispatch = PostgresDispatchStore(connection)
        self.attempts = PostgresAttemptStore(connection)
        self.callbacks = PostgresCallbackStore(connection)
        self.media = PostgresMediaStore(connection)
        self.deliveries = PostgresDeliveryStore(connection)
        self.webhooks = PostgresWebhookStore(connection)
        self.consents = PostgresConsentStore(connection)
        self.edge = PostgresEdgeStore(connection)
        self.rate_budget = PostgresRateBudgetStore(connection)
        self.breaker = PostgresBreakerStore(connection)
        self.models = PostgresModelStore(connection)
        self.retention = PostgresRetentionStore(connection)
        self.usage = PostgresUsageStore(connection)
        self.due = PostgresDueStore(connection)
        self.catalog = PostgresCatalogStore(connection)
        self.health = PostgresHealthStore(connection)
        self.ledger = PostgresLedgerStore(connection)
        self.money = PostgresMoneyStore(connection)
        self.epochs = PostgresEpochStore(connection)
        self.audit = PostgresAuditStore(connection)
        self.top_ups = PostgresTopUpStore(connection)
        self.stars = PostgresStarStore(connection)
        self.imports = PostgresWalletImportStore(connection)

    def now(self) -> datetime:
        """Return the database's time."""
        return self._clock.now()

    def announce(self, topic: str) -> None:
        """Wake all who wait for `topic` once this transaction is durable."""
        self.topics.append(topic)

    def publish(self, topic: str, revision: Job) -> None:
        """Give a revision to those who follow its job once this transaction is durable."""
        self.revisions.append((topic, revision))

    def at_end(self, call: Callable[[bool], None]) -> None:
        """Say whether this transaction is durable, once that is known; False if it may not be."""
        self.ends.append(call)

    def end(self, notifier: Notifier, *, is_durable: bool) -> None:
        """Tell those who wait for the end of this transaction."""
        for call in self.ends:
            call(is_durable)
        if is_durable:
            for topic, revision in self.revisions:
                notifier.publish(topic, revision)
            for topic in dict.fromkeys(self.topics):
                notifier.announce(topic)


class _Reading(Generic[_T]):
    """A query that is the check of its connection as well.

    It is asked once in that way, since a check has to be quick. A connection that was lost and a
    statement that takes long look alike there: next time it is checked as for any transaction, and
    the query then has as long as all others.
    """

    def __init__(
        self, query: Callable[[PostgresTransaction], Awaitable[_T]], *, clock: DatabaseClock
    ) -> None:
        self._query, self._clock = query, clock
        self._is_asked = False
        self._answers: list[_T] = []

    async def begin(self, connection: Connection, stack: AsyncExitStack) -> None:
        """Ask on a connection, or only begin there."""
        self._answers.clear()  # what a server said that turned out to be read-only is not taken
        if self._is_asked:
            await _begin(connection, stack)
            return
        self._is_asked = True
        await connection.set_autocommit(True)
        self._answers.append(await self._ask(connection))
        # Not after an error: such a connection is closed.
        await connection.set_autocommit(False)

    async def answer(self, connection: Connection) -> _T:
        """Return the answer, on the connection where this has begun."""
        return self._answers[0] if self._answers else await self._ask(connection)

    async def _ask(self, connection: Connection) -> _T:
        return await self._query(PostgresTransaction(connection, clock=self._clock))


class PostgresDatabase:
    """The service's database: transactions, and announcements after them."""

    def __init__(self, pool: "AsyncConnectionPool[Connection]", *, notifier: Notifier) -> None:
        self.pool = pool
        self.notifier = notifier
        self._clock = DatabaseClock()
        self._pool_queue = PoolQueue(pool.max_size, max_wait_seconds=POOL_TIMEOUT_SECONDS)

    def now(self) -> datetime:
        """Return the database's time."""
        return self._clock.now()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        """Begin a transaction: committed at the end of the block, rolled back by an exception."""
        with _translated():
            async with (
                # In this order: whoever waits for its turn must not hold a connection meanwhile,
                # and those who wait for the end are told when both are free again.
                AsyncExitStack() as ending,
                self._pool_queue.slot(),
                self._connection(within_seconds=POOL_TIMEOUT_SECONDS, begin=_begin) as connection,
            ):
                transaction = PostgresTransaction(connection, clock=self._clock)
                ending.push(partial(_end, transaction, self.notifier))
                yield transaction

    async def read(self, query: Callable[[PostgresTransaction], Awaitable[_T]]) -> _T:
        """Answer a query of one statement, outside of a transaction.

        It is one round trip where a transaction takes three. Where no answer comes soon it is asked
        again, as reading changes nothing.
        """
        reading = _Reading(query, clock=self._clock)
        with _translated():
            async with (
                self._pool_queue.slot(),
                self._connection(
                    within_seconds=POOL_TIMEOUT_SECONDS, begin=reading.begin
                ) as connection,
            ):
                return await reading.answer(connection)

    def watch(self, *topics: str) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set whenever one of the topics is announced, by any replica."""
        return self.notifier.watch(*topics)

    def follow(self, topic: str) -> AbstractContextManager[JobFollower]:
        """Follow the job whose revisions are announced under a topic."""
        return self.notifier.follow(topic)

    def call_for_help(self, topic: str) -> None:
        """Wake all who wait for a topic, at once and in every replica."""
        self.notifier.call_for_help(topic)

    async def is_ready(self) -> bool:
        """Return whether the database answers and can be written to.

        The notifier sees at once that a connection is gone; the pool's may come back in time.
        """
        if not self.notifier.is_listening:
            return False
        try:
            async with self._connection(within_seconds=CHECK_SECONDS, begin=_look):
                return True
        except psycopg.Error:
            return False

    @asynccontextmanager
    async def _connection(
        self, *, within_seconds: float, begin: Begin
    ) -> AsyncIterator[Connection]:
        connection, begun = await self._working_connection(within_seconds, begin=begin)
        self._pool_queue.move()
        try:
            with bounded(connection, seconds=TRANSACTION_SECONDS):
                async with begun:
                    yield connection
        except errors.FeatureNotSupported:
            await connection.close()  # its other statements are outdated as well
            raise
        finally:
            await self.pool.putconn(connection)

    async def _working_connection(
        self, within_seconds: float, *, begin: Begin
    ) -> tuple[Connection, AsyncExitStack]:
        """Begin, and throw out those that cannot: after a restart of the server that is all.

        The beginning is the check: nothing was done on a connection that fails there, so another
        one may try. The pool's own check would pause after each one.
        """
        deadline = Deadline(within_seconds)
        while True:
            connection = await self._any_connection(deadline)
            try:
                return connection, await self._begun(connection, begin=begin)
            except BaseException as error:
                is_lost = connection.broken or isinstance(error, NOT_NOW)
                # Also if we are cancelled: the pool counts a connection as lent until it is given
                # back.
                await connection.close()
                await self.pool.putconn(connection)
                if not (isinstance(error, psycopg.Error) and is_lost) or deadline.is_over:
                    raise

    async def _begun(self, connection: Connection, *, begin: Begin) -> AsyncExitStack:
        with bounded(connection, seconds=CHECK_SECONDS):
            if self._clock.is_due:
                await read_clock(self._clock, connection)
            async with AsyncExitStack() as stack:
                await begin(connection, stack)
                check_writable(connection)
                return stack.pop_all()

    async def _any_connection(self, deadline: Deadline) -> Connection:
        """Ask repeatedly: the pool tries to reconnect only when asked."""
        while True:
            left = deadline.left_s
            try:
                return await self.pool.getconn(timeout=min(max(left, 0), ASK_AGAIN_SECONDS))
            except PoolTimeout:
                if left <= ASK_AGAIN_SECONDS:
                    raise


def _end(
    transaction: PostgresTransaction, notifier: Notifier, kind: type[BaseException] | None, *_: Any
) -> None:
    # After the commit: whoever is woken must see what was written, and a NOTIFY inside of the
    # transaction would take a lock of the whole database. An error of the commit itself leaves open
    # whether it took place: then nobody is told.
    transaction.end(notifier, is_durable=kind is None)


async def _begin(connection: Connection, stack: AsyncExitStack) -> None:
    await stack.enter_async_context(connection.transaction())


async def _look(connection: Connection, stack: AsyncExitStack) -> None:
    del stack  # nothing is begun
    await AsyncConnectionPool.check_connection(connection)


@asynccontextmanager
async def open_database(
    database_url: str, *, notifier: Notifier, max_connections: int
) -> AsyncIterator[PostgresDatabase]:
    """Open the pool and the notifier's own connections."""
    pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
        database_url,
        connection_class=psycopg.AsyncConnection[dict[str, Any]],
        kwargs={"row_factory": dict_row, **NETWORK},
        configure=_limit_waits,
        min_size=2,
        max_size=max_connections,
        timeout=POOL_TIMEOUT_SECONDS,
        reconnect_timeout=RECONNECT_SECONDS,
        num_workers=max_connections,  # one that hangs while connecting holds up no other
        open=False,
    )
    async with pool, notifier.connected(database_url):
        database = PostgresDatabase(pool, notifier=notifier)
        with suppress(Unavailable):  # it is away; the first connection that works tells the time
            async with database.transaction():
                pass
        yield database


async def _limit_waits(connection: Connection) -> None:
    """Give every statement, and every pause inside a transaction, an end."""
    with bounded(connection, seconds=CHECK_SECONDS):
        # A SET inside a transaction ends with its rollback, and the pool refuses a new connection
        # that is left inside of one.
        await connection.set_autocommit(True)
        await connection.execute(
            f"SET statement_timeout = '{STATEMENT_SECONDS}s';"
            f" SET idle_in_transaction_session_timeout = '{TRANSACTION_SECONDS}s'"
        )
        await connection.set_autocommit(False)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn a driver's "not now" into the domain's; every other error is a fault and stays."""
    try:
        yield
    except NOT_NOW as error:
        _logger.warning(
            "the database is unavailable", error=type(error).__name__, reason=_reason(error)
        )
        raise Unavailable("The database is temporarily unavailable.") from error


def _reason(error: psycopg.Error) -> str:
    """Return the first line: the others may quote what a row holds."""
    return (str(error).splitlines() or [""])[0]
