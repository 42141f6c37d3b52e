"""What a database says of its money, and what the provider's costs are multiplied with."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from generation_svc.domain.daily_cap import DailyCost
from generation_svc.domain.epoch import KnownEpoch, StoredEpoch
from generation_svc.domain.money import MarginRule, MoneyMode, MoneyState


class MoneyStore(Protocol):
    """Keeps the state of the money, and the margins."""

    async def state(self) -> MoneyState | None:
        """Read the state; None where there never was money."""

    async def mark(self, mode: MoneyMode) -> MoneyState:
        """Say which money this is, unless that was said before; return what holds."""

    async def set_sales(self, closed_reason: str | None) -> MoneyState | None:
        """Close sales for a reason, or open them; return what holds.

        None says that they stay closed, since the database was restored and is not recovered.
        """

    async def margins(self) -> Sequence[MarginRule]:
        """Read the latest rule of each scope."""

    async def add_margin(self, rule: MarginRule) -> MarginRule:
        """Write a rule, which holds from now on."""

    async def daily_cost(self, day: datetime) -> DailyCost:
        """Add up what the jobs cost that were accepted since a day began, or will cost."""

    async def open_cost(self, *, within: timedelta) -> Decimal:
        """Add up the quotes of jobs that no balance can show that was told so lately."""

    async def claim_day(self, name: str, *, day: date) -> bool:
        """Return whether nobody has claimed this day, or a later one, under the name."""

    async def epoch(self) -> KnownEpoch | None:
        """Read the epoch without a lock."""

    async def lock_epoch(self) -> KnownEpoch | None:
        """Read the epoch, which nobody changes until the end of the transaction."""

    async def name_epoch(self, series: int) -> StoredEpoch:
        """Name the next epoch, unless one is named, and the series of receipts from now on."""

    async def begin_epoch(self, epoch: StoredEpoch) -> None:
        """Let the named epoch hold, which the media store has now."""

    async def close_restored(self, reason: str) -> None:
        """Close sales since the database was restored, and keep what it said then.

        The first time, jobs that are queued are held back, and outcomes that are on their way may
        have arrived already.
        """

    async def end_recovery(self) -> None:
        """Open sales that were closed since the database was restored."""

    async def queued_at_restore(self, *, limit: int) -> Sequence[UUID]:
        """Return jobs that are still queued since before the database was found to be restored."""

    async def unknown_attempts(self, attempt_ids: Collection[UUID]) -> Collection[UUID]:
        """Return those that the database does not know."""
