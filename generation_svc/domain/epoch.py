"""The epoch of the money: how a database is told that was restored from a backup.

Database and media store hold the same epoch, which changes soon after money moved. A database that
was restored has one of earlier, so that the media store's is not the one that it knows. The other
way round it is the media store that is older, was emptied, or belongs to another database.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

RECOVER = "run python -m generation_svc.recover."


class EpochState(StrEnum):
    """What was found of the epochs of database and media store."""

    HELD = "held"
    """They agree, and no money moved."""
    BEGUN = "begun"
    """They agree on a new one, which covers what moved."""
    DIFFERENT = "different"
    """One of the two is older than the other."""


class ForeignStore(Exception):
    """The media store belongs to another database."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            "The media store belongs to another database, whose money began on"
            f" {origin[:19].replace('T', ' ')} UTC. Give the service its own (MEDIA_URL,"
            " DATA_FOLDER) or its own database (DATABASE_URL); to let this database take the media"
            " store over, run python -m generation_svc.recover --take-store."
        )


@dataclass(frozen=True, slots=True)
class StoredEpoch:
    """What the media store says."""

    epoch: UUID
    series: int = 1
    """The series of receipts, which must not begin twice."""
    transfer: int = 0
    """The last transfer when it was named."""
    origin: str = ""
    """When the money of its database began, which no two databases share but a backup and its
    original; empty if the media store does not say."""

    def text(self) -> str:
        """Return it as the media store has it."""
        names = {"series": self.series, "transfer": self.transfer, "origin": self.origin}
        return json.dumps({"epoch": str(self.epoch), **names})


@dataclass(frozen=True, slots=True)
class Restored:
    """What a database said when it was found to be a restored one."""

    time: datetime
    balances: Mapping[str, str]
    """What each account at the provider had left, as far as it was known."""
    reason: str
    """What was found, as operators read it."""


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
    origin: str = ""
    """When the money of this database began."""
    transfer: int = 0
    """The last transfer when the epoch began."""

    @property
    def is_due(self) -> bool:
        """Whether the next one is to begin."""
        return self.has_moved or not self.is_stored or self.next_epoch is not None

    def fits(self, stored: StoredEpoch | None) -> bool:
        """Return whether the media store has what this database left there."""
        if stored is None:
            return not self.is_stored
        return stored.epoch in (self.epoch, self.next_epoch)

    def is_foreign(self, stored: StoredEpoch | None) -> bool:
        """Return whether the media store says that it belongs to another database."""
        return stored is not None and bool(stored.origin) and stored.origin != self.origin

    def difference(self, stored: StoredEpoch | None) -> str:
        """Say what seems to have happened where the media store has what does not fit."""
        if stored is None:
            found = "The media store has lost its epoch, as if it was emptied or is another one"
        elif stored.transfer < self.transfer:
            found = "The media store is older than the database, as if a copy of it was restored"
        else:
            found = "The database is older than the media store, as if a backup was restored"
        return f"{found}: {RECOVER}"


def parse_epoch(text: str) -> StoredEpoch:
    """Read what the media store has. Raises ValueError."""
    document: Any = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("series"), int):
        raise ValueError("it is no epoch")
    epoch, origin = UUID(str(document.get("epoch"))), str(document.get("origin", ""))
    # What does not say how far it is counts as newer: then it is the database that is looked after.
    return StoredEpoch(epoch, document["series"], document.get("transfer", sys.maxsize), origin)
