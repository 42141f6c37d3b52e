"""Media and uploads, and the links to them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class MediaKind(StrEnum):
    """The kinds of media, as in the contract."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"
    FILE = "file"


_TEXT_TYPES = frozenset({"application/json"})
_SCORE_TYPES = frozenset({"audio/midi"})
"""Types of notes, which chats and browsers do not play."""
_ACTIVE_TYPES = frozenset({"image/svg+xml", "text/html"})
"""Types that can hold scripts, and are therefore served as plain files."""
_KINDS = {
    "image": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
    "text": MediaKind.TEXT,
}


def kind_of(mime_type: str) -> MediaKind:
    """Return the kind of media of this type; FILE for what cannot be shown."""
    if mime_type in _TEXT_TYPES:
        return MediaKind.TEXT
    if mime_type in _ACTIVE_TYPES | _SCORE_TYPES:
        return MediaKind.FILE
    return _KINDS.get(mime_type.partition("/")[0], MediaKind.FILE)


@dataclass(frozen=True, slots=True)
class MediaLink:
    """A link that grants access to the bytes of one media."""

    media_id: UUID
    uri: str = field(repr=False)
    expire_time: datetime


class MediaLinks(Protocol):
    """Makes links to media and verifies them."""

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
    """The playing time; None if it has none or it is unknown."""
    title: str = ""
    cover_id: UUID | None = None
    """The media that is shown for it, such as the cover of a song."""
    number: int = 0
    """Its place among what its job made, from 1, also where others are missing; 0 has none."""

    @property
    def kind(self) -> MediaKind:
        """The kind that follows from its type."""
        return kind_of(self.mime_type)


@dataclass(frozen=True, slots=True)
class Upload(Media):
    """Media that a caller uploaded to use as an input."""
