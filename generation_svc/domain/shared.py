"""What all replicas share of the provider: its limits, its breaker, its models that are off.

They are ports of the storage, like those in `port`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from generation_svc.domain.job import DelayReason


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Whether the provider is called at all."""

    reason: DelayReason | None
    """Why the breaker is open; None means that it is closed."""
    is_probe_due: bool


class BudgetStore(Protocol):
    """The provider's limits and its breaker, shared by all replicas."""

    async def wait(
        self, budget: str, *, limit: int, window: timedelta, ahead: int = 0
    ) -> timedelta:
        """Return when a call can be taken, after `ahead` others; it takes none."""

    async def take(self, budget: str, *, limit: int, window: timedelta) -> timedelta:
        """Take one call of a sliding window; zero means taken, more is the time to wait."""

    async def delay(self, budget: str, *, since: timedelta) -> None:
        """Let a call that was taken within this time count from now."""

    async def breaker(self) -> BreakerState:
        """Read the breaker."""

    async def claim_probe(self, *, interval: timedelta) -> bool:
        """Take the right to the one probe that is due."""

    async def trip(self, reason: DelayReason, *, threshold: int, interval: timedelta) -> None:
        """Count a fault; open the breaker when the threshold is reached."""

    async def end_probe(self, *, interval: timedelta) -> None:
        """Let the next probe come an interval from now, if the breaker is still open."""

    async def close_breaker(self) -> bool:
        """Note that the provider works; return whether the breaker was open."""


class ModelStore(Protocol):
    """The models that the provider switched off, as all replicas know."""

    async def outages(self) -> Mapping[str, datetime]:
        """Read the models that are off, and until when they rest."""

    async def rest_left(self, model_id: str) -> timedelta | None:
        """Read how long a model that is off still rests; None if it is on."""

    async def begin_outage(self, model_id: str, *, rest: timedelta, text: str) -> bool:
        """Note that a model is off, and let it rest; return whether that is news."""

    async def claim_probe(self, model_id: str, *, job_id: UUID, span: timedelta) -> bool:
        """Let this job be the one that tries a model whose rest is over, for so long."""

    async def end_outage(self, model_id: str) -> bool:
        """Note that a model works; return whether it was off."""
