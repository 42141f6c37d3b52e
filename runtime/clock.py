"""The time of one machine; what replicas compare is the database's, which a port tells."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present, aware, in UTC."""
    return datetime.now(UTC)


def loop_time() -> float:
    """Return the time of the event loop, in seconds; nobody sets it, and its zero means nothing."""
    return asyncio.get_running_loop().time()
