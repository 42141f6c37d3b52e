"""Links by which anybody may fetch media for a while."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class MediaLink:
    """A right to the bytes of one media, for whoever holds its address."""

    media_id: UUID
    uri: str = field(repr=False)
    expire_time: datetime


class MediaLinks(Protocol):
    """Makes links and knows its own again."""

    def make(self, media_id: UUID) -> MediaLink:
        """Return a link to media; the same one for a while."""

    def read(self, token: str) -> MediaLink:
        """Return the link whose last segment this is. Raises MediaLinkInvalid."""
