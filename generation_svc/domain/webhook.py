"""Webhook addresses and the outcomes of posts to them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

GONE = 410
"""The status by which a receiver refuses all further posts."""


class WebhookOutcome(StrEnum):
    """What came of a post."""

    TAKEN = "taken"
    GONE = "gone"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class WebhookAttempt:
    """One post to an address."""

    time: datetime
    status: int
    """The HTTP status; 0 where no answer came."""
    problem: str = ""
    """Why no answer came."""

    @property
    def outcome(self) -> WebhookOutcome:
        """What came of it."""
        if not self.status:
            return WebhookOutcome.UNREACHABLE
        if self.status == GONE:
            return WebhookOutcome.GONE
        return WebhookOutcome.TAKEN if 200 <= self.status < 300 else WebhookOutcome.REFUSED


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """An address of a caller's, with the story of its posts."""

    url: str
    create_time: datetime
    disable_time: datetime | None
    """Since when nothing is posted to it; None means that it is enabled."""
    disable_reason: str
    last_attempt: WebhookAttempt | None
    taken_count: int
    failure_count: int
    consecutive_failure_count: int
