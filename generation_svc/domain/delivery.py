"""Deliveries: what is sent for a job, at most one of each kind."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from generation_svc.domain.job import Job

LONGEST_PAUSE = timedelta(hours=24)
"""How far ahead a sender may schedule the next try, by the clock of the database."""


class DeliveryKind(StrEnum):
    """What a delivery brings."""

    PROGRESS = "progress"
    OUTCOME = "outcome"


class DeliveryState(StrEnum):
    """The states of a delivery."""

    IDLE = "idle"
    """Nothing to send now (progress only)."""
    PENDING = "pending"
    LEASED = "leased"
    BEGUN = "begun"
    SENT = "sent"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class Telegram:
    """A chat on Telegram."""

    bot_id: int
    chat_id: int
    message_id: int = 0
    """The progress message; 0 if none."""
    language_code: str = ""


@dataclass(frozen=True, slots=True)
class Queue:
    """A feed of the caller's own."""

    queue: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that the service posts to."""

    url: str


Destination = Telegram | Queue | Webhook
"""Where a result goes."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery under lease."""

    id: UUID
    kind: DeliveryKind
    job: Job
    destination: Destination
    lease_token: str
    lease_expire_time: datetime
    maybe_sent: bool
    try_number: int

    @property
    def queue_position(self) -> int:
        """How many jobs are served before this one, as far as is known."""
        return self.job.forecast.queue_position if self.job.forecast else 0


@dataclass(frozen=True, slots=True)
class Sent:
    """It arrived."""

    message_id: int
    is_edit: bool


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It did not arrive and is to be tried again, not before a time."""

    not_before_time: datetime | None
    reason: str = ""
    """What went wrong, for the job's trace."""


@dataclass(frozen=True, slots=True)
class Impossible:
    """It can never arrive."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have arrived."""


SendingOutcome = Sent | TryAgain | Impossible | Unknown
"""How a sending ended."""
