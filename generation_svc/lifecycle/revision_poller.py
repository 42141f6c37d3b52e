"""Polls the revisions of all followed jobs at once, in case a notification is lost.

If four thousand waiting calls each polled every few seconds, that would be the greatest load on the
database. Here one query serves them all, and wakes those alone who do not know what it found.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from uuid import UUID

import structlog

from generation_svc.domain.error import Unavailable
from generation_svc.domain.port.notifier import Follower
from generation_svc.domain.port.transaction import Database

LOOK_SECONDS = 5.0
"""How long a change stays unseen whose notification is lost."""
_logger = structlog.get_logger(__name__)


class RevisionPoller:
    """Those of this process who follow jobs, and the one look for all of them."""

    def __init__(self) -> None:
        self._followers: defaultdict[UUID, set[Follower]] = defaultdict(set)
        self._polling: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, job_id: UUID, follower: Follower, *, database: Database) -> Iterator[None]:
        """Look for this follower, too, during the block."""
        self._followers[job_id].add(follower)
        if self._polling is None:
            # Its log lines are those of no single call.
            self._polling = asyncio.create_task(
                self._poll(database), name="revision poller", context=Context()
            )
        try:
            yield
        finally:
            self._forget(job_id, follower)

    def _forget(self, job_id: UUID, follower: Follower) -> None:
        self._followers[job_id].discard(follower)
        if not self._followers[job_id]:
            del self._followers[job_id]
        if not self._followers and self._polling:
            self._polling.cancel()
            self._polling = None

    async def _poll(self, database: Database) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look(database)
            except Unavailable:
                continue  # the next look finds what this one missed
            except Exception:
                _logger.exception("the revisions of followed jobs could not be read")

    async def _look(self, database: Database) -> None:
        jobs = list(self._followers)
        revisions = await database.read(lambda tx: tx.jobs.revisions_of(jobs))
        for job_id, revision in revisions.items():
            for follower in self._followers.get(job_id, ()):
                follower.reach(revision)
