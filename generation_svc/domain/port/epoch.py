"""How a database is told that was restored, and what it then lacks."""

from collections.abc import Collection, Sequence
from typing import Protocol
from uuid import UUID

from generation_svc.domain.epoch import KnownEpoch, StoredEpoch


class EpochStore(Protocol):
    """Keeps the epoch of the money. Whoever changes it has locked it first."""

    async def get(self) -> KnownEpoch | None:
        """Read the epoch without a lock."""

    async def lock(self) -> KnownEpoch | None:
        """Read the epoch, which nobody changes until the end of the transaction."""

    async def name_next(self, series: int) -> StoredEpoch:
        """Name the next epoch, unless one is named, and the series of receipts from now on."""

    async def begin(self, epoch: StoredEpoch) -> None:
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
