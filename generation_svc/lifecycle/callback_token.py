"""Tokens by which callbacks prove whose they are; only their hashes are stored."""

import hashlib


def token_hash(token: str) -> bytes:
    """Return what is stored of a callback token: never the token itself."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
