"""Takes the one file of an upload link over HTTP and hands it to the service as it comes.

The last segment of the path is handed to the service, which alone can tell whether it is a link; it
is never logged. Nothing is held here but a piece at a time: whoever sends slowly is waited for,
whoever sends nothing is not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from atelier.generation.v1 import edge_service_pb2, upload_link_pb2
from atelier.generation.v1 import generation_service_pb2 as pb
from callback_gateway.connection import ABORT
from callback_gateway.metric import Meter
from callback_gateway.upload_page import page, short_page
from generation_client import GenerationClient, GenerationError, translated
from runtime.correlation import new_correlation_id

UPLOAD_PATH = "/upload/"
"""What a link for an upload begins with, after the public address of the gateway."""

PIECE_S = 30.0
"""How long a sender may send nothing."""

FIRST_S = 5.0
"""How long the service may take until it says what a link is for."""

MESSAGE_BYTES = 256 << 10
"""How much is gathered before it is handed on."""

_TOKEN = re.compile("[A-Za-z0-9_-]{1,2048}")
_NO_LINK = frozenset({"UPLOAD_LINK_INVALID", "UPLOAD_LINKS_OFF", "OWNER_BLOCKED"})
_logger = structlog.get_logger(__name__)


class UploadOutcome(StrEnum):
    """What came of a request for a page or of a file."""

    SHOWN = "shown"
    SENT = "sent"
    SENT_BEFORE = "sent_before"
    NO_LINK = "no_link"
    TOO_LARGE = "too_large"
    REJECTED = "rejected"
    AWAY = "away"
    SLOW = "slow"
    DISCONNECTED = "disconnected"


_STATUS = {
    UploadOutcome.SENT: 200,
    UploadOutcome.NO_LINK: 404,
    UploadOutcome.SLOW: 408,
    UploadOutcome.SENT_BEFORE: 409,
    UploadOutcome.TOO_LARGE: 413,
    UploadOutcome.REJECTED: 422,
    UploadOutcome.AWAY: 503,
}
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class UploadEnded(Exception):
    """A file was not taken; `outcome` says why, and the text is a sentence for people."""

    def __init__(self, outcome: UploadOutcome, text: str = "") -> None:
        super().__init__(text)
        self.outcome = outcome


class UploadReceiver(Protocol):
    """Knows links, and takes their files."""

    async def describe(self, token: str) -> upload_link_pb2.UploadLink:
        """Return what a link is for. Raises UploadEnded."""

    async def take(self, token: str, pieces: AsyncIterator[bytes]) -> None:
        """Take the file of a link. Raises UploadEnded."""


@dataclass(frozen=True, slots=True)
class UploadEndpoint:
    """Shows the page of a link, and takes its file."""

    target: UploadReceiver
    places: asyncio.Semaphore
    """How many files come in at once."""
    meter: Meter
    piece_s: float = PIECE_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request and answer it."""
        request = Request(scope, receive)
        with structlog.contextvars.bound_contextvars(correlation_id=new_correlation_id()):
            answer, outcome = await self._answer(request)
            self.meter.uploads.labels(outcome).inc()
            _logger.info("upload page answered", outcome=str(outcome))
            if outcome is UploadOutcome.DISCONNECTED:  # what is closed on one side is open still
                scope["extensions"][ABORT]["now"]()
            else:
                await answer(scope, receive, send)

    async def _answer(self, request: Request) -> tuple[Response, UploadOutcome]:
        is_file = request.method == "PUT"
        try:
            link = await self._link(request)
            if not is_file:
                return page(link), UploadOutcome.SHOWN
            await self._take(request, link)
            return _told(UploadOutcome.SENT), UploadOutcome.SENT
        except UploadEnded as error:
            if is_file:
                return _told(error.outcome, str(error)), error.outcome
            return _short(request, error.outcome), error.outcome

    async def _link(self, request: Request) -> upload_link_pb2.UploadLink:
        token = request.path_params["token"]
        # What cannot be a token is not worth a call: anybody can try paths.
        if not _TOKEN.fullmatch(token):
            raise UploadEnded(UploadOutcome.NO_LINK)
        return await self.target.describe(token)

    async def _take(self, request: Request, link: upload_link_pb2.UploadLink) -> None:
        if link.HasField("upload"):
            raise UploadEnded(UploadOutcome.SENT_BEFORE)
        if _announced(request) > link.max_bytes:
            raise UploadEnded(UploadOutcome.TOO_LARGE)
        if self.places.locked():
            raise UploadEnded(UploadOutcome.AWAY)
        async with self.places, aclosing(self._pieces(request)) as pieces:
            await self.target.take(request.path_params["token"], pieces)

    async def _pieces(self, request: Request) -> Any:
        """Give the body in pieces. Raises UploadEnded."""
        stream = aiter(request.stream())
        held = bytearray()
        while (piece := await self._next(stream)) is not None:
            held += piece
            if len(held) >= MESSAGE_BYTES:
                yield bytes(held)
                held.clear()
        if held:
            yield bytes(held)

    async def _next(self, stream: AsyncIterator[bytes]) -> bytes | None:
        try:
            async with asyncio.timeout(self.piece_s):
                return await anext(stream, None)
        except TimeoutError as error:
            raise UploadEnded(UploadOutcome.SLOW) from error
        except ClientDisconnect as error:
            raise UploadEnded(UploadOutcome.DISCONNECTED) from error


class GrpcUploadReceiver:
    """Hands files to the service; the gateway itself knows no key."""

    def __init__(self, client: GenerationClient) -> None:
        self._client = client

    async def describe(self, token: str) -> upload_link_pb2.UploadLink:
        """Return what a link is for. Raises UploadEnded."""
        request = edge_service_pb2.GetUploadLinkRequest(link_token=token)
        try:
            with translated():
                answer = await self._client.edge.GetUploadLink(request, timeout=FIRST_S)
        except GenerationError as error:
            raise _meaning(error) from error
        return answer.link

    async def take(self, token: str, pieces: AsyncIterator[bytes]) -> None:
        """Take the file of a link. Raises UploadEnded."""
        body = _Body(token, pieces)
        call = self._client.generation.UploadInput(body.requests())
        try:
            with translated():
                await call
        except GenerationError as error:
            raise body.error or _meaning(error) from error
        except asyncio.CancelledError:
            # gRPC cancels a call whose requests end in an error: half a file must not look whole.
            if body.error:
                raise body.error from None
            raise
        finally:
            call.cancel()


class _Body:
    """The requests of a call, and the error with which they ended."""

    def __init__(self, token: str, pieces: AsyncIterator[bytes]) -> None:
        self._token = token
        self._pieces = pieces
        self.error: UploadEnded | None = None

    async def requests(self) -> AsyncIterator[pb.UploadInputRequest]:
        """Give the file, with the token in the first message."""
        yield pb.UploadInputRequest(link_token=self._token)
        try:
            async for piece in self._pieces:
                yield pb.UploadInputRequest(data=piece)
        except UploadEnded as error:
            self.error = error
            raise


def _announced(request: Request) -> int:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _told(outcome: UploadOutcome, text: str = "") -> Response:
    body = {"outcome": str(outcome), "text": text}
    return JSONResponse(body, _STATUS.get(outcome, 400), headers=_HEADERS)


def _short(request: Request, outcome: UploadOutcome) -> Response:
    language = request.headers.get("accept-language", "")
    if outcome is UploadOutcome.NO_LINK:
        return short_page(language, words="gone", status=404)
    return short_page(language, words="busy", status=503)


def _meaning(error: GenerationError) -> UploadEnded:
    if error.reason in _NO_LINK:
        return UploadEnded(UploadOutcome.NO_LINK)
    if error.reason == "UPLOAD_TOO_LARGE":
        return UploadEnded(UploadOutcome.TOO_LARGE)
    if error.reason == "UPLOAD_REJECTED":
        return UploadEnded(UploadOutcome.REJECTED, error.message)
    _logger.warning("a file could not be handed on", reason=str(error))
    return UploadEnded(UploadOutcome.AWAY)
