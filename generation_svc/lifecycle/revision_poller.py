"""Polls the revisions of all watched jobs at once, in case a notification is lost.

If four thousand waiting calls each polled every few seconds, that would be the greatest load on the
database. Here one query serves them all.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from generation_svc.domain.port.transaction import Database, Transaction
from generation_svc.lifecycle.queue_view import Recent

LOOK_SECONDS = 5.0
"""How old what is known of the watched jobs may be."""


class RevisionPoller:
    """The jobs that calls of this process wait for, and their latest known revisions."""

    def __init__(self) -> None:
        self._watched: Counter[UUID] = Counter()
        self._revisions: Recent[Mapping[UUID, int]] = Recent({}, seconds=LOOK_SECONDS)

    @contextmanager
    def watching(self, job_id: UUID) -> Iterator[None]:
        """Look for this job, too, during the block."""
        self._watched[job_id] += 1
        try:
            yield
        finally:
            self._watched[job_id] -= 1
            if not self._watched[job_id]:
                del self._watched[job_id]

    async def has_news(self, job_id: UUID, *, after: int, database: Database) -> bool:
        """Return whether a watched job is past a revision, as far as was seen."""

        async def read(tx: Transaction) -> Mapping[UUID, int]:
            return await tx.jobs.revisions_of(list(self._watched))

        revisions = await self._revisions.get(read, database=database)
        # A job that is not in the answer began to be watched after it, and has no news yet.
        return revisions.get(job_id, after) > after
