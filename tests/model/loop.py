"""An event loop without events: it runs what is ready until nothing is; no time passes in it."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple, Unpack

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class StillLoop(asyncio.AbstractEventLoop):
    """Runs one coroutine that never waits for anything outside; a hundred times a selector's."""

    def __init__(self) -> None:
        self._ready: deque[asyncio.Handle] = deque()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        asyncio._set_running_loop(self)
        try:
            task: asyncio.Task[_T] = self.create_task(coroutine)
            while self._ready:
                self._ready.popleft()._run()
        finally:
            asyncio._set_running_loop(None)
        return task.result()

    def call_soon(
        self,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def create_task(self, coro: Any, **wishes: Any) -> Any:
        return asyncio.Task(coro, loop=self, **wishes)

    def create_future(self) -> Any:
        return asyncio.Future(loop=self)

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return asyncio.TimerHandle(delay, callback, args, self, context)  # its time never comes

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def time(self) -> float:
        return 0.0

    def get_debug(self) -> bool:
        return False
