"""Media and uploads, and the links to them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class MediaKind(StrEnum):
    """What a person takes bytes for, as in the contract."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"
    FILE = "file"


_TEXT_TYPES = frozenset({"application/json"})
_ACTIVE_TYPES = frozenset({"image/svg+xml", "text/html"})
"""Documents that can hold scripts: nobody is shown them as what they say they are."""
_KINDS = {
    "image": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
    "text": MediaKind.TEXT,
}


def kind_of(mime_type: str) -> MediaKind:
    """Return the kind that bytes of this type are; FILE for what nobody can show."""
    if mime_type in _TEXT_TYPES:
        return MediaKind.TEXT
    if mime_type in _ACTIVE_TYPES:
        return MediaKind.FILE
    return _KINDS.get(mime_type.partition("/")[0], MediaKind.FILE)


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
    """Media whose bytes are in our store."""

    id: UUID
    mime_type: str
    size_bytes: int
    width: int
    """In pixels; 0 where it has none."""
    height: int
    sha256: str
    duration: timedelta | None = None
    """How long it plays; None where it does not, or nobody knows."""
    title: str = ""
    cover_id: UUID | None = None
    """The media that is shown for it, such as the cover of a song."""

    @property
    def kind(self) -> MediaKind:
        """What a person takes it for."""
        return kind_of(self.mime_type)


@dataclass(frozen=True, slots=True)
class Upload(Media):
    """Media that a caller uploaded to use as an input."""
