"""The acceptance of jobs: several at once become durable, and each by its own right."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from generation_svc.domain.delivery import Destination, Telegram
from generation_svc.domain.job import Job
from generation_svc.domain.ledger import Charge
from generation_svc.domain.port.request import RequestKey


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that is to be accepted."""

    job: Job
    destination: Destination | None
    key: RequestKey | None = None
    """What it is found by when it is asked for again; None if nobody will, or if it is bound."""
    charge: Charge | None = None
    """What is held for it; None where nothing is."""
    caller_wallet: str | None = None
    """The wallet that pays for all of its caller's jobs; a blocked one lets nothing begin."""

    @property
    def progress(self) -> Telegram | None:
        """The chat with a message that shows how the job stands, if there is one."""
        chat = self.destination
        return chat if isinstance(chat, Telegram) and chat.message_id else None


@dataclass(frozen=True, slots=True)
class OwnerLimits:
    """How much an owner may have; whoever has as much gets nothing new."""

    active_jobs: int
    stored_bytes: int
    daily_free_jobs: int | None = None
    """How many jobs of free models it may start in a day (UTC); None for any number."""


class Refusal(StrEnum):
    """Why there is no new job."""

    ACTIVE_JOBS = "active_jobs"
    STORED_BYTES = "stored_bytes"
    OWNER_BLOCKED = "owner_blocked"
    PAYER_BLOCKED = "payer_blocked"
    """The wallet that pays for the owner is blocked, and is not the owner's own."""
    FREE_ALLOWANCE = "free_allowance"
    """The free jobs of the day are used."""
    CREDITS = "credits"
    """The wallet has too little; see `Shortage`."""
    AGAIN = "again"
    """Others at the same moment asked for more than there is: it is to be decided once more."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """The payer has too little for the job."""

    price: int
    balance: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job is there, in this fair round."""

    fair_round: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """The request was bound before, to this job and with this content."""

    job_id: UUID
    content_hash: bytes


Acceptance = Accepted | Repeated | Refusal | Shortage
"""What became of a candidate."""


class AcceptanceStore(Protocol):
    """Makes jobs durable, as many as come at once."""

    async def accept(
        self, candidates: Sequence[Candidate], *, limits: OwnerLimits, progress_due: timedelta
    ) -> Sequence[Acceptance]:
        """Write new jobs, due at once, each with its key, its first event and its progress.

        Return what became of each, in their order. Jobs of one owner take turns from here to the
        end of the transaction, so that its limits are exact.
        """
        ...

    async def free_jobs(self, owner: str, *, caller: str, day: datetime) -> int:
        """Return how many of an owner's free jobs count for the day (UTC) that begins then.

        One that failed does not, nor one that was cancelled before the provider had it.
        """
