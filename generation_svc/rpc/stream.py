"""The timing of streams, and writes to clients that may not read."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from grpc_status import rpc_status

from generation_svc.domain.error import CallTooLong
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.error_table import status_of

JITTER = 0.1
"""By how much a heartbeat may come early."""
_T = TypeVar("_T")
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamTiming:
    """The timeouts of a stream."""

    heartbeat: timedelta = timedelta(seconds=10)
    """The silence after which a stream sends a heartbeat, where few are open."""
    longest_silence: timedelta = timedelta(seconds=50)
    """The same where many are; there are proxies that end a stream after a minute of it."""
    heartbeats_per_second: int = 100
    """How many there are of all streams together, as far as the longest silence allows."""
    write_timeout: timedelta = timedelta(seconds=20)
    """How long a stream waits for its reader; then its connection is closed as stalled."""
    read_timeout: timedelta = timedelta(seconds=30)
    """How long to wait for the next message of a client, or the next piece from the store."""


class Heartbeats:
    """How long an idle stream is silent: the longer, the more streams are open."""

    def __init__(self, timing: StreamTiming) -> None:
        self._timing = timing
        self._open_streams = 0

    @contextmanager
    def of_open_stream(self) -> Iterator[Callable[[], timedelta]]:
        """Count a stream during the block, and give what tells its next silence."""
        self._open_streams += 1
        try:
            yield self.silence
        finally:
            self._open_streams -= 1

    def silence(self) -> timedelta:
        """Return after how much silence the next heartbeat is sent."""
        timing = self._timing
        fair = timedelta(seconds=self._open_streams / timing.heartbeats_per_second)
        longest = max(timing.heartbeat, min(fair, timing.longest_silence))
        # Random, so that streams which began together do not all beat in the same moment.
        return longest * random.uniform(1 - JITTER, 1)


async def in_time(items: AsyncIterator[_T], *, timeout: timedelta) -> AsyncGenerator[_T, None]:
    """Give the items. Raises CallTooLong if the next one does not come in time."""
    while True:
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                item = await anext(items)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise CallTooLong from error
        yield item


async def write(context: ServicerContext, message: Any, *, timeout: timedelta) -> bool:
    """Send a message; False when the reader does not read.

    Even `abort` would wait for such a reader, so the handler just ends, with the status of an error
    for a reader that goes on after all; the connection is closed when nothing moves on it
    (`rpc/unread.py`), or by its greatest age.
    """
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            await context.write(message)
    except TimeoutError:
        _logger.warning("a client does not read; its stream is ended")
        _end_with(context, CallTooLong())
        return False
    return True


def _end_with(context: ServicerContext, error: Exception) -> None:
    """Let a call end with an error when its handler returns; OK would say that this was all."""
    status = rpc_status.to_status(status_of(error))
    context.set_code(status.code)
    context.set_details(status.details)
    context.set_trailing_metadata(status.trailing_metadata)
