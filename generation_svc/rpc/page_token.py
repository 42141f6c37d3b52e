"""Page tokens: opaque, and valid only for the query and the caller they were made for.

    token = base64url(version, 1 byte | seal, 12 bytes | cursor)
    seal  = the first 96 bits of SHA-256 over version, method, caller, filters and cursor

The seal is no signature and needs no key: it tells a token of another query, a damaged one and a
made-up one from a real one. A client that computes a seal itself gains nothing: the query is
read from the request and never from the token.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from generation_svc.domain.error import InvalidPageToken

MAX_LENGTH = 4096
"""The greatest number of characters in a token; the longest cursor is the address of a webhook."""
_VERSION = b"\x01"
_SEAL_BYTES = 12
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What is listed, for whom; the size of a page is no part of it (AIP-158)."""

    method: str
    caller: str
    filters: tuple[str, ...] = ()

    def token(self, cursor: str) -> str:
        """Return the token of the page that begins after the item with this cursor."""
        raw = cursor.encode()
        return base64.urlsafe_b64encode(_VERSION + self._seal(raw) + raw).decode().rstrip("=")

    def next_token(
        self, found: Sequence[_Found], *, shown: int, cursor: Callable[[_Found], object]
    ) -> str:
        """Return the token of the page after the first ones found; empty if these are all."""
        return self.token(str(cursor(found[shown - 1]))) if len(found) > shown else ""

    def cursor(self, token: str) -> str:
        """Return the cursor of a token, empty for the first page. Raises InvalidPageToken."""
        if not token:
            return ""
        raw = _decoded(token)
        seal, cursor = raw[1 : 1 + _SEAL_BYTES], raw[1 + _SEAL_BYTES :]
        if raw[:1] != _VERSION or seal != self._seal(cursor):
            raise InvalidPageToken
        return _text(cursor)

    def id_cursor(self, token: str) -> UUID | None:
        """Return the cursor of a token as an id, None for the first page. Raises InvalidPageToken.

        Whoever computes a seal may have put anything under it.
        """
        cursor = self.cursor(token)
        try:
            return UUID(cursor) if cursor else None
        except ValueError:
            raise InvalidPageToken from None

    def _seal(self, cursor: bytes) -> bytes:
        query = json.dumps([self.method, self.caller, *self.filters]).encode()
        digest = hashlib.sha256(_VERSION + hashlib.sha256(query).digest() + cursor)
        return digest.digest()[:_SEAL_BYTES]


def _text(cursor: bytes) -> str:
    try:
        text = cursor.decode()
    except UnicodeDecodeError:
        raise InvalidPageToken from None
    if "\0" in text:  # which PostgreSQL takes nowhere
        raise InvalidPageToken
    return text


def _decoded(token: str) -> bytes:
    """Return the bytes of a token, which has one spelling only."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise InvalidPageToken from None
    # b64decode passes over characters that are none of its own, and over bits left at the end:
    # without the comparison one page would have many tokens.
    if len(token) > MAX_LENGTH or base64.urlsafe_b64encode(raw).decode().rstrip("=") != token:
        raise InvalidPageToken
    return raw
