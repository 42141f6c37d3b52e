"""The breakers before the accounts, shared by all replicas, and what the accounts have left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from generation_svc.domain.account import Account
from generation_svc.domain.job import DelayReason


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Whether an account is used at all."""

    reason: DelayReason | None
    """Why the breaker is open; None means that it is closed."""
    is_probe_due: bool


CLOSED = BreakerState(reason=None, is_probe_due=False)
"""The state of a breaker that nothing was said to."""


class BreakerStore(Protocol):
    """A breaker and a balance for each account."""

    async def states(self, accounts: Sequence[Account]) -> Mapping[Account, BreakerState]:
        """Read the breakers of these accounts."""

    async def claim_probe(self, account: Account, *, interval: timedelta) -> bool:
        """Take the right to the one probe that is due."""

    async def trip(
        self, account: Account, *, reason: DelayReason, threshold: int, interval: timedelta
    ) -> None:
        """Count a fault; open the breaker when the threshold is reached."""

    async def end_probe(self, account: Account, *, interval: timedelta) -> None:
        """Let the next probe come an interval from now, if the breaker is still open."""

    async def close(self, account: Account) -> bool:
        """Note that the account works; return whether its breaker was open."""

    async def recent(self, *, within: timedelta) -> Sequence[Account]:
        """Return the accounts that some replica knew within this time, by their balances."""

    async def claim_balance(self, account: Account, *, interval: timedelta) -> bool:
        """Take the right to the one reading of a balance that is due."""

    async def keep_balance(self, account: Account, balance: Decimal) -> None:
        """Keep what an account has left."""

    async def balances(
        self, accounts: Sequence[Account], *, within: timedelta | None = None
    ) -> Mapping[Account, Decimal]:
        """Read what accounts have left, where it is known, or was told within a time."""
