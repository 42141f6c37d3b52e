"""uvicorn's HTTP for connections from anywhere: bounded in number, and none waits without end.

By itself uvicorn waits for ever for the first request of a connection, for the end of its head, and
for a client that does not read its answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

CONNECTIONS = 500
"""How many connections one listener has at once; Telegram opens at most 100.

Half of the usual limit on open files.
"""
HEAD_S = 10.0
"""How long a request line and its headers may take, from the connection or the answer before."""
BODY_S = 30.0
"""How long a body may take to come in."""
READ_S = 30.0
"""How long a client may take to read what is ready for it."""


def disconnect(cycle: RequestResponseCycle | None) -> None:
    """Tell the request that is being answered that nobody is there any more."""
    if cycle is not None:
        cycle.disconnected = True
        cycle.message_event.set()


class BoundedProtocol(HttpToolsProtocol):
    """Closes what is too many, too slow, or not read."""

    connections_limit: int = CONNECTIONS
    head_s: float = HEAD_S
    body_s: float = BODY_S
    read_s: float = READ_S

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._request_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first request, or end what is one connection too many."""
        super().connection_made(transport)
        if len(self.connections) > self.connections_limit:
            transport.abort()
        else:
            self._request_timer = self.loop.call_later(self.head_s, self.transport.abort)

    def on_message_begin(self) -> None:
        """Start the clock of a later request's head."""
        super().on_message_begin()
        self._stop_request_timer()
        self._request_timer = self.loop.call_later(self.head_s, self.transport.abort)

    def on_headers_complete(self) -> None:
        """Start the clock of the body."""
        self._stop_request_timer()
        self._request_timer = self.loop.call_later(self.body_s, self.transport.abort)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the clock of the body."""
        self._stop_request_timer()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Start the clock of a client that does not read."""
        super().pause_writing()
        self._read_timer = self.loop.call_later(self.read_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the clock of a client that reads again."""
        super().resume_writing()
        self._stop_read_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks."""
        self._stop_request_timer()
        self._stop_read_timer()
        disconnect(self._running)  # uvicorn tells only the request that came last
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _stop_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
