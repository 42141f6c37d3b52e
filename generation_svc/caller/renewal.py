"""Follows the callers' file while the service runs: tokens start and stop working."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import structlog

from generation_svc.caller.directory import CallerDirectory
from generation_svc.caller.document import CallersError, Grant, parse_callers
from generation_svc.caller.meter import CallerMeter
from runtime.thread import in_thread

LOOK_SECONDS = 1.0
"""How often the file is looked at: a change is in force after one to two looks."""
_logger = structlog.get_logger(__name__)

_Signature = tuple[int, int, int] | None


@asynccontextmanager
async def renewed(
    directory: CallerDirectory,
    path: Path,
    *,
    look_seconds: float = LOOK_SECONDS,
    meter: CallerMeter | None = None,
) -> AsyncIterator[None]:
    """Renew a directory from its file while the block runs."""
    follow = _follow(directory, path, look_seconds=look_seconds, meter=meter or CallerMeter())
    following = asyncio.create_task(follow, name="callers-renewal")
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(
    directory: CallerDirectory, path: Path, *, look_seconds: float, meter: CallerMeter
) -> None:
    """Read the file whenever two looks agree that it is another: one being written is left alone.

    The first look finds another one, too: it may have changed since the process started.
    """
    known: _Signature = None
    last: _Signature = None
    while True:
        seen = await in_thread(partial(_signature, path), name="callers")
        if seen == last and seen != known:
            known = seen
            await _renew(directory, path, meter=meter)
        last = seen
        await asyncio.sleep(look_seconds)


async def _renew(directory: CallerDirectory, path: Path, *, meter: CallerMeter) -> None:
    """Take what the file says; a file that says nothing usable changes nothing."""
    try:
        grants = await in_thread(partial(_read, path), name="callers")
    except CallersError as error:
        meter.reads.labels("refused").inc()
        _logger.error(
            "the callers' file cannot be used; the callers stay as they were", reason=str(error)
        )
        return
    directory.replace(grants)
    meter.reads.labels("taken").inc()
    _logger.info("the callers' file was read", callers=[grant.caller.name for grant in grants])


def _read(path: Path) -> tuple[Grant, ...]:
    try:
        return parse_callers(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise CallersError(f"cannot read {path}: {reason}") from None


def _signature(path: Path) -> _Signature:
    try:
        status = path.stat()
    except OSError:
        return None
    # The inode too: a file that is replaced by a rename may keep its time and its size.
    return status.st_mtime_ns, status.st_size, status.st_ino
