"""Rate budgets of calls to providers, shared by all replicas."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from generation_svc.domain.account import Account


class RateBudgetStore(Protocol):
    """Budgets of so many calls per sliding window; without an account one is the service's own."""

    async def take(
        self, budget: str, *, limit: int, window: timedelta, account: Account | None = None
    ) -> timedelta:
        """Take one call of a sliding window; zero means taken, more is the time to wait."""

    async def take_several(
        self, budget: str, *, calls: Mapping[Account, int], limit: int, window: timedelta
    ) -> Mapping[Account, int]:
        """Take up to so many calls of each account; return how many were free."""

    async def delay(
        self, budget: str, *, window: timedelta, account: Account | None = None
    ) -> None:
        """Let a call that was taken within this window count from now."""
