"""Signed links for uploads: `<MEDIA_BASE_URL>/upload/<token>`.

    token = base64url(tag, 18 bytes | ticket as JSON)
    tag   = the first 144 bits of HMAC-SHA256(MEDIA_LINK_KEY, purpose | ticket)

Nothing is stored: any replica with the key knows a link of any other. That it works once is kept by
the id of its upload, of which there can be only one.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from generation_svc.domain.link_error import UploadLinkInvalid
from generation_svc.domain.media import MediaKind
from generation_svc.domain.upload_link import UploadTicket
from runtime.clock import utc_now

TAG_BYTES = 18
MAX_TOKEN_CHARS = 1900
"""What leaves room for the address of the gateway in a link of 2048 characters."""
_TOKEN = re.compile(f"[A-Za-z0-9_-]{{24,{MAX_TOKEN_CHARS}}}")
_PURPOSE = b"atelier upload link 1"


class SignedUploadLinks:
    """`UploadLinks` that are signed with a key which all replicas share."""

    def __init__(self, key: str, *, base_url: str, now: Callable[[], datetime] = utc_now) -> None:
        self._key = key.encode()
        self._base_url = base_url.rstrip("/")
        self._now = now

    def make(self, ticket: UploadTicket) -> str:
        """Return the address of the page for a ticket."""
        claim = json.dumps(_written(ticket), separators=(",", ":"), ensure_ascii=False).encode()
        token = base64.urlsafe_b64encode(self._tag(claim) + claim).decode().rstrip("=")
        return f"{self._base_url}/upload/{token}"

    def read(self, token: str) -> UploadTicket:
        """Return the ticket whose link has this last segment. Raises UploadLinkInvalid."""
        raw = _decoded(token)
        tag, claim = raw[:TAG_BYTES], raw[TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(claim)):
            raise UploadLinkInvalid
        ticket = _read(json.loads(claim))
        if ticket.expire_time <= self._now():
            raise UploadLinkInvalid
        return ticket

    def _tag(self, claim: bytes) -> bytes:
        return hmac.digest(self._key, _PURPOSE + claim, hashlib.sha256)[:TAG_BYTES]


def _written(ticket: UploadTicket) -> list[Any]:
    return [
        ticket.upload_id.hex,
        ticket.caller,
        ticket.owner,
        int(ticket.expire_time.timestamp()),
        list(ticket.kinds),
        ticket.language,
        ticket.return_uri,
    ]


def _read(claim: list[Any]) -> UploadTicket:
    upload_id, caller, owner, expiry, kinds, language, return_uri = claim
    return UploadTicket(
        upload_id=UUID(upload_id),
        caller=caller,
        owner=owner,
        expire_time=datetime.fromtimestamp(expiry, UTC),
        kinds=tuple(map(MediaKind, kinds)),
        language=language,
        return_uri=return_uri,
    )


def _decoded(token: str) -> bytes:
    if not _TOKEN.fullmatch(token):
        raise UploadLinkInvalid
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error as error:
        raise UploadLinkInvalid from error
