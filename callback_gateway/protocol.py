"""The HTTP protocol of the gateway: where uvicorn would answer 400 or nothing, it answers 200.

Requests that no parser accepts (an invented method, a broken request line, two lengths, a body cut
short in its chunks), and those whose head is too slow or too long, never reach the application. As
their path is unknown, all of them get the answer that KIE expects. Only a connection that ends
before it sent a byte gets none, and what follows a complete request: that one is handed on and
answered, then the connection is closed. A request to upgrade the protocol is ignored, and so are
trailers.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from callback_gateway.callback import CALLBACK_ROUTE, SUCCESS_BODY, Outcome
from callback_gateway.connection import ABORT, LINGER_S, ConnectionLimiter, Lingering
from callback_gateway.metric import Meter
from callback_gateway.upload import UPLOAD_PATH
from runtime.bounded_http import MeasuredProtocol, disconnect

MAX_PIPELINE = 64
"""How many requests of one connection wait for the one before; uvicorn takes any number."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a client may take."""

    head_s: float = 5.0
    """Until a request line and its headers are in."""
    read_s: float = 20.0
    """Until it has read what is ready for it: 64 KiB, or a piece of media."""


_ASKS = (b"upgrade", b"http2-settings")
_FOLD = re.compile(rb"[\r\n]+")
_Header = tuple[bytes, bytes]
_SUCCESS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"connection: close\r\n\r\n%b" % (len(SUCCESS_BODY), SUCCESS_BODY)
)


class CallbackProtocol(MeasuredProtocol):
    """uvicorn's protocol, which answers what it cannot parse as if it had."""

    def __init__(
        self,
        *args: Any,
        meter: Meter,
        connections: ConnectionLimiter,
        timeouts: Timeouts,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._timeouts = timeouts
        self._meter = meter
        self._connections = connections
        self._head_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        self._last: RequestResponseCycle | None = None
        self._is_over = False
        self._is_hurried = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Close a connection on which nothing comes, as uvicorn does from the second request on."""
        super().connection_made(transport)
        self._meter.connections.inc()
        self._connections.enter(self, host=self.client[0] if self.client else "")
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data: bytes) -> None:
        """Read on, unless the connection was given its last answer."""
        if self._is_hurried:
            self._answer_unparsed(Outcome.SHED)
        if self._is_over:
            return
        self._head_bytes += len(data)
        self._feed(memoryview(data))
        if self.is_head_oversize:
            self._answer_unparsed(Outcome.HEAD_OVERSIZE)
        if self._head_timer is not None or self._is_over or not self.is_waiting:
            self._unset_keepalive_if_required()  # not for blank lines: those are no request

    def on_message_begin(self) -> None:
        """Start the clock of a request's head."""
        self._start_head_timer()
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"now": self.transport.abort}}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, and no trailer: what stands behind the body speaks for nothing."""
        if self._head_timer is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop the clock of the head, unless it is refused: what cannot be read is still a head."""
        if self._is_over or self._asks_for_upgrade:  # then the head is parsed again, without that
            pass
        elif len(self.pipeline) < MAX_PIPELINE:
            super().on_headers_complete()
        else:
            self._answer_unparsed(Outcome.SHED)
        self._stop_head_timer()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, unless the connection was given its last answer."""
        if not self._is_over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is whole."""
        if not self._asks_for_upgrade and not self._is_over:
            super().on_message_complete()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer a client that closed its sending side before it was answered."""
        if self._head_timer is not None:
            self._answer_unparsed(Outcome.MALFORMED)
        if self.is_waiting or self.transport.is_closing():
            return None
        # A file is none without its end; a callback is answered whatever comes of it.
        if self.cycle.more_body and self.cycle.scope["path"].startswith(UPLOAD_PATH):
            disconnect(self.cycle)
        # True keeps the transport open, so that the answer can still be sent (asyncio.Protocol).
        self.cycle.keep_alive = False
        return True

    def on_response_complete(self) -> None:
        """Give the rest of a body some time, so that the answer is not lost in a reset."""
        super().on_response_complete()
        if self._head_timer is not None:  # the next request has begun
            self._unset_keepalive_if_required()
        if self.cycle.response_complete and self.cycle.more_body:
            self.loop.call_later(LINGER_S, self._end_linger, self.cycle)

    def pause_writing(self) -> None:
        """Start the clock of a client that does not read."""
        super().pause_writing()
        self._read_timer = self.loop.call_later(self._timeouts.read_s, self._cut_off)

    def resume_writing(self) -> None:
        """Stop the clock of a client that reads again."""
        super().resume_writing()
        self._stop_read_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks and give up the place."""
        self._stop_head_timer()
        self._stop_read_timer()
        self._meter.connections.dec()
        self._connections.exit(self)
        disconnect(self._running)  # uvicorn tells only the request that came last
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """Close, and do not wait for long until a client has read what it was sent."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(LINGER_S, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Answer 200 where uvicorn means 400."""
        self._answer_unparsed(Outcome.MALFORMED)

    @property
    def is_waiting(self) -> bool:
        """Whether no whole request is being answered."""
        last = self._last if self._is_over else self.cycle
        return last is None or last.response_complete

    def leave(self) -> None:
        """Close to make room for another connection."""
        if self._head_timer is not None:
            self._answer_unparsed(Outcome.SHED)
        self.transport.close()

    def shed(self) -> None:
        """Answer whatever comes next at once, since there is no room."""
        self._is_hurried = True

    def _answer_unparsed(self, outcome: Outcome) -> None:
        """Send the last answer; what still arrives is read for a while and discarded."""
        is_answered = self._is_answered
        self._stop_head_timer()
        if self._is_over or self.transport.is_closing():
            return
        self._is_over = True
        if is_answered:
            self._end()
            return
        self._meter.callbacks.labels(outcome).inc()
        self._last = self._end_after_complete()
        if self._last is None:
            self._give_last_answer()

    @property
    def _is_answered(self) -> bool:
        """Whether what comes belongs to no request but one that was answered before its end."""
        return self._head_timer is None and bool(self.cycle) and self.cycle.response_complete

    def _end_after_complete(self) -> RequestResponseCycle | None:
        """Let go of the request that is not whole; return the last one whose answer is to come.

        One whose answer is on its way is as good as whole.
        """
        waiting: list[RequestResponseCycle | None]
        waiting = [self._running, *(cycle for cycle, _ in reversed(self.pipeline))]
        unanswered = [each for each in waiting if each and not each.response_complete]
        whole = [each for each in unanswered if each.response_started or not each.more_body]
        for cycle in (each for each in unanswered if each not in whole):
            cycle.waiting_for_100_continue = False  # what it still waits for will not come
            disconnect(cycle)
        self.pipeline = deque(each for each in self.pipeline if each[0] in whole)
        if not whole:
            return None
        whole[-1].keep_alive = False
        whole[-1].transport = cast(asyncio.Transport, Lingering(self.transport, self.loop))
        return whole[-1]

    def _give_last_answer(self) -> None:
        self._meter.count_response(route=CALLBACK_ROUTE, status=200)
        self.transport.write(_SUCCESS)
        self._end()

    def _end(self) -> None:
        # Bytes that stay unread in the socket turn its close into a reset, which can destroy the
        # answer on its way; so reading goes on until the client has had time for it.
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.abort)

    def _feed(self, data: memoryview) -> None:
        while data and not self._is_over:
            try:
                data = self._parse(data)
            except httptools.HttpParserError:
                # The words of uvicorn's own warning, which this replaces.
                self.logger.warning("Invalid HTTP request received.")
                self._answer_unparsed(Outcome.MALFORMED)
                return

    def _parse(self, data: memoryview) -> memoryview:
        """Parse up to a head that asks for another protocol; return what follows that head."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            if self._asks_for_upgrade:
                self._parse_again()
                return data[pause.args[0] :]
        return data[:0]

    @property
    def _asks_for_upgrade(self) -> bool:
        """Whether httptools takes what follows for another protocol because of a header."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _parse_again(self) -> None:
        head = plain_head(
            method=self.parser.get_method(),
            url=self.url,
            version=self.parser.get_http_version(),
            headers=self.headers,
        )
        # The old parser would take the body for the other protocol's. The leniency is the one that
        # uvicorn sets on its own parser.
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(head)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _end_linger(self, answered: object) -> None:
        if self.cycle is answered:
            self.transport.close()

    def _cut_off(self) -> None:
        self._meter.slow_readers.inc()
        self.transport.abort()

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self._timeouts.head_s, self._end_head)

    def _end_head(self) -> None:
        if self.flow.read_paused:  # it is we who do not read on
            self._start_head_timer()
        else:
            self._answer_unparsed(Outcome.HEAD_SLOW)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def plain_head(*, method: bytes, url: bytes, version: str, headers: Iterable[_Header]) -> bytes:
    """Return the request line and the headers without the wish for another protocol.

    A server may ignore `Upgrade` (RFC 9110 §7.8), but httptools stops at such a head and takes
    what follows, the body, for the other protocol's. Java's HttpClient asks for h2c on plain http.
    """
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    lines += [b"%b: %b" % (name, _FOLD.sub(b" ", text)) for name, text in _plain(headers)]
    return b"\r\n".join([*lines, b"", b""])


def _plain(headers: Iterable[_Header]) -> Iterator[_Header]:
    for name, text in headers:
        if name == b"connection":
            options = (option.strip() for option in text.split(b","))
            yield name, b", ".join(each for each in options if each.lower() not in _ASKS)
        elif name not in _ASKS:
            yield name, text
