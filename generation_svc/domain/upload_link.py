"""Links by which a person who is no caller sends one file, once."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from generation_svc.domain.media import MediaKind, Upload

LIFETIME = timedelta(minutes=30)
"""How long a link holds: as long as somebody takes to find a film and send it."""


@dataclass(frozen=True, slots=True)
class UploadTicket:
    """What a link grants: one upload, whose id is known beforehand."""

    upload_id: UUID
    caller: str
    owner: str
    expire_time: datetime
    kinds: tuple[MediaKind, ...]
    language: str = ""
    return_uri: str = ""


@dataclass(frozen=True, slots=True)
class UploadLink:
    """A ticket, the link that is made of it, and what was sent by it."""

    ticket: UploadTicket
    max_bytes: int
    uri: str = field(default="", repr=False)
    upload: Upload | None = None


class UploadLinks(Protocol):
    """Makes links for uploads and verifies them."""

    def make(self, ticket: UploadTicket) -> str:
        """Return the address of the page for a ticket."""

    def read(self, token: str) -> UploadTicket:
        """Return the ticket whose link has this last segment. Raises UploadLinkInvalid."""


def upload_id_of(caller: str, *, owner: str, draft: str) -> UUID:
    """Return the id of the upload for a draft: the same one however often it is asked for."""
    parts = (part.encode() for part in ("atelier upload link 1", caller, owner, draft))
    digest = hashlib.sha256(b"".join(len(part).to_bytes(4) + part for part in parts)).digest()
    return UUID(bytes=digest[:16], version=5)
