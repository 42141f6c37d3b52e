"""Rate budgets of calls to providers, shared by all replicas."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from generation_svc.domain.account import Account


@dataclass(frozen=True, slots=True)
class BudgetView:
    """How much of a budget is left."""

    free: int
    """How many calls can be taken now."""
    wait: timedelta
    """When the call after those before it can be taken; zero means now."""


class RateBudgetStore(Protocol):
    """Budgets of so many calls per sliding window; without an account one is the service's own."""

    async def look(
        self,
        budget: str,
        *,
        limit: int,
        window: timedelta,
        account: Account | None = None,
        ahead: int = 0,
    ) -> BudgetView:
        """Return when a call can be taken, after `ahead` others; it takes none."""

    async def take(
        self, budget: str, *, limit: int, window: timedelta, account: Account | None = None
    ) -> timedelta:
        """Take one call of a sliding window; zero means taken, more is the time to wait."""

    async def delay(
        self, budget: str, *, window: timedelta, account: Account | None = None
    ) -> None:
        """Let a call that was taken within this window count from now."""
