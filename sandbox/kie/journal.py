"""What the stand-in received and sent, for tests that look at it from outside."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT = 10_000
"""The number of requests and of callbacks that are remembered."""
LONGEST_BODY = 64 * 1024
"""The number of bytes of a body that are remembered."""
STREAMED = "/api/file-stream-upload"
"""Where files come that may be large."""


class ReceivedRequest(NamedTuple):
    """A request as it came."""

    at: float
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str


class SentCallback(NamedTuple):
    """A callback that was sent; a status of none means that no answer came."""

    task_id: str
    kind: str
    url: str
    status: int | None


@dataclass
class Counters:
    """What happened how often."""

    create_requests: int = 0
    creates: int = 0
    """Tasks that were created, whatever was answered."""
    create_refusals: Counter[str] = field(default_factory=Counter)
    """Refused creations by the code in the body, or `http` and the status."""
    reads: int = 0
    reads_by_task: Counter[str] = field(default_factory=Counter)
    uploads: int = 0
    downloads: int = 0
    download_urls: int = 0
    callbacks: int = 0
    callback_statuses: Counter[str] = field(default_factory=Counter)
    """Callbacks by the status they were answered with, `none` for no answer."""


class Journal:
    """The requests, the callbacks and the counters since the last reset."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.requests: deque[ReceivedRequest] = deque(maxlen=KEPT)
        self.callbacks: deque[SentCallback] = deque(maxlen=KEPT)
        self.counters = Counters()

    def sent(self, callback: SentCallback) -> None:
        """Note a callback that was sent."""
        self.callbacks.append(callback)
        self.counters.callbacks += 1
        self.counters.callback_statuses[str(callback.status or "none")] += 1

    def counted(self) -> dict[str, Any]:
        """Return the counters as plain values."""
        return dict(vars(self.counters))


class JournalMiddleware:
    """Notes every request with its body, before it is handled; not those under /sandbox.

    An uploaded file may be large: it is not held here, and its beginning is noted afterwards.
    """

    def __init__(self, app: ASGIApp, *, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the request, note it, and hand it on as if unread."""
        if scope["type"] != "http" or scope["path"].startswith("/sandbox"):
            await self._app(scope, receive, send)
            return
        if scope["path"] == STREAMED:
            await self._pass_on(scope, receive, send)
            return
        body = await _read(receive)
        self._journal.requests.append(_received(scope, body))
        await self._app(scope, _replay(body, receive), send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        beginning = bytearray()

        async def seen() -> Message:
            message = await receive()
            beginning.extend(message.get("body", b"")[: LONGEST_BODY - len(beginning)])
            return message

        try:
            await self._app(scope, seen, send)
        finally:
            self._journal.requests.append(_received(scope, bytes(beginning)))


async def _read(receive: Receive) -> bytes:
    chunks = bytearray()
    while True:
        message = await receive()
        chunks += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again


def _received(scope: Scope, body: bytes) -> ReceivedRequest:
    return ReceivedRequest(
        at=time.time(),
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers={
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        },
        body=body[:LONGEST_BODY].decode("utf-8", "replace"),
    )
