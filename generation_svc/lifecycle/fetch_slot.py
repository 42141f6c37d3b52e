"""The slots of this process for results that are fetched as soon as a success is seen.

The transaction that writes the success claims the fetch as well, so nobody has to look for it. A
process that is killed before it begins loses what one loses that is killed while it fetches: the
lease runs out, and another worker claims the same fetch.
"""

from typing import Protocol

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.port.transaction import Transaction


class FetchSlot(Protocol):
    """A place for one fetch, reserved until one of the two is called."""

    def start(self, attempt: Attempt) -> None:
        """Fetch the result of an attempt that was claimed for this slot; returns at once."""

    def release(self) -> None:
        """Give the place back."""


class FetchSlots(Protocol):
    """The slots of a process."""

    def try_reserve(self) -> FetchSlot | None:
        """Reserve a place; None if all are taken, or this process fetches nothing."""


class NoFetchSlots:
    """Those of a process that fetches nothing."""

    def try_reserve(self) -> FetchSlot | None:
        """Return None."""
        return None


class FetchHandover:
    """A fetch that is handed to its slot once its claim is durable."""

    def __init__(self, tx: Transaction, *, slot: FetchSlot) -> None:
        self.claimed: Attempt | None = None
        """The attempt under its lease."""
        self._slot = slot
        # Before anything else is asked of the database: whatever fails, the place is given back.
        tx.at_end(self._end)

    def _end(self, is_durable: bool) -> None:
        if is_durable and self.claimed is not None:
            self._slot.start(self.claimed)
        else:
            self._slot.release()
