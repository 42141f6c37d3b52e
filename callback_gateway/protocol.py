"""HTTP as the gateway speaks it: what uvicorn would answer 400 or not at all is answered 200.

Requests that no parser accepts (an invented method, a broken request line, two lengths, a body cut
short in its chunks) never reach the application, and since their path cannot be told, all of them
get the answer that KIE is due. Only a connection that ends before it sent a byte gets none.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from callback_gateway.callback import SUCCESS_BODY, Outcome
from callback_gateway.meter import Meter

HEAD_S = 5.0
"""How long a request line and its headers may take to come in."""

LINGER_S = 5.0
"""How long the rest of a body is still read, and thrown away, after it was answered."""

_SUCCESS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"connection: close\r\n\r\n%b" % (len(SUCCESS_BODY), SUCCESS_BODY)
)


class CallbackProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which answers what it cannot parse as if it had."""

    def __init__(self, *args: Any, meter: Meter, **options: Any) -> None:
        super().__init__(*args, **options)
        self._meter = meter
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Close a connection on which nothing comes, as uvicorn does from the second request on."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def on_message_begin(self) -> None:
        """Start the clock of a request's head."""
        self._head_timer = self.loop.call_later(HEAD_S, self._answer_unparsed)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop the clock of the head."""
        self._stop_head_timer()
        super().on_headers_complete()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer a client that closed its sending side before it was answered."""
        if self._head_timer is not None:
            self._answer_unparsed()
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle or self.transport.is_closing():
            return None
        self.cycle.keep_alive = False
        return True

    def on_response_complete(self) -> None:
        """Give the rest of a body some time, so that the answer is not lost in a reset."""
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self.loop.call_later(LINGER_S, self._end_linger, self.cycle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer 200 where uvicorn means 400."""
        self._answer_unparsed()

    def _answer_unparsed(self) -> None:
        self._stop_head_timer()
        if self.transport.is_closing():
            return
        self._meter.callbacks.labels(Outcome.MALFORMED).inc()
        self._meter.count_response(is_callback=True, status=200)
        self.transport.write(_SUCCESS)
        self.transport.close()

    def _end_linger(self, answered: object) -> None:
        if self.cycle is answered:
            self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
