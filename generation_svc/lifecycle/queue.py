"""What a process knows of the queue, read now and then for all who ask."""

import asyncio
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

import structlog

from generation_svc.domain.error import Unavailable
from generation_svc.domain.job import Job
from generation_svc.domain.line import Line, entry_of
from generation_svc.domain.port import Database

LINE_SECONDS = 1.0
"""How old the line may be; one that takes long to read is read less often."""
TYPICAL_SECONDS = 30.0
"""How old a model's typical duration may be."""
REST_FACTOR = 50
"""What reading takes, it is left alone for so many times as long: it costs 2 % at most."""
_logger = structlog.get_logger(__name__)
_T = TypeVar("_T")


class Recent(Generic[_T]):
    """A value that is read again once it is too old, by one of those who want it.

    While it cannot be read it stays as it was.
    """

    def __init__(self, value: _T, *, seconds: float) -> None:
        self._value = value
        self._seconds = seconds
        self._good_until = float("-inf")
        self._reading = asyncio.Lock()

    async def get(self, read: Callable[[], Awaitable[_T]]) -> _T:
        """Return the value, read just now if it had to be."""
        now = asyncio.get_running_loop().time
        if now() >= self._good_until:
            async with self._reading:
                if now() >= self._good_until:
                    await self._renew(read)
        return self._value

    async def _renew(self, read: Callable[[], Awaitable[_T]]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            self._value = await read()
        except Unavailable as error:
            _logger.warning("the queue is told as it was", error=str(error))
        took = loop.time() - started
        self._good_until = loop.time() + max(self._seconds, took * REST_FACTOR)


class Newcomers:
    """The jobs accepted since the line was read, sorted as it is."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.of_caller: Counter[str] = Counter()

    def add(self, job: Job) -> None:
        """Count a job."""
        insort(self.entries, entry_of(job.id, turn=job.turn))
        self.of_caller[job.caller] += 1

    def place(self, entry: bytes) -> int:
        """Return how many of them are served before an entry."""
        return bisect_left(self.entries, entry)


class Queue:
    """The line of jobs and what they typically take; nobody waits here with a connection held."""

    def __init__(self) -> None:
        self._line = Recent(Line(), seconds=LINE_SECONDS)
        self._typical: dict[str, Recent[timedelta | None]] = {}
        self._newcomers = Newcomers()

    async def place(self, job: Job, *, database: Database) -> int:
        """Return how many jobs are served before a queued one."""
        line = await self._read(database)
        entry = entry_of(job.id, turn=job.turn)
        return line.place(entry) + self._newcomers.place(entry)

    async def lengths(self, caller: str, *, database: Database) -> tuple[int, int]:
        """Return how many jobs are queued, of all and of this caller."""
        line = await self._read(database)
        own = line.lengths.get(caller, 0) + self._newcomers.of_caller[caller]
        return len(line) + len(self._newcomers.entries), own

    def join(self, job: Job) -> None:
        """Let a job that this process accepted stand in the line before that is read again."""
        self._newcomers.add(job)

    async def typical(self, model_id: str, *, database: Database) -> timedelta | None:
        """Return what a job of this model takes at most, as a rule; None if that is not known."""

        async def read() -> timedelta | None:
            async with database.transaction() as tx:
                return await tx.attempts.typical_duration(model_id)

        recent = self._typical.setdefault(model_id, Recent(None, seconds=TYPICAL_SECONDS))
        return await recent.get(read)

    async def _read(self, database: Database) -> Line:
        async def read() -> Line:
            async with database.transaction() as tx:
                line = await tx.jobs.line()
            self._newcomers = Newcomers()
            return line

        return await self._line.get(read)
