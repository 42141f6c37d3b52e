"""Signatures of Standard Webhooks 1.0, symmetric."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

SECRET_PREFIX = "whsec_"


def signatures(content: bytes, *, secrets: Iterable[str]) -> str:
    """Sign with every key, so that a receiver may know the old one or the new one.

    `content` is what Standard Webhooks signs: the id, the timestamp and the body, joined by dots.
    """
    return " ".join(f"v1,{_signature(content, secret=secret)}" for secret in secrets)


def _signature(content: bytes, *, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
