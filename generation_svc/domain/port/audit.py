"""The check of the ledger, a piece at a time."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from generation_svc.domain.ledger_audit import Piece


class AuditStore(Protocol):
    """Looks for what is not as it must be; it changes and locks nothing of the ledger."""

    @property
    def parts(self) -> Sequence[str]:
        """The parts of the ledger, each of which is looked at by itself."""

    async def look(self, part: str, *, after: str | None, limit: int) -> Piece:
        """Look at the next rows of a part, as they were at one moment.

        The transaction must be its own: it is made one that reads only.
        """

    async def claim(self, *, interval: timedelta) -> bool:
        """Return whether the check is due; then it is this replica's, and due again later."""

    async def keep(self, *, differences: int) -> None:
        """Remember how much the last check found."""

    async def last(self) -> int | None:
        """Return how much the last check found; None before the first one."""
