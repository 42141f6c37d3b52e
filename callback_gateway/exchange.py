"""One request and its answer, to a client that may go away meanwhile.

One that stays and does not read is cut off by `callback_gateway.protocol`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from callback_gateway.protocol import ABORT


class Cut(Exception):
    """The answer cannot be finished: the client is `disconnected`, or the body is `broken`."""


class Exchange:
    """Sends an answer within bounds; opened, it watches whether the client is still there."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.has_begun = False
        self._receive, self._send = receive, send

    async def __aenter__(self) -> Self:
        """Start watching the client."""
        self._gone = asyncio.create_task(self._until_gone(), name="client of a download")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching."""
        self._gone.cancel()
        await asyncio.gather(self._gone, return_exceptions=True)

    async def answer(self, response: Response) -> None:
        """Send a short answer."""
        await response(self.scope, self._receive, self._send)

    async def stream(
        self, pieces: AsyncIterator[bytes], *, headers: Mapping[str, str], size: int
    ) -> None:
        """Send a body of exactly this many bytes. Raises Cut."""
        left = size
        async for piece in pieces:
            left -= len(piece)
            if left < 0:
                break
            await self._begin(headers)
            await self._write({"type": "http.response.body", "body": piece, "more_body": True})
        if left:
            raise Cut("broken")
        await self._begin(headers)
        await self._write({"type": "http.response.body"})

    async def abort(self) -> None:
        """End the connection, so that the client sees that something is missing."""
        self.scope["extensions"][ABORT]["now"]()
        await self._gone

    async def _begin(self, headers: Mapping[str, str]) -> None:
        """Start the answer with the first piece: an error before it still has a status."""
        if not self.has_begun:
            self.has_begun = True
            raw = [(name.encode(), text.encode()) for name, text in headers.items()]
            await self._write({"type": "http.response.start", "status": 200, "headers": raw})

    async def _write(self, message: Message) -> None:
        if self._gone.done():
            raise Cut("disconnected")
        await self._send(message)

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
