"""The queue: the jobs that wait for a dispatcher, and its claims."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from generation_svc.domain.account import Account
from generation_svc.domain.fair_queue import FairQueue
from generation_svc.domain.job import DelayReason, Job


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


class QueueStore(Protocol):
    """The jobs that wait, in their fair order."""

    async def release(self, claim: Claim, *, due: timedelta) -> None:
        """Give a claim back; the job is due again after a while."""

    async def extend(self, claim: Claim, *, lease: timedelta) -> bool:
        """Let a claim that is still ours last for so long from now; False if it is lost."""

    async def hasten_postponed(self) -> None:
        """Make every queued job due that waits for nothing but its next try."""

    async def hold_claim(self, claim: Claim) -> Job | None:
        """Lock the job if it is still queued and the claim is still ours."""

    async def read(self) -> FairQueue:
        """Read the queue in its fair order."""

    async def overdue_to_start(self, *, after: UUID | None = None, limit: int) -> Sequence[UUID]:
        """Find queued jobs past their start deadline."""

    async def mislabelled(
        self, reason: DelayReason | None, *, after: UUID | None = None, limit: int
    ) -> Sequence[UUID]:
        """Find queued jobs whose delay reason is not the breaker's."""
