"""Bounds how much of Telegram's answers is read.

python-telegram-bot reads bodies whole, and its HTTP client unpacks each piece without a limit. So
answers are asked for unpacked, packed ones are refused, and a body that goes on for too long is
broken off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx

MAX_BODY_BYTES = 21 * 2**20
"""A little more than the largest file that a bot can download (Bot API, getFile: 20 MB)."""


class BodyTooLarge(httpx.TransportError):
    """The answer is larger than the limit."""


def bounded(*, limit_bytes: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """Return what makes python-telegram-bot's HTTP client read no further than the limit."""

    async def bound(response: httpx.Response) -> None:
        # A few kilobytes can unpack to gigabytes, and httpx unpacks each piece whole.
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise httpx.DecodingError("The answer is compressed although none was asked for.")
        stream = response.stream
        if isinstance(stream, httpx.AsyncByteStream):
            response.stream = _Bounded(stream, limit_bytes=limit_bytes)

    headers = {"Accept-Encoding": "identity"}
    return {"headers": headers, "event_hooks": {"response": [bound]}}


class _Bounded(httpx.AsyncByteStream):
    """A body that ends with an error where it goes on for too long."""

    def __init__(self, stream: httpx.AsyncByteStream, *, limit_bytes: int) -> None:
        self._stream = stream
        self._left = limit_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._left -= len(piece)
            if self._left < 0:
                raise BodyTooLarge("The answer is larger than the limit.")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
