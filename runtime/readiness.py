"""Whether a process can do its work: looked at again and again, and told over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from runtime.wait import is_set_within

READINESS_SECONDS = 2.0
"""How long a process that is ready goes by what it saw last."""
UNREADY_SECONDS = 0.1
"""How soon one that is not ready looks again: callers wait for it, after a start most of all."""


class Readiness:
    """Whether the process can do its work; not before it was seen that it can."""

    def __init__(self) -> None:
        self.is_ready = False

    async def follow(
        self,
        look: Callable[[], Awaitable[bool]],
        *,
        stop: asyncio.Event,
        interval_seconds: float = READINESS_SECONDS,
    ) -> None:
        """Follow what `look` finds until asked to stop, and be unready from then on."""
        while not stop.is_set():
            self.is_ready = await look()
            soon = min(interval_seconds, UNREADY_SECONDS)
            await is_set_within(stop, interval_seconds if self.is_ready else soon)
        self.is_ready = False
