"""The ledger: wallets, the transfers that they add up to, and what is held for jobs.

Wallets are locked after everything else, and several of them in the order of their names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from generation_svc.domain.cost_excess import CostExcess
from generation_svc.domain.daily_report import DailyLine
from generation_svc.domain.ledger import Delivered, Grant, Transfer, Wallet


@dataclass(frozen=True, slots=True)
class EndedHold:
    """A hold whose job is over, and which nobody ended."""

    job_id: UUID
    create_time: datetime
    is_stored: bool
    """Whether a result of the job is ours."""


class LedgerStore(Protocol):
    """Moves credits, and whatever else is counted."""

    async def wallet(self, owner: str) -> Wallet:
        """Read what an owner has; one without a wallet has nothing."""

    async def lock(self, owners: Sequence[str]) -> Mapping[str, Wallet]:
        """Lock the wallets of owners, and make those that are not there."""

    async def block(self, owner: str, *, is_blocked: bool, reason: str) -> None:
        """Say whether the owner of a locked wallet may start and buy anything."""

    async def note_grant(self, grant: Grant) -> tuple[Grant, bool]:
        """Note a grant once, and return what is noted under its id, and whether it is new.

        Another call with this id waits until the end of the transaction.
        """

    async def move(self, transfers: Sequence[Transfer]) -> int:
        """Write transfers and what they make of the wallets, which are locked already.

        Return how many were written: one that was written before is left out.
        """

    async def transfers(
        self, owner: str, *, before: int | None = None, limit: int
    ) -> Sequence[Transfer]:
        """Read an owner's transfers, the newest first, from before a number on."""

    async def statement(
        self, owner: str, *, start: datetime, end: datetime, limit: int
    ) -> tuple[int, Sequence[Transfer]]:
        """Read an owner's latest transfers of a period, the oldest first.

        Before them the balance that the owner had then.
        """

    async def find(self, cause: str) -> Sequence[Transfer]:
        """Read what was moved for a cause, the oldest first."""

    async def capture(self, job_id: UUID, delivered: Delivered) -> int | None:
        """End the open hold of a locked job by what was delivered; the rest goes back.

        Return what was captured; None if nothing was held any more.
        """

    async def release(self, job_id: UUID, *, is_over: bool = True) -> bool:
        """Give back what is held for a locked job; return whether anything was.

        Where it is not certain that the job is over, a live attempt keeps the hold.
        """

    async def lower(self, job_id: UUID, delivered: Delivered) -> int | None:
        """Give back what was captured for a locked job beyond what its result is worth.

        Return what is captured now; None if that is what it was.
        """

    async def book_cost(self, attempt_id: UUID, cost: Decimal, *, is_success: bool) -> bool:
        """Note what the provider took for an attempt, once; return whether that is news.

        A success whose job gave its hold back already is paid by the house.
        """

    async def note_excess(self, excess: CostExcess) -> None:
        """Note a task that cost too much, until somebody takes its model off sale."""

    async def dear_models(self) -> Sequence[str]:
        """Read the models of which such tasks are noted."""

    async def take_excess(self, model_id: str) -> CostExcess | None:
        """Forget what is noted of a model, and return the dearest; others get it no more."""

    async def daily_lines(
        self, *, start: datetime, end: datetime, limit: int
    ) -> Sequence[DailyLine]:
        """Add up what was charged and what the provider took, by day of UTC and by model."""

    async def over(self, *, after: EndedHold | None = None, limit: int) -> Sequence[EndedHold]:
        """Find open holds of jobs that are final and have no live attempt, the oldest first."""
