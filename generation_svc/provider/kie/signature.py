"""The signature of a callback (kie-api.md §3).

    X-Webhook-Signature = base64(HMAC-SHA256(key, taskId + "." + X-Webhook-Timestamp))

The body is not signed: a valid signature says that KIE spoke of this task at that time, not what
it said.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from enum import StrEnum

DEFAULT_WINDOW = timedelta(minutes=5)
"""How far the timestamp may be from now, in both directions."""


class Verdict(StrEnum):
    """What a signature is worth."""

    VALID = "valid"
    MISSING = "missing"
    STALE = "stale"
    WRONG = "wrong"


def judge_signature(
    key: str,
    *,
    task_id: str,
    timestamp: str,
    signature: str,
    now: datetime,
    window: timedelta = DEFAULT_WINDOW,
) -> Verdict:
    """Return whether the signature was made with this key for this task, and recently."""
    if not signature:
        return Verdict.MISSING
    moment = _moment(timestamp)
    if not key or moment is None:
        return Verdict.WRONG
    expected = sign(key, task_id=task_id, timestamp=timestamp)
    # In constant time, or the signature could be found out one character after the other.
    if not hmac.compare_digest(expected, _raw(signature.strip())):
        return Verdict.WRONG
    return Verdict.STALE if abs(now - moment) > window else Verdict.VALID


def sign(key: str, *, task_id: str, timestamp: str) -> bytes:
    """Return the signature that KIE sends for this task at this time."""
    digest = hmac.digest(_raw(key), _raw(f"{task_id}.{timestamp}"), hashlib.sha256)
    return base64.b64encode(digest)


def _moment(timestamp: str) -> datetime | None:
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 11):
        return None
    return datetime.fromtimestamp(int(timestamp), UTC)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
