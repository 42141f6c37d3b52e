"""Records what only this process knows, despite cancellation or an unavailable database."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import structlog

from generation_svc.domain.error import Unavailable
from runtime.retry import retry
from runtime.wait import Deadline

MAX_WAIT_SECONDS = 20.0
"""How long a record is tried for; after that it is lost, and the sweep heals what it left."""
RETRY_SECONDS = 0.25
_logger = structlog.get_logger(__name__)


async def persist(record: Callable[[], Awaitable[None]]) -> None:
    """Do the work to its end even if the caller is cancelled; it must bear to be repeated."""
    task = asyncio.ensure_future(_insist(record))
    try:
        # Shielded, and on cancellation waited for: a record that is cut off may or may not be
        # committed.
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled() and task.exception():
            _logger.error("a record was lost while stopping", error=repr(task.exception()))
        raise


async def _insist(record: Callable[[], Awaitable[None]]) -> None:
    await retry(
        record,
        delays=itertools.repeat(RETRY_SECONDS),
        may_pass=lambda error: isinstance(error, Unavailable),
        deadline=Deadline(MAX_WAIT_SECONDS),
    )
