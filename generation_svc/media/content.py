"""Has pictures examined in processes of their own.

What they are is found by looking at them, never by a name or a declared type. What comes from
strangers and what jobs wait for have processes apart, so that no upload holds up a result. A
picture that takes more than it may is refused; a process that was lost is none of its doing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from generation_svc.domain.error import (
    FetchFailed,
    Overloaded,
    ResultRejected,
    UploadRejected,
)
from generation_svc.domain.media import Content
from generation_svc.domain.port.media import Examined
from generation_svc.media.decoder.child import ChildLimits, LimitReached
from generation_svc.media.decoder.fair_slots import Customer, FairSlots, NoSlot
from generation_svc.media.decoder.pool import Children
from generation_svc.media.meter import MediaMeter
from generation_svc.media.scratch import Scratch

MAX_RESULT_BYTES = 50 * 2**20
"""The largest result that is kept; also what a Telegram document may have."""

UPLOAD_PROCESSES = 3
"""How many processes examine uploads; a caller has all but one of them at most."""
RESULT_PROCESSES = 2
"""How many processes examine results, which jobs wait for."""
MOST_WAITING = 256
"""How many uploads wait for a process."""
MAX_WAIT_SECONDS = 30.0
"""How long an upload waits for one."""
_BUSY_RETRY = timedelta(seconds=5)
_TOO_MUCH = "The picture takes too long to be read."


@dataclass(frozen=True, slots=True)
class Examiner:
    """Examines uploads in turn and fairly, and results apart from them."""

    scratch: Scratch
    strangers: Children
    """The processes for uploads."""
    own: Children
    """The processes for results and for what is handed to the provider."""
    places: FairSlots
    own_places: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(RESULT_PROCESSES)
    )

    async def upload(self, path: Path, *, caller: str, owner: str) -> Examined:
        """Say what the upload in a file is, and leave in the file what of it is kept.

        Raises UploadRejected, Overloaded or Unavailable.
        """
        try:
            async with self.places.place(Customer(caller, owner)):
                answer = await self.strangers.ask(_order("upload", path))
        except NoSlot as error:
            raise Overloaded("examination of pictures", retry_after=_BUSY_RETRY) from error
        except LimitReached as error:
            raise UploadRejected(_TOO_MUCH) from error
        if "fault" in answer:
            raise UploadRejected(answer["text"])
        return Examined(path=path, **answer)

    async def result(self, data: bytes) -> Content:
        """Say what a result is; what stands behind its end is cut off.

        Raises FetchFailed for one that is damaged, ResultRejected for what will not be better when
        it is fetched again, or Unavailable.
        """
        if len(data) > MAX_RESULT_BYTES:
            raise ResultRejected(f"The result has more than {MAX_RESULT_BYTES // 2**20} MiB.")
        async with self.scratch.holding(data) as path:
            answer = await self._ask_own(_order("result", path, is_rewritten=False))
        if "fault" in answer:
            is_final = answer["fault"] != "damaged"
            raise (ResultRejected if is_final else FetchFailed)(answer["text"])
        size = answer.pop("size_bytes")
        return Content(data=data if size == len(data) else data[:size], **answer)

    async def cleaned(self, data: bytes) -> bytes:
        """Return an upload of before without its metadata; raises UploadRejected, Unavailable."""
        async with self.scratch.holding(data) as path:
            answer = await self._ask_own(_order("clean", path))
            if "fault" in answer:
                raise UploadRejected(answer["text"])
            return await self.scratch.read(path)

    async def _ask_own(self, order: dict[str, Any]) -> dict[str, Any]:
        async with self.own_places:
            try:
                return await self.own.ask(order)
            except LimitReached:
                return {"fault": "limit", "text": _TOO_MUCH}


@asynccontextmanager
async def open_examiner(
    scratch: Scratch,
    *,
    upload_processes: int = UPLOAD_PROCESSES,
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
        yield Examiner(scratch, strangers, own, places)


def _order(task: str, path: Path, *, is_rewritten: bool = True) -> dict[str, Any]:
    return {"task": task, "path": str(path), "is_rewritten": is_rewritten}
