"""Hands a fetch to this process in the transaction that makes it due.

The transaction that writes the success claims the fetch as well, so nobody has to look for it. A
process that is killed before it begins loses what one loses that is killed while it fetches: the
lease runs out, and another worker claims the same fetch.
"""

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle.local_engine import Slot


class FetchHandover:
    """A fetch that is handed to its slot once its claim is durable."""

    def __init__(self, tx: Transaction, *, slot: Slot[Attempt]) -> None:
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
