"""Has media examined in separate processes.

What they are is found by looking at them, never by a name or a declared type. What comes from
strangers and what jobs wait for have processes apart, so that no upload holds up a result. An
upload that takes more than it may is refused; a process that was lost is none of its doing. A
result on which the examination ends is kept as a file, for it is paid for: nothing of it is said to
be true.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from generation_svc.domain.error import (
    NotExamined,
    Overloaded,
    ResultRejected,
    UploadRejected,
)
from generation_svc.domain.port.media import Examined
from generation_svc.domain.upload_bound import UploadBounds
from generation_svc.media.decoder.child import ChildLimits, LimitReached
from generation_svc.media.decoder.fair_slots import Customer, FairSlots, NoSlot
from generation_svc.media.decoder.pool import Children
from generation_svc.media.examination.poster import poster_of
from generation_svc.media.examination.sniff import HEAD_BYTES, picture_type
from generation_svc.media.meter import MediaMeter
from generation_svc.media.scratch import Scratch

UPLOAD_PROCESSES = 3
"""How many processes examine uploads; a caller has all but one of them at most."""
RESULT_PROCESSES = 2
"""How many processes examine results, which jobs wait for."""
MOST_WAITING = 256
"""How many uploads wait for a process."""
MAX_WAIT_SECONDS = 30.0
"""How long an upload waits for one."""
_BUSY_RETRY = timedelta(seconds=5)
_TOO_MUCH = "The image takes too long to read."
_UPLOAD_TOO_MUCH = "The file takes too long to read."
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Examiner:
    """Examines uploads in turn and fairly, and results apart from them."""

    scratch: Scratch
    strangers: Children
    """The processes for uploads."""
    own: Children
    """The processes for results and for what is handed to the provider."""
    places: FairSlots
    bounds: Callable[[], UploadBounds] = UploadBounds
    """How large an upload of each kind may be at the moment."""
    own_places: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(RESULT_PROCESSES)
    )

    async def upload(self, path: Path, *, caller: str, owner: str) -> Examined:
        """Say what the upload in a file is, and leave in the file what of it is kept.

        Raises UploadRejected, Overloaded or Unavailable.
        """
        order = await self._order("upload", path, max_bytes=dict(self.bounds().by_kind))
        try:
            async with self.places.place(Customer(caller, owner)):
                answer = await self.strangers.ask(order)
        except NoSlot as error:
            raise Overloaded("examination of uploads", retry_after=_BUSY_RETRY) from error
        except LimitReached as error:
            raise UploadRejected(_UPLOAD_TOO_MUCH) from error
        if "fault" in answer:
            raise UploadRejected(answer["text"])
        return _examined(path, answer)

    async def result(self, path: Path, *, is_media_promised: bool = True) -> Examined:
        """Say what the result in a file is; what stands behind a picture's end is cut off.

        A picture that is damaged is a file that says so. Raises ResultRejected for what is none at
        all, or Unavailable.
        """
        order = await self._order("result", path, is_media_promised=is_media_promised)
        try:
            answer = await self._ask_own(order)
        except (LimitReached, NotExamined) as error:
            answer = await self._given_up(path, error)
        fault = answer.get("fault")
        if fault in ("limit", "damaged"):
            answer = await self._as_file(path, reason=answer["text"])
        elif fault:
            raise ResultRejected(answer["text"])
        return replace(_examined(path, answer), is_damaged=fault == "damaged")

    async def clean(self, path: Path) -> None:
        """Take the metadata out of an upload of before; raises UploadRejected, Unavailable."""
        try:
            answer = await self._ask_own(await self._order("clean", path))
        except LimitReached as error:
            raise UploadRejected(_TOO_MUCH) from error
        if "fault" in answer:
            raise UploadRejected(answer["text"])

    async def _given_up(self, path: Path, error: Exception) -> dict[str, Any]:
        """Keep what cannot be examined as a file; a picture whose process was lost is for later."""
        is_lost = isinstance(error, NotExamined)
        if is_lost and picture_type(await self.scratch.read(path, most=HEAD_BYTES)):
            raise error
        return await self._as_file(path, reason=repr(error))

    async def _as_file(self, path: Path, *, reason: str) -> dict[str, Any]:
        _logger.warning("a result cannot be examined and is kept as a file", reason=reason)
        return await self._ask_own(await self._order("file", path))

    async def _ask_own(self, order: dict[str, Any]) -> dict[str, Any]:
        async with self.own_places:
            return await self.own.ask(order)

    async def _order(self, task: str, path: Path, **options: object) -> dict[str, Any]:
        size = await self.scratch.size(path)
        return {"task": task, "path": str(path), "size_bytes": size, **options}


@asynccontextmanager
async def open_examiner(
    scratch: Scratch,
    *,
    upload_processes: int = UPLOAD_PROCESSES,
    bounds: Callable[[], UploadBounds] = UploadBounds,
    limits: ChildLimits | None = None,
    meter: MediaMeter | None = None,
) -> AsyncIterator[Examiner]:
    """Open an examiner, whose processes start when they are needed and end with the block."""
    limits = limits or ChildLimits()
    places = FairSlots(
        upload_processes, most_waiting=MOST_WAITING, max_wait_seconds=MAX_WAIT_SECONDS
    )
    meter = meter or MediaMeter()
    async with (
        Children(limits, meter=meter) as strangers,
        Children(replace(limits, nice=0), meter=meter) as own,
    ):
        yield Examiner(scratch, strangers, own, places, bounds)


def _examined(path: Path, answer: dict[str, Any]) -> Examined:
    milliseconds, told = answer.pop("duration_ms"), answer.pop("poster", None)
    duration = None if milliseconds is None else timedelta(milliseconds=milliseconds)
    poster = Examined(path=poster_of(path), mime_type="image/jpeg", **told) if told else None
    return Examined(path=path, duration=duration, poster=poster, **answer)
