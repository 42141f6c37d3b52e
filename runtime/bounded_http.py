"""uvicorn's HTTP for connections from anywhere: bounded in number, and none waits without end.

By itself uvicorn waits for ever for the first request of a connection, for the end of its head, for
a client that does not read its answer, and for one that sends blank lines between its requests. And
it keeps heads and trailers of any size.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

CONNECTIONS = 500
"""How many connections one listener has at once; Telegram opens at most 100.

Half of the usual limit on open files.
"""
MAX_HEAD_BYTES = 64 << 10
"""How long a head, trailers or blank lines may be, beyond the first piece that came of them."""
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


class MeasuredProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which knows how much came since the last thing that it can hand on."""

    _head_bytes: int = 0

    @property
    def is_head_oversize(self) -> bool:
        """Whether a head, trailers or blank lines are too long."""
        return self._head_bytes > MAX_HEAD_BYTES

    def data_received(self, data: bytes) -> None:
        """Count, then read."""
        self._head_bytes += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Count anew for a head."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Count anew behind a head."""
        self._head_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count anew behind a piece of a body, for trailers may follow."""
        self._head_bytes = 0
        super().on_body(body)


class BoundedProtocol(MeasuredProtocol):
    """Closes what is too many, too slow, too long in its head, or not read."""

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
            # After uvicorn has counted it: connection_lost takes it out again.
            transport.abort()
        else:
            self._start_request_timer(self.head_s)

    def data_received(self, data: bytes) -> None:
        """Read on, unless a head or trailers are too long; blank lines are no request."""
        super().data_received(data)
        if self.is_head_oversize:
            self.transport.abort()
        elif self._request_timer is None and self.cycle and self.cycle.response_complete:
            self._start_request_timer(self.head_s)  # uvicorn has stopped its own clock

    def on_message_begin(self) -> None:
        """Start the clock of a later request's head."""
        super().on_message_begin()
        self._start_request_timer(self.head_s)

    def on_headers_complete(self) -> None:
        """Start the clock of the body."""
        self._start_request_timer(self.body_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the clock of the body."""
        self._stop_request_timer()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Start the clock of a client that does not read."""
        super().pause_writing()
        # uvicorn stops the writer when its buffer is full, and lets it wait without end.
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

    def _start_request_timer(self, seconds: float) -> None:
        self._stop_request_timer()
        self._request_timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
