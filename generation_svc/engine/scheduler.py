"""Claims one kind of work when some is due, and has the items done side by side.

It looks when its topic is announced, when the time comes that it was told, and when a place comes
free while there was more to claim; never otherwise. A claim that fails has changed nothing: it is
logged, counted and repeated after a rest. A fault in one item stops no other.

While all places are taken and there is more, the other replicas are asked: what is announced
where somebody works does not reach them.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Generic, TypeVar

import structlog

from generation_svc.domain.error import Unavailable
from generation_svc.engine.slot import Slot
from generation_svc.engine.work import Batch, Work
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.clock import loop_time
from runtime.wait import is_set_within

REST_SECONDS = 1.0
"""The rest after a claim that failed, or that brought nothing of what is due: others have it."""
ASK_SECONDS = 1.0
"""How often the other replicas are asked for help, at most."""
NOW = timedelta(0)
T = TypeVar("T")
_logger = structlog.get_logger(__name__)


class Scheduler(Generic[T]):
    """One kind of work in one process."""

    def __init__(self, deps: Dependencies, work: Work[T]) -> None:
        self._deps, self._work = deps, work
        self._news, self._ended = asyncio.Event(), asyncio.Event()
        self._items: set[asyncio.Task[None]] = set()
        self._free = work.concurrency
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = float("inf")
        self._blocked_until = float("-inf")
        """Until when claims are in vain, whatever is announced."""
        self._ask_again_at = float("-inf")
        self._is_more = False
        """Whether something is due that was not claimed."""
        self._is_late = False
        """Whether the grace is over, so that who begins now gives back at once."""

    @property
    def topic(self) -> str | None:
        """The announcement of what it does."""
        return self._work.topic

    async def run(self) -> None:
        """Claim what is due until the service stops; what became due before that, first."""
        self._bind()
        topics = [self.topic] if self.topic else []
        with self._deps.database.watch(*topics) as self._news, self._unblocking():
            self.wake()
            while await self._news.wait() and not self._deps.stopping.is_set():
                # Cleared before the claim: what is announced while it runs leads to another one.
                self._news.clear()
                if loop_time() < self._blocked_until:
                    self.due_in(timedelta(seconds=self._blocked_until - loop_time()))
                elif self._free:
                    await self._claim()
                else:
                    self._ask_others()
                    self._news.clear()  # the question was heard here as well
        self._forget_due()
        if self.topic:  # what was announced to this process alone, another one has to do now
            self._deps.database.call_for_help(self.topic)

    def wake(self) -> None:
        """Look for work now."""
        self._news.set()

    @contextmanager
    def _unblocking(self) -> Iterator[None]:
        topic = self._work.unblocked_by
        task = asyncio.create_task(self._unblock(topic), name="unblock") if topic else None
        try:
            yield
        finally:
            if task:
                task.cancel()

    async def _unblock(self, topic: str) -> None:
        with self._deps.database.watch(topic) as news:
            while True:
                await news.wait()
                news.clear()
                self._blocked_until = float("-inf")
                self.wake()

    def due_in(self, span: timedelta, /) -> None:
        """Look for work after so long, if none is to be looked for earlier."""
        when = loop_time() + max(span, NOW).total_seconds()
        if when < self._due_at and not self._deps.stopping.is_set():
            self._forget_due()
            self._due_at = when
            self._timer = asyncio.get_running_loop().call_at(when, self._come_due)

    def try_reserve(self) -> Slot[T] | None:
        """Reserve a place if one is free and the service does not stop."""
        if not self._free or self._deps.stopping.is_set():
            return None
        self._free -= 1
        return Slot(start=self._start, release=self._free_place)

    async def finish(self) -> None:
        """Wait until nothing is under way, and no place is reserved."""
        while self._free < self._work.concurrency:
            self._ended.clear()
            await self._ended.wait()

    async def cancel(self) -> None:
        """Have what is under way give back what it holds, and wait for that."""
        self._is_late = True
        await asyncio.sleep(0)  # whoever was started just now takes its first step
        for task in self._items:
            _logger.warning("work is cancelled and given back", task=task.get_name())
            task.cancel()
        while self._items:
            await asyncio.wait(self._items)

    async def _claim(self) -> None:
        self._forget_due()  # the claim tells it anew
        self._is_more = False
        free, self._free = self._free, 0  # nobody reserves what the batch may fill
        batch: Batch[T] | None = None
        try:
            with self._counted():
                batch = await self._work.claim(self._deps, limit=free)
        finally:
            self._free += free
        if batch is None:
            await is_set_within(self._deps.stopping, REST_SECONDS)
            self.wake()
        else:
            self._hand_out(batch)

    def _hand_out(self, batch: Batch[T]) -> None:
        for item in batch.items:
            self._free -= 1
            self._start(item)
        self._blocked_until = loop_time() + batch.blocked_for.total_seconds()
        if batch.next_due is None:
            return
        if batch.next_due > NOW:
            self.due_in(batch.next_due)
        elif not self._free:
            self._ask_others()
        elif batch.items:
            self.wake()
        else:  # somebody else holds it; the end of one of ours may change that
            self._is_more = True
            self.due_in(timedelta(seconds=REST_SECONDS))

    def _ask_others(self) -> None:
        """Go on when a place comes free; until then another replica may have one."""
        self._is_more = True
        if not self.topic:
            return
        wait = self._ask_again_at - loop_time()
        if wait > 0:  # what came since the last time, they were not asked for
            self.due_in(timedelta(seconds=wait))
            return
        self._ask_again_at = loop_time() + ASK_SECONDS
        self._deps.database.call_for_help(self.topic)

    def _start(self, item: T) -> None:
        """Do an item in a place that was taken for it."""
        task = asyncio.create_task(self._do(item), name=self._work.name)
        self._items.add(task)
        task.add_done_callback(self._end)
        if self._is_late:
            # After its first step: before that it would not know that there is something to give
            # back.
            asyncio.get_running_loop().call_soon(task.cancel)

    async def _do(self, item: T) -> None:
        self._bind()
        with self._counted():
            await self._work.do(self._deps, item)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._items.discard(task)
        self._free_place()

    def _free_place(self) -> None:
        self._free += 1
        self._ended.set()
        if self._is_more:
            self.wake()

    def _come_due(self) -> None:
        self._forget_due()
        self.wake()

    def _forget_due(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due_at = None, float("inf")

    def _bind(self) -> None:
        # A task begins with the context of whoever started it, which may be a call.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(worker=self._work.name)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Log and count a fault, and let everything else go on."""
        try:
            yield
        except Unavailable as error:
            _logger.warning("a dependency is unavailable", error=str(error))
        except Exception:
            _logger.exception("a step failed")
        else:
            return
        self._deps.meter.faults.labels(self._work.name).inc()
