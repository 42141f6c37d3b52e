"""Jobs, their request keys, their events and the queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from generation_svc.domain.account import Account, AccountLoad
from generation_svc.domain.delivery import (
    Destination,
)
from generation_svc.domain.fair_queue import FairQueue
from generation_svc.domain.job import DelayReason, Job


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What a request_id stands for."""

    caller: str
    request_id: str
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """A queued job claimed by one dispatcher."""

    job: Job
    token: UUID
    attempts: int
    """How many attempts the job already has whose fate is not "refused"."""
    account: Account
    """The account that it was claimed for."""
    is_trial: bool = False
    """Whether its model was switched off, so that it may have to wait or to fail."""


class JobStore(Protocol):
    """Jobs, their request keys and their events."""

    async def insert(self, job: Job, *, destination: Destination | None) -> int:
        """Write a new job, due at once, with its first event; return its turn."""

    async def remember_request(self, key: RequestKey, *, job_id: UUID) -> tuple[UUID, bytes] | None:
        """Bind a request key to a job; return the job id and hash of an earlier binding."""

    async def find_request(self, request_id: str, *, caller: str) -> tuple[UUID, bytes] | None:
        """Return the job id and hash of an earlier binding."""

    async def forget_requests(self, *, older_than: timedelta, limit: int) -> int:
        """Remove bindings past their time; return how many."""

    async def get(self, job_id: UUID, *, caller: str | None = None) -> Job | None:
        """Read a job; of this caller only, if one is given."""

    async def lock(self, job_id: UUID) -> Job:
        """Read a job and lock its row until the transaction ends."""

    async def save(self, job: Job, *, event: str, detail: Mapping[str, Any] | None = None) -> None:
        """Write the next revision of a locked job, its event and its snapshot."""

    async def note(
        self, job_id: UUID, *, event: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Write an event that takes no revision."""

    async def revisions_of(self, job_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """Read at which revision each of these jobs is."""

    async def revisions(self, job_id: UUID, *, after: int, limit: int) -> Sequence[Job]:
        """Read the revisions after `after`, in order."""

    async def page(
        self, *, caller: str | None, owner: str | None, before: UUID | None, limit: int
    ) -> Sequence[Job]:
        """Read jobs of this caller, of everybody for None, newest first, older than `before`."""

    async def count_active(self, owner: str, *, caller: str) -> int:
        """Count the unfinished jobs of an owner; counts and inserts of one owner take turns."""

    async def destination(self, job_id: UUID) -> Destination | None:
        """Read where the outcome goes."""

    async def loads(
        self, accounts: Sequence[Account], *, lease: timedelta
    ) -> Mapping[Account, AccountLoad]:
        """Count what each account has to do; other claims wait for this transaction."""

    async def claim(self, *, lease: timedelta, accounts: Sequence[Account]) -> Claim | None:
        """Claim the due job whose turn it is for the first of these accounts that may do it."""

    async def release(self, claim: Claim, *, due: timedelta) -> None:
        """Give a claim back; the job is due again after a while."""

    async def hasten_postponed(self) -> None:
        """Make every queued job due that waits for nothing but its next try."""

    async def hold_claim(self, claim: Claim) -> Job | None:
        """Lock the job if it is still queued and the claim is still ours."""

    async def line(self) -> FairQueue:
        """Read the queue in its fair order."""

    async def overdue_to_start(self, *, limit: int) -> Sequence[UUID]:
        """Find queued jobs past their start deadline."""

    async def mislabelled(self, reason: DelayReason | None, *, limit: int) -> Sequence[UUID]:
        """Find queued jobs whose delay reason is not the breaker's."""
