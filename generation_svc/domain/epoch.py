"""The epoch of the money: how a database is told that was restored from a backup.

Database and media store hold the same epoch, which changes soon after money moved. A database that
was restored has one of earlier, so that the media store's is not the one that it knows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

RESTORED = (
    "The database is older than the media store, as if a backup was restored:"
    " run python -m generation_svc.recover."
)
"""Why nothing is sold until the operator has recovered what is missing."""


@dataclass(frozen=True, slots=True)
class StoredEpoch:
    """What the media store says."""

    epoch: UUID
    series: int = 1
    """The series of receipts, which must not begin twice."""
    transfer: int = 0
    """The last transfer when it was named; the media store need not know it."""

    def text(self) -> str:
        """Return it as the media store has it."""
        return json.dumps({"epoch": str(self.epoch), "series": self.series})


@dataclass(frozen=True, slots=True)
class Restored:
    """What a database said when it was found to be a restored one."""

    time: datetime
    balances: Mapping[str, str]
    """What each account at the provider had left, as far as it was known."""


@dataclass(frozen=True, slots=True)
class KnownEpoch:
    """What the database says."""

    epoch: UUID
    series: int
    next_epoch: UUID | None = None
    """The one that is being written to the media store, or was when that was interrupted."""
    is_stored: bool = False
    """Whether the media store ever had one."""
    has_moved: bool = False
    """Whether money moved since it began."""
    restored: Restored | None = None

    @property
    def is_due(self) -> bool:
        """Whether the next one is to begin."""
        return self.has_moved or not self.is_stored or self.next_epoch is not None

    def fits(self, stored: StoredEpoch | None) -> bool:
        """Return whether the media store has what this database left there."""
        if stored is None:
            return not self.is_stored
        return stored.epoch in (self.epoch, self.next_epoch)


def parse_epoch(text: str) -> StoredEpoch:
    """Read what the media store has. Raises ValueError."""
    document: Any = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("series"), int):
        raise ValueError("it is no epoch")
    return StoredEpoch(UUID(str(document.get("epoch"))), document["series"])
