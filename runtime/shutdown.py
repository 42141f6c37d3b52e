"""The end of a process: the first signal asks for it, a second one does not wait."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_logger = structlog.get_logger(__name__)


class Shutdown(asyncio.Event):
    """Set when the process shall end; whoever works in a loop looks at it or waits for it."""

    def on_signal(self, received: signal.Signals) -> None:
        """Ask for the end, or leave at once when it was asked for before."""
        if self.is_set():
            # Not sys.exit: what hangs in a `finally` may be the reason for the second signal.
            os._exit(128 + received)
        _logger.info("shutting down", signal=received.name)
        self.set()


@asynccontextmanager
async def shutdown_signals() -> AsyncIterator[Shutdown]:
    """Turn SIGTERM and SIGINT into a `Shutdown` for as long as the context is open."""
    loop, stop = asyncio.get_running_loop(), Shutdown()
    for each in _SIGNALS:
        loop.add_signal_handler(each, stop.on_signal, each)
    try:
        yield stop
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
