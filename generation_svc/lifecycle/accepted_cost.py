"""What this process accepts while a sum over all jobs is read only now and then."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar
from uuid import UUID

from generation_svc.domain.job import Job
from generation_svc.domain.port.transaction import Database, Transaction
from generation_svc.lifecycle.queue_view import REST_FACTOR, Recent
from runtime.clock import loop_time

SUM_SECONDS = 5.0
"""How old a sum over all jobs may be; one that takes over 100 ms is read less often."""
_FORGET_SECONDS = 60.0
_T = TypeVar("_T")


@dataclass(slots=True)
class _Entry:
    cost: Decimal
    is_free: bool
    accept_time: float | None = None
    """By the loop's time; None until it is durable."""


class AcceptedCosts:
    """The jobs that a reading cannot have counted: about to be accepted, or accepted since."""

    def __init__(self) -> None:
        self._entries: dict[UUID, _Entry] = {}
        self.free = Decimal(0)
        self.overall = Decimal(0)

    def add(self, job: Job) -> None:
        """Count a job that is about to be accepted."""
        self._forget_old()
        entry = self._entries[job.id] = _Entry(job.price.cost or Decimal(0), job.price.is_free)
        self._change(entry, sign=1)

    def keep(self, job: Job) -> None:
        """Note that a job is durable: the next reading counts it."""
        if job.id in self._entries:
            self._entries[job.id].accept_time = loop_time()

    def drop(self, job: Job) -> None:
        """Take back a job that was not accepted."""
        entry = self._entries.get(job.id)
        if entry and entry.accept_time is None:
            self._remove(job.id)

    def forget(self, *, before: float) -> None:
        """Leave what was durable before a reading to that reading."""
        for job_id, entry in list(self._entries.items()):
            if entry.accept_time is not None and entry.accept_time <= before:
                self._remove(job_id)

    def _forget_old(self) -> None:
        # Where nobody asks for the sum, nothing else forgets; whoever asks reads it again by then.
        while self._entries:
            job_id, entry = next(iter(self._entries.items()))
            if entry.accept_time is None or entry.accept_time > loop_time() - _FORGET_SECONDS:
                return
            self._remove(job_id)

    def _remove(self, job_id: UUID) -> None:
        self._change(self._entries.pop(job_id), sign=-1)

    def _change(self, entry: _Entry, *, sign: int) -> None:
        self.overall += sign * entry.cost
        self.free += sign * entry.cost if entry.is_free else 0


class RecentCost(Generic[_T]):
    """A sum over all jobs that was read a moment ago, and what came to it here since."""

    def __init__(self, value: _T) -> None:
        self._recent = Recent(value, seconds=SUM_SECONDS, rest_factor=REST_FACTOR)
        self.accepted = AcceptedCosts()

    async def get(self, read: Callable[[Transaction], Awaitable[_T]], *, database: Database) -> _T:
        """Return the sum as it was read; what is in `accepted` is to be added."""

        async def counted(tx: Transaction) -> _T:
            began = loop_time()
            value = await read(tx)
            self.accepted.forget(before=began)
            return value

        return await self._recent.get(counted, database=database)

    def expire(self) -> None:
        """Have the sum read again at the next call."""
        self._recent.expire()
