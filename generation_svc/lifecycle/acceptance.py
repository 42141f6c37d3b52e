"""Accepts jobs; those that come while a transaction is under way share the next one.

A commit waits for the disk, and each transaction costs as much as the job that is in it. So a job
that comes alone is accepted at once, and of those that come meanwhile all go together: the more
come, the less each costs (group commit).
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta

import structlog

from generation_svc.domain.error import Unavailable
from generation_svc.domain.port.acceptance import (
    Acceptance,
    Accepted,
    Candidate,
    OwnerLimits,
    Refusal,
    Repeated,
    Shortage,
)
from generation_svc.domain.port.transaction import Database, Transaction
from generation_svc.lifecycle import topic
from runtime.clock import loop_time

PROGRESS_DELAY = timedelta(seconds=1)
"""The edge shows an accepted job itself; the delivery is for an edge that was killed before."""
BATCH_SIZE = 64
"""How many jobs share a transaction at most."""
SLOW_SECONDS = 0.05
"""From when on a transaction is slow: the next one begins beside it."""
MOST_BATCHES = 8
"""How many transactions are under way at once if all of them are slow."""
MAX_WAIT_SECONDS = 2.0
"""Who has waited for so long when a batch fails for want of a database is not kept any longer."""
_logger = structlog.get_logger(__name__)


async def accept(
    tx: Transaction, candidates: Sequence[Candidate], *, limits: OwnerLimits
) -> Sequence[Acceptance]:
    """Make jobs durable with this transaction, and have them dispatched and shown."""
    outcomes = await tx.acceptance.accept(candidates, limits=limits, progress_due=PROGRESS_DELAY)
    for candidate, outcome in zip(candidates, outcomes, strict=True):
        if isinstance(outcome, Accepted):
            _announce(tx, candidate)
    return outcomes


def _announce(tx: Transaction, candidate: Candidate) -> None:
    tx.announce(topic.DISPATCH)
    if candidate.progress:
        tx.announce(topic.of_bot(candidate.progress.bot_id))


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    candidate: Candidate
    limits: OwnerLimits
    since: float
    outcome: asyncio.Future[Acceptance]

    @property
    def waits_for(self) -> set[tuple[str, ...]]:
        """Whose jobs are counted, and whose wallet is locked."""
        job, charge = self.candidate.job, self.candidate.charge
        return {(job.caller, job.owner)} | ({(charge.payer,)} if charge else set())


class AcceptanceQueue:
    """The jobs of this process that wait to be accepted."""

    def __init__(
        self,
        *,
        batch_size: int = BATCH_SIZE,
        slow_seconds: float = SLOW_SECONDS,
        most_batches: int = MOST_BATCHES,
        max_wait_seconds: float = MAX_WAIT_SECONDS,
    ) -> None:
        self._batch_size, self._slow_seconds = batch_size, slow_seconds
        self._most_batches, self._max_wait_seconds = most_batches, max_wait_seconds
        self._waiting: deque[_Place] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._slow: list[Sequence[_Place]] = []

    async def accept(
        self, candidate: Candidate, *, limits: OwnerLimits, database: Database
    ) -> Acceptance:
        """Accept a job, with others if there are any. Raises Unavailable.

        Whoever is cancelled leaves the others alone; its job may be there all the same.
        """
        outcome: asyncio.Future[Acceptance] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Place(candidate, limits, loop_time(), outcome))
        self._start(database)
        return await outcome

    def _start(self, database: Database) -> None:
        """Have somebody take what waits, unless somebody is about to."""
        if not self._waiting or len(self._workers) >= min(len(self._slow) + 1, self._most_batches):
            return
        # A task, since whoever comes first may be cancelled. It takes its batch when it runs, with
        # all that came in the same turn of the loop. Its log lines are those of no single call.
        worker = asyncio.create_task(self._work(database), name="acceptance", context=Context())
        self._workers.add(worker)

    async def _work(self, database: Database) -> None:
        try:
            await self._settle_all(database)
        finally:
            # Here and not in a callback, which runs later: whoever comes in between would wait for
            # a worker that has gone.
            worker = asyncio.current_task()
            assert worker is not None
            self._workers.remove(worker)

    async def _settle_all(self, database: Database) -> None:
        while batch := self._take():
            timer = asyncio.get_running_loop().call_later(
                self._slow_seconds, self._go_on_beside, batch, database
            )
            try:
                await self._settle(batch, database=database)
            finally:
                timer.cancel()
                if batch in self._slow:
                    self._slow.remove(batch)

    def _go_on_beside(self, batch: Sequence[_Place], database: Database) -> None:
        """Let others pass a batch that waits for a lock, perhaps for long."""
        self._slow.append(batch)
        self._start(database)

    def _take(self) -> list[_Place]:
        """Take who has waited longest; whose owner or payer is waited for already stays in line.

        Otherwise one owner could make all batches wait, and all others with them.
        """
        waited_for = {each for batch in self._slow for place in batch for each in place.waits_for}
        batch: list[_Place] = []
        staying: list[_Place] = []
        while self._waiting and len(batch) < self._batch_size:
            place = self._waiting.popleft()
            if not place.outcome.done():  # whoever was cancelled wants nothing any more
                (staying if place.waits_for & waited_for else batch).append(place)
        self._waiting.extendleft(reversed(staying))
        return batch

    def _take_old(self) -> list[_Place]:
        """Take who has waited for long already, and would wait for the database once more."""
        old: list[_Place] = []
        while self._waiting and loop_time() - self._waiting[0].since >= self._max_wait_seconds:
            old.append(self._waiting.popleft())
        return old

    async def _settle(self, batch: Sequence[_Place], *, database: Database) -> None:
        try:
            outcomes = await _accept_all(batch, database=database)
        except Unavailable as error:
            _fail([*batch, *self._take_old()], error)
        except Exception as error:  # noqa: BLE001 -- whoever caused it gets it
            await self._settle_apart(batch, error, database=database)
        except BaseException:
            for place in batch:
                place.outcome.cancel()
            raise
        else:
            self._tell(batch, outcomes)

    async def _settle_apart(
        self, batch: Sequence[_Place], error: Exception, *, database: Database
    ) -> None:
        """Find the job that cannot be stored, so that it fails alone."""
        if len(batch) == 1:
            _fail(batch, error)
            return
        _logger.warning("a batch of jobs is split, for one is at fault", error=type(error).__name__)
        middle = len(batch) // 2
        await self._settle(batch[:middle], database=database)
        await self._settle(batch[middle:], database=database)

    def _tell(self, batch: Sequence[_Place], outcomes: Sequence[Acceptance]) -> None:
        refused = {
            place.candidate.job.id
            for place, outcome in zip(batch, outcomes, strict=True)
            if isinstance(outcome, Refusal | Shortage)
        }
        for place, outcome in zip(batch, outcomes, strict=True):
            # It repeats what was refused beside it, and so is the first one now; or others beside
            # it asked for more credits than there are, and it may get what they do not.
            is_repeated = isinstance(outcome, Repeated) and outcome.job_id in refused
            if is_repeated or outcome is Refusal.AGAIN:
                self._waiting.append(place)
            elif not place.outcome.done():
                place.outcome.set_result(outcome)


async def _accept_all(batch: Sequence[_Place], *, database: Database) -> Sequence[Acceptance]:
    async with database.transaction() as tx:
        candidates = [place.candidate for place in batch]
        return await accept(tx, candidates, limits=batch[0].limits)


def _fail(batch: Sequence[_Place], error: Exception) -> None:
    for place in batch:
        if not place.outcome.done():
            place.outcome.set_exception(error)
