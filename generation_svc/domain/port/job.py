"""Jobs and their events."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.delivery import Destination
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import Job
from generation_svc.domain.job_filter import EVERY_JOB, JobFilter


class JobStore(Protocol):
    """Jobs and their events."""

    async def get(self, job_id: UUID, *, caller: str | None = None) -> Job | None:
        """Read a job; of this caller only, if one is given."""

    async def get_all(self, job_ids: Sequence[UUID]) -> Mapping[UUID, Job]:
        """Read jobs, with what is kept of them; an id that there is not is left out."""

    async def lock(self, job_id: UUID) -> Job:
        """Read a job and lock its row until the transaction ends. Raises JobNotFound."""

    async def lock_with_attempt(self, attempt_id: UUID) -> tuple[Job, Attempt]:
        """Lock the job of an attempt and then the attempt, and read both. Raises JobNotFound."""

    async def save(
        self, job: Job, *, event: JobEventKind, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Write the next revision of a locked job, its event and its snapshot."""

    async def note(
        self, job_id: UUID, *, event: JobEventKind, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Write an event that takes no revision."""

    async def revisions_of(self, job_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """Read at which revision each of these jobs is."""

    async def revisions(self, job: Job, *, after: int, limit: int) -> Sequence[Job]:
        """Read the revisions of a job after `after`, in order, given any one of them."""

    async def page(
        self,
        *,
        caller: str | None,
        owner: str | None,
        job_filter: JobFilter = EVERY_JOB,
        before: UUID | None,
        limit: int,
    ) -> Sequence[Job]:
        """Read jobs of this caller, of all callers for None, newest first, older than `before`.

        They come with what is kept of them.
        """

    async def destination(self, job_id: UUID) -> Destination | None:
        """Read where the outcome goes."""
