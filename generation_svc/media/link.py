"""Signed links to media: `<MEDIA_BASE_URL>/media/<token>`.

    token = base64url(id, 16 bytes | expiry, 8 bytes | tag, 18 bytes)
    tag   = the first 144 bits of HMAC-SHA256(MEDIA_LINK_KEY, purpose | id | expiry)

Nothing is stored: any replica with the key knows a link of any other, and another key ends them
all. 42 bytes are 56 characters exactly, so that no two texts are the same token.
"""

import base64
import hashlib
import hmac
import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from generation_svc.domain.link_error import MediaLinkInvalid
from generation_svc.domain.media import MediaLink
from runtime.clock import utc_now

TAG_BYTES = 18
STEPS_PER_LIFETIME = 4
"""How often in its lifetime the link to the same media changes."""

_CLAIM = struct.Struct(">16sQ")
_TOKEN = re.compile("[A-Za-z0-9_-]{56}")
_PURPOSE = b"atelier media link 1"


class SignedMediaLinks:
    """`MediaLinks` that are signed with a key which all replicas share."""

    def __init__(
        self,
        key: str,
        *,
        base_url: str,
        lifetime: timedelta,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._key = key.encode()
        self._base_url = base_url.rstrip("/")
        self._lifetime_s = lifetime.total_seconds()
        self._now = now

    def make(self, media_id: UUID) -> MediaLink:
        """Return a link that holds for the lifetime and up to a quarter more."""
        step = max(1, int(self._lifetime_s) // STEPS_PER_LIFETIME)
        # In steps: a link to the same media stays the same for a while, so that caches can help.
        expiry = math.ceil((self._now().timestamp() + self._lifetime_s) / step) * step
        claim = _CLAIM.pack(media_id.bytes, expiry)
        token = base64.urlsafe_b64encode(claim + self._tag(claim)).decode()
        return self._link(token, media_id=media_id, expiry=expiry)

    def read(self, token: str) -> MediaLink:
        """Return the link whose last segment this is. Raises MediaLinkInvalid."""
        raw = _decoded(token)
        claim, tag = raw[: _CLAIM.size], raw[_CLAIM.size :]
        if not hmac.compare_digest(tag, self._tag(claim)):
            raise MediaLinkInvalid
        id_bytes, expiry = _CLAIM.unpack(claim)
        if expiry <= self._now().timestamp():
            raise MediaLinkInvalid
        return self._link(token, media_id=UUID(bytes=id_bytes), expiry=expiry)

    def _tag(self, claim: bytes) -> bytes:
        return hmac.digest(self._key, _PURPOSE + claim, hashlib.sha256)[:TAG_BYTES]

    def _link(self, token: str, *, media_id: UUID, expiry: int) -> MediaLink:
        uri = f"{self._base_url}/media/{token}"
        return MediaLink(media_id, uri, datetime.fromtimestamp(expiry, UTC))


def _decoded(token: str) -> bytes:
    if not _TOKEN.fullmatch(token):
        raise MediaLinkInvalid
    return base64.urlsafe_b64decode(token)
