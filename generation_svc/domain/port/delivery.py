"""Deliveries and their leases."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from generation_svc.domain.caller import Caller
from generation_svc.domain.delivery import (
    Delivery,
    DeliveryKind,
    Destination,
    SendingOutcome,
)
from generation_svc.domain.job import Job


class DeliveryStore(Protocol):
    """Stores deliveries and their leases."""

    async def add(
        self, job: Job, *, kind: DeliveryKind, destination: Destination, due: timedelta
    ) -> None:
        """Make something due for a job; one row per job and kind."""

    async def lease(
        self, *, bot_id: int | None, queue: str | None, caller: str, limit: int, span: timedelta
    ) -> Sequence[Delivery]:
        """Lease due deliveries, one of a job at a time: a bot's, or those of the caller's queue."""

    async def begin(
        self, lease_token: str, *, sender: Caller | None = None, span: timedelta | None = None
    ) -> datetime:
        """Note that sending starts; return when the lease ends, `span` from now. Raises StaleLease.

        Without a span it ends when it was going to. A sender is known by the lease only where it
        may lease the delivery.
        """

    async def give_back(self, lease_token: str) -> None:
        """Release the lease of a delivery whose sending cannot begin, so that it is due at once."""

    async def report(
        self, lease_token: str, outcome: SendingOutcome, *, sender: Caller | None = None
    ) -> None:
        """Note how sending ended. Raises StaleLease, PauseTooLong."""
