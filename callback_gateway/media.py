"""Media over HTTP, for whoever holds a link to it.

The last segment of the path is handed to the service, which alone can tell whether it is a link;
it is in no log. Pictures are sent in such a way that a browser can do nothing with them but show
them, and a client that does not read is cut off.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog
import uuid6
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from atelier.generation.v1.media_pb2 import Media
from callback_gateway.exchange import Cut, Exchange
from callback_gateway.metric import Meter

_TOKEN = re.compile("[A-Za-z0-9_-]{1,128}")
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
_FIXED_HEADERS = {
    "accept-ranges": "none",
    "access-control-allow-origin": "*",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_logger = structlog.get_logger(__name__)


class MediaOutcome(StrEnum):
    """What came of a request for media."""

    SENT = "sent"
    NOT_MODIFIED = "not_modified"
    NO_LINK = "no_link"
    AWAY = "away"
    SHED = "shed"
    BROKEN = "broken"
    DISCONNECTED = "disconnected"


class LinkInvalid(Exception):
    """The link is none, its time ran out, or its media is gone."""


class LinkExpired(LinkInvalid):
    """The link is good, but its media is kept no longer."""


class SourceAway(Exception):
    """The service cannot be asked, or broke off; it may be asked again after a while."""

    def __init__(self, reason: str, *, retry_after_s: float = 1) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Found:
    """What is behind a link: the media and its bytes in pieces."""

    media: Media
    pieces: AsyncIterator[bytes]


class MediaSource(Protocol):
    """Opens links."""

    def open(self, token: str) -> AbstractAsyncContextManager[Found]:
        """Open the media of a link. Raises LinkInvalid and SourceAway, also while it is read."""


class MediaEndpoint:
    """Answers requests for media."""

    def __init__(self, source: MediaSource, *, limit: int, meter: Meter) -> None:
        self._source = source
        self._limit = limit
        self._meter = meter
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request and answer it."""
        with structlog.contextvars.bound_contextvars(correlation_id=str(uuid6.uuid7())):
            async with Exchange(scope, receive, send) as exchange:
                outcome = await self._answer(exchange)
            self._meter.media.labels(outcome).inc()
            _logger.info("media answered", outcome=str(outcome))

    async def _answer(self, exchange: Exchange) -> MediaOutcome:
        if self._open >= self._limit:
            await exchange.answer(_away(1))
            return MediaOutcome.SHED
        self._open += 1
        try:
            return await self._look_up(exchange)
        finally:
            self._open -= 1

    async def _look_up(self, exchange: Exchange) -> MediaOutcome:
        token = exchange.scope["path_params"]["token"]
        try:
            if not _TOKEN.fullmatch(token):
                raise LinkInvalid
            async with self._source.open(token) as found:
                return await _give(exchange, found)
        except LinkExpired:
            return await _refuse(exchange, _gone(), outcome=MediaOutcome.NO_LINK)
        except LinkInvalid:
            return await _refuse(exchange, _not_found(), outcome=MediaOutcome.NO_LINK)
        except SourceAway as error:
            _logger.warning("media not given", reason=str(error))
            return await _refuse(exchange, _away(error.retry_after_s), outcome=MediaOutcome.AWAY)
        except Cut as error:
            await exchange.abort()
            return MediaOutcome(str(error))


async def _give(exchange: Exchange, found: Found) -> MediaOutcome:
    headers = headers_of(found.media, now=time.time())
    if is_known(Headers(scope=exchange.scope), etag=headers["etag"]):
        await exchange.answer(Response(status_code=304, headers=_without_body(headers)))
        return MediaOutcome.NOT_MODIFIED
    if exchange.scope["method"] == "HEAD":
        await exchange.answer(Response(headers=headers))
        return MediaOutcome.SENT
    await exchange.stream(found.pieces, headers=headers, size=found.media.size_bytes)
    return MediaOutcome.SENT


async def _refuse(exchange: Exchange, answer: Response, *, outcome: MediaOutcome) -> MediaOutcome:
    """Answer, unless half of the media is sent already: then only the connection can say it."""
    if exchange.has_begun:
        await exchange.abort()
        return MediaOutcome.BROKEN
    await exchange.answer(answer)
    return outcome


def headers_of(media: Media, *, now: float) -> dict[str, str]:
    """Return the headers of media: only what is known to be a picture is called one."""
    extension = _EXTENSIONS.get(media.mime_type)
    disposition = "inline" if extension else "attachment"
    lifetime_s = max(0, int(media.download_expire_time.seconds - now))
    return {
        **_FIXED_HEADERS,
        "cache-control": f"private, max-age={lifetime_s}",
        "content-disposition": f'{disposition}; filename="{media.id}.{extension or "bin"}"',
        "content-length": str(media.size_bytes),
        "content-type": media.mime_type if extension else "application/octet-stream",
        "etag": f'"{media.sha256}"',
    }


def is_known(headers: Headers, *, etag: str) -> bool:
    """Return whether the client has these bytes (RFC 9110 §13.1.2)."""
    given = [each.strip() for each in headers.get("if-none-match", "").split(",")]
    return "*" in given or etag in (each.removeprefix("W/") for each in given)


def _without_body(headers: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if not name.startswith("content-")}


def _not_found() -> Response:
    headers = {**_FIXED_HEADERS, "cache-control": "no-store"}
    text = "This link is not valid, or its time has run out.\n"
    return PlainTextResponse(text, status_code=404, headers=headers)


def _gone() -> Response:
    headers = {**_FIXED_HEADERS, "cache-control": "no-store"}
    text = "This has expired and is no longer kept.\n"
    return PlainTextResponse(text, status_code=410, headers=headers)


def _away(retry_after_s: float) -> Response:
    wait = {"retry-after": str(math.ceil(retry_after_s)), "cache-control": "no-store"}
    text = "This cannot be shown right now. Please try again.\n"
    return PlainTextResponse(text, status_code=503, headers={**_FIXED_HEADERS, **wait})
