"""What a claimer of queued jobs reads and writes in its one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from generation_svc.domain.account import Account, AccountLoad
from generation_svc.domain.attempt import Attempt
from generation_svc.domain.port.queue import Claim


@dataclass(frozen=True, slots=True)
class AccountView:
    """What an account can do at this moment."""

    load: AccountLoad
    free_calls: int
    """How many tasks its budget lets it create now, those of claims under way included."""
    call_wait: timedelta | None
    """When it can create one after all of these; None if that is not known yet."""
    is_open: bool = False
    """Whether its breaker is open."""
    probe_wait: timedelta | None = None
    """When a probe of its open breaker is due; zero or less means now."""


@dataclass(frozen=True, slots=True)
class DispatchView:
    """What a claimer has to know before it claims."""

    accounts: Mapping[Account, AccountView]
    job_wait: timedelta | None = None
    """When the next job that is not due yet will be; None if there is none."""


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that is due."""

    id: UUID
    account: str | None
    """The account that alone can do it; None means any."""


class DispatchStore(Protocol):
    """Claims of queued jobs, and the attempts that are sent at once."""

    async def view(
        self, accounts: Sequence[Account], *, lease: timedelta, limit: int, window: timedelta
    ) -> DispatchView:
        """Read what these accounts can do; other claimers wait for this transaction."""

    async def waiting(self, accounts: Sequence[Account], *, limit: int) -> Sequence[WaitingJob]:
        """Read the due jobs that are served next and that one of these accounts may do."""

    async def claim(self, chosen: Mapping[UUID, Account], *, lease: timedelta) -> Sequence[Claim]:
        """Claim those of these jobs that are still due, each for its account."""

    async def write_attempts(
        self, claims: Sequence[Claim], *, token_hashes: Sequence[bytes], time: datetime
    ) -> Sequence[Attempt]:
        """Write an attempt for each claimed job that has none that counts; return those."""
