"""Attempts."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from generation_svc.domain.account import Account
from generation_svc.domain.attempt import Attempt, AttemptState, Trouble
from generation_svc.domain.observation import Observation, Source


class AttemptStore(Protocol):
    """Attempts: calls of createTask and what became of them."""

    async def insert(self, attempt: Attempt, *, token_hash: bytes) -> None:
        """Write an attempt before the provider is called."""

    async def lock(self, attempt_id: UUID) -> Attempt:
        """Read an attempt and lock its row; the job's row is locked before it."""

    async def lock_answered(self, attempt: Attempt) -> tuple[Attempt, bool]:
        """Do the same; tell also whether its account's breaker has faults to forget."""

    async def find_by_token(self, token_hash: bytes) -> Attempt | None:
        """Find the attempt of a callback token."""

    async def find_by_task(self, task_id: str, *, provider: str) -> Attempt | None:
        """Find the attempt of a provider's task."""

    async def count_unread(self, *, readable: Sequence[Account]) -> Mapping[Account, int]:
        """Count the tasks at the provider of every account that is not among the readable ones."""

    async def unreadable(
        self,
        *,
        readable: Sequence[Account],
        grace: timedelta,
        after: UUID | None = None,
        limit: int,
    ) -> Sequence[Attempt]:
        """Find tasks past their finish deadline whose accounts can no longer be read.

        Nobody is known by their reads, which are due and were not made for the grace: another
        replica may know an account that this one does not.
        """

    async def live(self, job_id: UUID) -> Sequence[Attempt]:
        """Read the attempts that can still bring the job a result."""

    async def settled(self, job_id: UUID) -> Attempt | None:
        """Read the attempt that made a job's result."""

    async def count(self, job_id: UUID) -> int:
        """Count all attempts of a job."""

    async def count_unrefused(self, job_id: UUID) -> int:
        """Count the attempts of a job that the provider did not refuse."""

    async def accept(self, attempt_id: UUID, *, task_id: str, first_read: timedelta | None) -> None:
        """Note that the provider took it, and when it is read first."""

    async def end(self, attempt_id: UUID, state: AttemptState, *, error: str = "") -> None:
        """Note that it has ended; it is no longer read or fetched."""

    async def mark_unknown(self, attempt_id: UUID, *, error: str) -> bool:
        """Note that createTask gave no answer; return whether that is news."""

    async def succeed(
        self,
        attempt_id: UUID,
        observation: Observation,
        *,
        source: Source,
        lease: timedelta | None = None,
    ) -> Attempt:
        """Note the success and what brought it, and return the attempt as it is then.

        Its result is due to be fetched at once; with a lease it is claimed by the caller instead.
        """

    async def see(self, attempt_id: UUID, observation: Observation) -> None:
        """Note the provider's word for a task that is not final."""

    async def claim_reads(
        self, *, lease: timedelta, readable: Sequence[Account], limit: int
    ) -> tuple[Sequence[Attempt], timedelta | None]:
        """Claim attempts of these accounts that are due to be read, and tell when the next one is.

        Zero means that one is due now, None that there is none.
        """

    async def schedule_read(self, attempt_id: UUID, *, due: timedelta) -> None:
        """Set the next read of a live attempt."""

    async def hasten_read(self, attempt_id: UUID, *, interval: timedelta) -> bool:
        """Move the next read to now, at most once per interval; return whether it moved."""

    async def hasten_all_reads(self) -> int:
        """Move the next read of every task that is under way to now; return how many there are."""

    async def count_empty_read(self, attempt_id: UUID) -> int:
        """Count a read that showed a success without a result; return how many there were."""

    async def claim_fetches(
        self, *, lease: timedelta, limit: int
    ) -> tuple[Sequence[Attempt], timedelta | None]:
        """Claim successes whose results are due to be fetched, and tell when the next one is."""

    async def renew_fetch(self, attempt: Attempt, *, lease: timedelta) -> bool:
        """Push the lease of a fetch under way; return whether it is still this claim's."""

    async def schedule_fetch(
        self, attempt_id: UUID, *, due: timedelta, trouble: Trouble | None = None
    ) -> None:
        """Set the next try to fetch, and what the last one had trouble with; None changes nothing.

        The time of the trouble is that of the first try since which it is the same.
        """

    async def claim_costs(
        self, *, first_wait: timedelta, readable: Sequence[Account], limit: int
    ) -> tuple[Sequence[Attempt], timedelta | None]:
        """Claim ended attempts that are due to be read once more, and tell when the next one is.

        Those are due whose cost is unknown, and those that were given up. The wait until the next
        try triples with each.
        """

    async def keep_cost(self, attempt_id: UUID, cost: Decimal) -> bool:
        """Note what it cost, if that was unknown, and ask no more; return whether it was."""

    async def put_off_cost(self, attempt_id: UUID, *, due: timedelta) -> None:
        """Take a claimed read of its cost back, and set the next one."""

    async def give_up_cost(self, attempt_id: UUID) -> bool:
        """Ask for its cost no more; return whether that leaves it unknown."""

    async def orphans(
        self, *, older_than: timedelta, after: UUID | None = None, limit: int
    ) -> Sequence[Attempt]:
        """Find attempts whose dispatcher vanished between createTask and its answer."""

    async def overdue(
        self, *, hard_deadline: timedelta, after: UUID | None = None, limit: int
    ) -> Sequence[Attempt]:
        """Find live attempts past the hard deadline, from acceptance or submission.

        Those of unknown fate end with their job's finish deadline: they can never be read.
        """

    async def typical_duration(self, model_id: str) -> timedelta | None:
        """Return the 95th percentile of the last durations that callbacks told, if enough did."""
