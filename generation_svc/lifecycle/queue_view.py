"""A cached view of the queue, read now and then for all calls of this process."""

import asyncio
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

import structlog

from generation_svc.domain.error import Unavailable
from generation_svc.domain.fair_queue import FairQueue, entry_of
from generation_svc.domain.job import Job
from generation_svc.domain.port.transaction import Database, Transaction
from runtime.clock import loop_time

LINE_SECONDS = 1.0
"""How old the line may be; one that takes long to read is read less often."""
TYPICAL_SECONDS = 30.0
"""How old a model's typical duration may be."""
REST_FACTOR = 50
"""What its query takes, the line is left alone for so many times as long: it costs 2 % at most."""
LONGEST_REST_SECONDS = 30.0
MAX_WAIT_SECONDS = 2.0
"""How long a caller waits for a reading under way before it gets the old value."""
_logger = structlog.get_logger(__name__)
_T = TypeVar("_T")


class Recent(Generic[_T]):
    """A value that is read again once it is too old, once for all who want it.

    While it cannot be read it stays as it was.
    """

    def __init__(
        self,
        value: _T,
        *,
        seconds: float,
        rest_factor: float = 0,
        longest_rest_seconds: float = LONGEST_REST_SECONDS,
        max_wait_seconds: float = MAX_WAIT_SECONDS,
    ) -> None:
        self._value = value
        self._seconds, self._max_wait_seconds = seconds, max_wait_seconds
        self._rest_factor, self._longest_rest_seconds = rest_factor, longest_rest_seconds
        self._good_until = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._expirations = 0

    async def get(self, read: Callable[[Transaction], Awaitable[_T]], *, database: Database) -> _T:
        """Return the value, read just now if it had to be."""
        if self._reading is None and loop_time() >= self._good_until:
            self._reading = asyncio.create_task(self._renew(read, database))
        if self._reading is not None:
            # Waited for and not awaited: a caller that is cancelled must not cancel the reading of
            # all.
            done, _ = await asyncio.wait({self._reading}, timeout=self._max_wait_seconds)
            for reading in done:
                reading.result()  # a fault is not hidden behind the old value
        return self._value

    @property
    def known(self) -> _T:
        """The value as it was read last, however long ago."""
        return self._value

    def expire(self) -> None:
        """Have the value read again at the next call, also if it is being read now."""
        self._good_until = float("-inf")
        self._expirations += 1

    async def _renew(
        self, read: Callable[[Transaction], Awaitable[_T]], database: Database
    ) -> None:
        rest, expirations = self._seconds, self._expirations
        try:
            async with database.transaction() as tx:
                started = loop_time()
                self._value = await read(tx)
                rest = max(self._seconds, self._rest_after(loop_time() - started))
        except Unavailable as error:
            _logger.warning(
                "a cached value could not be read again; the old one is used", error=str(error)
            )
        finally:
            if self._expirations == expirations:  # else it may have seen what was before
                self._good_until = loop_time() + rest
            self._reading = None

    def _rest_after(self, query_seconds: float) -> float:
        return min(query_seconds * self._rest_factor, self._longest_rest_seconds)


class Arrivals:
    """The jobs accepted since the line was read, sorted as it is."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.of_caller: Counter[str] = Counter()

    def add(self, job: Job) -> None:
        """Count a job."""
        insort(self.entries, entry_of(job.id, fair_round=job.fair_round))
        self.of_caller[job.caller] += 1

    def place(self, entry: bytes) -> int:
        """Return how many of them are served before an entry."""
        return bisect_left(self.entries, entry)


class QueueView:
    """The queue and the typical durations of models; callers hold no connection while they wait."""

    def __init__(self) -> None:
        self._line = Recent(FairQueue(), seconds=LINE_SECONDS, rest_factor=REST_FACTOR)
        self._typical: dict[str, Recent[timedelta | None]] = {}
        self._arrivals = Arrivals()

    async def place(self, job: Job, *, database: Database) -> int:
        """Return how many jobs are served before a queued one."""
        line = await self._read(database)
        entry = entry_of(job.id, fair_round=job.fair_round)
        return line.place(entry) + self._arrivals.place(entry)

    async def lengths(self, caller: str, *, database: Database) -> tuple[int, int]:
        """Return how many jobs are queued, of all and of this caller."""
        line = await self._read(database)
        own = line.lengths.get(caller, 0) + self._arrivals.of_caller[caller]
        return sum(line.lengths.values()) + len(self._arrivals.entries), own

    def join(self, job: Job) -> None:
        """Let a job that this process accepted stand in the line before that is read again."""
        self._arrivals.add(job)

    async def typical(self, model_id: str, *, database: Database) -> timedelta | None:
        """Return what a job of this model takes at most, as a rule; None if that is not known."""

        async def read(tx: Transaction) -> timedelta | None:
            return await tx.attempts.typical_duration(model_id)

        recent = self._typical.setdefault(model_id, Recent(None, seconds=TYPICAL_SECONDS))
        return await recent.get(read, database=database)

    def known_typical(self, model_id: str) -> timedelta | None:
        """Return the same as it was told last, without asking; None if it never was."""
        recent = self._typical.get(model_id)
        return recent.known if recent else None

    async def _read(self, database: Database) -> FairQueue:
        async def read(tx: Transaction) -> FairQueue:
            line = await tx.queue.read()
            # A job that was accepted while the query ran may be missing until the next reading,
            # which an estimate can bear.
            self._arrivals = Arrivals()
            return line

        return await self._line.get(read, database=database)
