"""A job: one generation, from the request to its outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from generation_svc.domain.failure import Failure
from generation_svc.domain.media import Media


class JobState(StrEnum):
    """The states of a job, as in the contract."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether a job in this state never changes again."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
"""The states that never change."""


class DelayReason(StrEnum):
    """Why a job waits for more than its turn."""

    PROVIDER_UNREACHABLE = "provider_unreachable"
    PROVIDER_MAINTENANCE = "provider_maintenance"
    PROVIDER_ACCOUNT = "provider_account"
    PROVIDER_BUSY = "provider_busy"
    PROVIDER_UNCONFIRMED = "provider_unconfirmed"
    RESULT_DELAYED = "result_delayed"


@dataclass(frozen=True, slots=True)
class Result:
    """What a job made."""

    media: tuple[Media, ...] = ()
    text: str = ""
    missing_count: int = 0
    """The number of further files that could not be downloaded from the provider."""


@dataclass(frozen=True, slots=True)
class Price:
    """What the owner pays; credits are a decimal number in text."""

    is_free: bool
    credits: str
    is_ceiling: bool = False
    """Whether it is the most that the job can cost."""
    cost: Decimal | None = None
    """What the provider is expected to charge, in its own credits; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known of a job's wait at this moment; it takes no revision and is never stored."""

    queue_position: int
    """How many jobs are served before it."""
    estimated_remaining: timedelta | None
    """The time until it is done; None where no estimate can be made."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is at one revision."""

    id: UUID
    caller: str
    owner: str
    model_id: str
    inputs: Mapping[str, Any]
    price: Price
    correlation_id: str
    create_time: datetime
    start_deadline_time: datetime
    state: JobState
    revision: int
    update_time: datetime
    finish_deadline_time: datetime | None = None
    delay_reason: DelayReason | None = None
    delay_until_time: datetime | None = None
    """When the wait for what `delay_reason` says is over, where that is known."""
    result: Result | None = None
    failure: Failure | None = None
    account: str | None = None
    """The provider's account that alone can do it, since it made what the job refers to."""
    fair_round: int = 0
    """The round in which it is served while it waits; no owner has two jobs in one."""
    model_digest: str | None = None
    """The document of its model that it was made with; None if nobody kept it."""
    charged_credits: int | None = None
    """What it was charged; None while that is not known."""
    needs_catalog: bool = False
    """Whether only a dispatcher that knows the catalog in the database may send it."""
    kept_result: Result | None = field(default=None, compare=False)
    """What came after it had ended otherwise; part of no revision, and only some reads tell it."""
    kept_time: datetime | None = field(default=None, compare=False)
    """When the first file of that came."""
    forecast: Forecast | None = field(default=None, compare=False)
