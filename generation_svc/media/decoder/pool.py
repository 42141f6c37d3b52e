"""A pool of processes that examine files; ended ones are replaced."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

import structlog

from generation_svc.domain.error import NotExamined, Unavailable
from generation_svc.media.decoder.child import Child, ChildEnded, ChildLimits, LimitReached
from generation_svc.media.meter import MediaMeter

TRIES = 2
"""How many processes may end over one file through no limit of theirs."""
_logger = structlog.get_logger(__name__)


class Children:
    """Processes that are started when they are needed first; who asks bounds how many."""

    def __init__(self, limits: ChildLimits, *, meter: MediaMeter | None = None) -> None:
        self._limits = limits
        self._meter = meter or MediaMeter()
        self._all: set[Child] = set()
        self._idle: list[Child] = []

    @property
    def pids(self) -> set[int]:
        """The ids of the processes."""
        return {child.pid for child in self._all}

    @property
    def busy(self) -> int:
        """How many of them examine a file."""
        return len(self._all) - len(self._idle)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(self._end(child) for child in list(self._all)))

    async def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Have a file examined, once more if a process was lost.

        Raises LimitReached for a file that took more than it may, NotExamined where processes
        ended over it, Unavailable for what is no fault of the file's.
        """
        kind: type[Unavailable] = Unavailable
        for _ in range(TRIES):
            try:
                return _checked(await self._ask_one(order))
            except LimitReached:
                self._meter.decoder_ends.labels("limit").inc()
                raise
            except (ChildEnded, OSError) as error:
                kind = NotExamined if isinstance(error, ChildEnded) else Unavailable
                self._meter.decoder_ends.labels("lost").inc()
                program = self._limits.program
                _logger.warning("a process was lost", program=program, reason=str(error))
        raise kind("The file cannot be examined at the moment.")

    async def _ask_one(self, order: dict[str, Any]) -> dict[str, Any]:
        child = await self._usable() or await self._started()
        try:
            answer = await child.ask(order)
        except BaseException:
            # An answer that nobody read would be taken for that of the next file, so the process
            # goes.
            await asyncio.shield(self._end(child))
            raise
        self._idle.append(child)
        return answer

    async def _usable(self) -> Child | None:
        while self._idle:
            child = self._idle.pop()
            if child.is_usable:
                return child
            await asyncio.shield(self._end(child))
        return None

    async def _started(self) -> Child:
        """Start a process completely, even if the caller gives up meanwhile."""
        starting = asyncio.ensure_future(Child.start(self._limits))
        try:
            child = await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._keep)
            raise
        self._all.add(child)
        return child

    def _keep(self, starting: asyncio.Future[Child]) -> None:
        if not starting.cancelled() and starting.exception() is None:
            self._all.add(starting.result())
            self._idle.append(starting.result())

    async def _end(self, child: Child) -> None:
        await child.end()
        self._all.discard(child)


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer about a file; raises Unavailable for one about the disk."""
    if "problem" in answer:
        _logger.warning("a file could not be read or written", reason=answer["problem"])
        raise Unavailable("The file cannot be examined at the moment.")
    return answer
