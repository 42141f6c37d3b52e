"""Tokens that prove a right: whoever checks them keeps their hashes alone."""

from __future__ import annotations

import hashlib
import secrets

TOKEN_BYTES = 32
"""The entropy of a token: 256 bits, so that its plain SHA-256 gives nothing away."""


def new_token(size_bytes: int = TOKEN_BYTES) -> str:
    """Return a token of so much entropy, in characters that a URL may hold."""
    return secrets.token_urlsafe(size_bytes)


def token_hash(token: str) -> bytes:
    """Return what is kept of a token: never the token itself."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
