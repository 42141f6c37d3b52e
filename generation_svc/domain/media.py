"""Media and uploads, and the links to them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes whose type was found by looking at them."""

    data: bytes = field(repr=False)
    mime_type: str
    width: int
    height: int
    sha256: str


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


@dataclass(frozen=True, slots=True)
class Media:
    """A picture whose bytes are in our store."""

    id: UUID
    mime_type: str
    size_bytes: int
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that a caller uploaded to use as an input."""

    id: UUID
    mime_type: str
    size_bytes: int
    width: int
    height: int
    sha256: str
