"""The storage in memory: the ports of the domain, with the same guards as the SQL.

It holds one job, which is all that the race needs. That its guards are those of the SQL is checked
by `test_stateful`, which takes the same steps on PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from generation_svc.domain.account import Account
from generation_svc.domain.attempt import Attempt
from generation_svc.domain.error import AtelierError
from generation_svc.domain.job import Job
from generation_svc.domain.media import Media
from generation_svc.domain.port.breaker import CLOSED, BreakerState
from generation_svc.domain.port.callback import StoredCallback
from generation_svc.domain.port.media import StoredFile
from tests.model.clock import NOW, Clock
from tests.model.memory_attempt import MemoryAttemptStore
from tests.model.memory_delivery import MemoryDeliveryStore
from tests.model.memory_dispatch import MemoryDispatchStore
from tests.model.memory_job import MemoryJobStore
from tests.model.memory_ledger import MemoryLedgerStore
from tests.model.memory_queue import MemoryQueueStore
from tests.model.memory_store import Store, answered
from tests.model.memory_top_up import MemoryTopUpStore
from tests.model.run import Cut, Run
from tests.model.table import CallbackRow


class MemoryCallbackStore(Store):
    async def insert(
        self,
        callback: StoredCallback,
        *,
        task_id: str | None,
        headers: object,
        outcome: str | None = None,
    ) -> None:
        """Keep what is yet to be applied: nothing reads a callback that has its outcome."""
        if outcome is None:
            self._run.bind(callback.id, await self._insert(callback))

    @answered
    def _insert(self, callback: StoredCallback) -> int:
        number = self._run.fresh()
        row = CallbackRow(replace(callback, id=UUID(int=number)), receive_time=NOW)
        self._write(callbacks=(*self._tables.callbacks, row))
        return number

    @answered
    def finish(self, callback_id: UUID, *, outcome: str) -> None:
        """Forget it: nothing reads a callback that was applied."""
        number = self._run.number(callback_id)
        rows = (row for row in self._tables.callbacks if row.callback.id.int != number)
        self._write(callbacks=tuple(rows))

    @answered
    def pending(
        self, *, older_than: timedelta, after: object = None, limit: int
    ) -> Sequence[StoredCallback]:
        rows = [row for row in self._tables.callbacks if row.receive_time <= NOW - older_than]
        self._run.names.update(row.callback.id.int for row in rows)  # nobody else gets these now
        return tuple(row.callback for row in rows)

    async def trim(self, *, keep: int) -> None:
        """There are never so many."""


class MemoryMediaRows(Store):
    @answered
    def insert_media(self, files: Sequence[StoredFile], *, attempt: Attempt) -> Sequence[Media]:
        kept = {number for number, _ in self._tables.media}
        if not files or attempt.number in kept:
            return ()
        media = replace(files[0].media, id=UUID(int=attempt.number))
        rows = (*self._tables.media, (attempt.number, media))
        self._write(media=tuple(sorted(rows, key=lambda row: row[0])))
        return (media,)

    @answered
    def media_of(self, attempt_id: UUID) -> Sequence[Media]:
        number = self._run.number(attempt_id)
        return tuple(media for attempt, media in self._tables.media if attempt == number)


class MemoryRateBudgetStore:
    """Calls are granted: they are another race."""

    async def take(
        self, budget: str, *, account: Account, limit: int, window: timedelta
    ) -> timedelta:
        return timedelta(0)

    async def take_several(
        self, budget: str, *, calls: Mapping[Account, int], limit: int, window: timedelta
    ) -> Mapping[Account, int]:
        return calls


class MemoryBreakerStore:
    """Breakers are closed: they are another race."""

    async def states(self, accounts: Sequence[Account]) -> Mapping[Account, BreakerState]:
        return dict.fromkeys(accounts, CLOSED)

    async def trip(
        self, account: Account, *, reason: object, threshold: int, interval: timedelta
    ) -> None:
        """Count nothing."""

    async def close(self, account: Account) -> bool:
        return False


class MemoryTransaction:
    """All of it or nothing, and nothing of another actor's in between."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._has_begun = False
        self._ends: list[Callable[[bool], None]] = []
        self.jobs = MemoryJobStore(self)
        self.queue = MemoryQueueStore(self)
        self.dispatch = MemoryDispatchStore(self)
        self.attempts = MemoryAttemptStore(self)
        self.callbacks = MemoryCallbackStore(self)
        self.media = MemoryMediaRows(self)
        self.deliveries = MemoryDeliveryStore(self)
        self.rate_budget = MemoryRateBudgetStore()
        self.breaker = MemoryBreakerStore()
        self.ledger = MemoryLedgerStore(self)
        self.top_ups = MemoryTopUpStore(self)

    def enter(self) -> None:
        """Take the turn, at the first statement: what reads nothing shared needs none."""
        if not self._has_begun:
            self.run.enter("transaction")
            self._has_begun = True

    def now(self) -> datetime:
        return Clock.now()

    def announce(self, topic: str) -> None:
        """Wake nobody: the search tries every order by itself."""

    def publish(self, topic: str, revision: Job) -> None:
        """Show nobody: nobody follows the job."""

    def at_end(self, call: Callable[[bool], None]) -> None:
        """Say whether the transaction is durable, at its end."""
        self._ends.append(call)

    def end(self, *, is_durable: bool) -> None:
        """Tell those who wait for the end of the transaction."""
        for call in self._ends:
            call(is_durable)


class MemoryDatabase:
    def __init__(self, run: Run) -> None:
        self._run = run

    def now(self) -> datetime:
        return Clock.now()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MemoryTransaction]:
        before, transaction = self._run.tables, MemoryTransaction(self._run)
        try:
            yield transaction
        except (AtelierError, Cut):
            self._run.tables = before
            transaction.end(is_durable=False)
            raise
        except Exception as error:
            self._run.faults.append(error)
            self._run.tables = before
            transaction.end(is_durable=False)
            raise
        transaction.end(is_durable=True)

    @contextmanager
    def watch(self, *topics: str) -> Iterator[asyncio.Event]:
        yield asyncio.Event()
