"""The rhythm of a stream, and writing to readers who may not read."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamPace:
    """How long a stream waits for what."""

    heartbeat: timedelta = timedelta(seconds=10)
    """The silence after which a stream gives a sign of life."""
    write_timeout: timedelta = timedelta(seconds=20)
    """How long a stream waits for its reader; then the connection's age ends it."""


async def write(context: Any, message: Any, *, timeout: timedelta) -> bool:
    """Send a message; False when the reader does not read.

    Even `abort` would wait for such a reader, so the handler just ends, and the connection's
    greatest age closes it.
    """
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            await context.write(message)
    except TimeoutError:
        _logger.warning("a reader does not read and is cut off")
        return False
    return True
