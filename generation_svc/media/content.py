"""Has media examined in separate processes.

What they are is found by looking at them, never by a name or a declared type. What comes from
strangers and what jobs wait for have processes apart, so that no upload holds up a result. A
picture that takes more than it may is refused; a process that was lost is none of its doing. A clip
on which the examination ends is kept as a file: nothing of it is said to be true.
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
    FetchFailed,
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

        Raises FetchFailed for one that is damaged, ResultRejected for what will not be better when
        it is fetched again, or Unavailable.
        """
        order = await self._order("result", path, is_media_promised=is_media_promised)
        try:
            answer = await self._ask_own(order)
        except (LimitReached, NotExamined) as error:
            answer = await self._given_up(path, error)
        if "fault" in answer:
            is_final = answer["fault"] != "damaged"
            raise (ResultRejected if is_final else FetchFailed)(answer["text"])
        return _examined(path, answer)

    async def clean(self, path: Path) -> None:
        """Take the metadata out of an upload of before; raises UploadRejected, Unavailable."""
        try:
            answer = await self._ask_own(await self._order("clean", path))
        except LimitReached as error:
            raise UploadRejected(_TOO_MUCH) from error
        if "fault" in answer:
            raise UploadRejected(answer["text"])

    async def _given_up(self, path: Path, error: Exception) -> dict[str, Any]:
        """Keep a clip that cannot be examined as a file; a picture is refused, or for later."""
        if picture_type(await self.scratch.read(path, most=HEAD_BYTES)):
            if isinstance(error, NotExamined):
                raise error
            return {"fault": "limit", "text": _TOO_MUCH}
        _logger.warning("a result cannot be examined and is kept as a file", reason=repr(error))
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
    milliseconds = answer.pop("duration_ms")
    duration = None if milliseconds is None else timedelta(milliseconds=milliseconds)
    return Examined(path=path, duration=duration, **answer)
