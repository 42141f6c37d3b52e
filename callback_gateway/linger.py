"""The end of a connection whose client is still sending."""

from __future__ import annotations

import asyncio
from typing import Any

LINGER_S = 5.0
"""How long the rest of a request is still read, and thrown away, after it was answered."""


class Lingering:
    """A transport whose close lets the client read its answer while the rest of it is dropped."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Send the end, and read on for a while: unread bytes would make it a reset."""
        if not self._transport.is_closing():
            self._transport.write_eof()
            self._loop.call_later(LINGER_S, self._transport.abort)
