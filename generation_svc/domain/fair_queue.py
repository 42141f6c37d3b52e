"""The queue in its fair order.

Jobs are served by (fair_round, id). In a fair round every owner is served once: a new job gets the
round that is under way, which is the last of which the provider took a job, or the one after the
last of its owner's unfinished jobs. So an owner with a thousand jobs in the queue has one in
each of the next thousand rounds, and whoever comes with a first job waits for one of those at most
(start-time fair queueing, Goyal et al. 1996).
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

ENTRY_BYTES = 24
"""The size of an entry: the fair round in 8 bytes, big-endian, and the id in 16."""


def entry_of(job_id: UUID, *, fair_round: int) -> bytes:
    """Return the entry of a job in the queue; entries sort in the order of service."""
    # Big-endian, so that bytes compare as numbers do.
    return fair_round.to_bytes(8, "big") + job_id.bytes


@dataclass(frozen=True, slots=True)
class FairQueue:
    """The queued jobs at one moment; `len` is how many of them are due.

    The entries are sorted and in one piece: a hundred thousand are 2.4 MB and no objects.
    """

    entries: bytes = b""
    lengths: Mapping[str, int] = field(default_factory=dict)
    """How many of them each caller has."""

    def __len__(self) -> int:
        return len(self.entries) // ENTRY_BYTES

    def place(self, entry: bytes) -> int:
        """Return how many jobs are served before this one, which need not be in it."""
        return bisect_left(range(len(self)), entry, key=self._entry)

    def _entry(self, number: int) -> bytes:
        return self.entries[number * ENTRY_BYTES : (number + 1) * ENTRY_BYTES]
