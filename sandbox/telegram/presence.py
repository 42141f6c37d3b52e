"""Noticing that a caller has hung up, for calls that would otherwise wait in vain."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

T = TypeVar("T")


async def hung_up(receive: Receive) -> None:
    """Return when the caller is gone; the body has to be read before."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_present(work: Coroutine[Any, Any, T], *, receive: Receive) -> T | None:
    """Do some work and return its result, or nothing as soon as the caller is gone."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(hung_up(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


class EventStream(StreamingResponse):
    """Server-sent events that end with their reader, not with the next event."""

    media_type = "text/event-stream"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until there are no more or the reader is gone."""
        await while_present(self.stream_response(send), receive=receive)
