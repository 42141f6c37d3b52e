"""The provider's limits and its breaker, shared by all replicas."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

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
