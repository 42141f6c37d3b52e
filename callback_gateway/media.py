"""Serves media over HTTP to anybody who has a link to it.

The last segment of the path is handed to the service, which alone can tell whether it is a link;
it is never logged. The headers let a browser do nothing with media but show or play it. A client
that does not read is cut off. A player that seeks asks for a range.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.media_pb2 import MEDIA_KIND_UNSPECIFIED, Media
from callback_gateway.byte_range import ByteRange, RangeOutOfBounds, range_of
from callback_gateway.connection import Cut, Exchange
from callback_gateway.metric import Meter
from generation_client import GenerationClient, GenerationError, translated
from runtime.correlation import new_correlation_id

MEDIA_PATH = "/media/"
"""What a link to media begins with, after the public address of the gateway."""

FIRST_S = 5.0
"""How long the service may take until it says what is behind a link."""

WHOLE_S = 300.0
"""How long one download may take, however slowly its client reads."""

_TOKEN = re.compile("[A-Za-z0-9_-]{1,128}")
_GONE = ("MEDIA_LINK_INVALID", "MEDIA_NOT_FOUND", "INVALID_INPUTS")
_EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/ogg": "ogg",
}
"""What a browser is to show or play; all else is only saved."""

_POLICY = "default-src 'none'; sandbox"
# A browser puts a player around media that is opened by itself, and the policy binds the player.
_PLAYER_POLICY = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
# Any origin may read media: the link itself is the right to it, and no cookies are involved.
_FIXED_HEADERS = {
    "accept-ranges": "bytes",
    "access-control-allow-origin": "*",
    "content-security-policy": _POLICY,
    "cross-origin-resource-policy": "cross-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_logger = structlog.get_logger(__name__)


class MediaOutcome(StrEnum):
    """What came of a request for media."""

    SENT = "sent"
    PART_SENT = "part_sent"
    NOT_MODIFIED = "not_modified"
    NO_LINK = "no_link"
    NO_RANGE = "no_range"
    AWAY = "away"
    SHED = "shed"
    BROKEN = "broken"
    DISCONNECTED = "disconnected"


class LinkInvalid(Exception):
    """The link is invalid or has expired, or its media is gone."""


class LinkExpired(LinkInvalid):
    """The link is valid, but its media has expired."""


class SourceAway(Exception):
    """The service could not be reached, or broke off; a later try may succeed."""

    def __init__(self, reason: str, *, retry_after_s: float = 1) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Found:
    """What is behind a link: the media and its bytes in pieces."""

    media: Media
    pieces: AsyncIterator[bytes]

    @property
    def is_part_known(self) -> bool:
        """Whether these are the bytes that were asked for, and not all.

        A service of the release before gives all, whatever part it is asked for, and no kind. Each
        call says it anew, since the next one may be answered by another replica.
        """
        return self.media.kind != MEDIA_KIND_UNSPECIFIED


class MediaSource(Protocol):
    """Opens links."""

    def open(
        self, token: str, *, offset: int = 0, limit: int = 0
    ) -> AbstractAsyncContextManager[Found]:
        """Open the media of a link, of its bytes at most `limit` (0 is all) from `offset` on.

        Raises LinkInvalid and SourceAway, also while it is read.
        """


class MediaEndpoint:
    """Answers requests for media."""

    def __init__(self, source: MediaSource, *, limit: int, meter: Meter) -> None:
        self._source = source
        self._limit = limit
        self._meter = meter
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request and answer it."""
        with structlog.contextvars.bound_contextvars(correlation_id=new_correlation_id()):
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
            # What cannot be a token is not worth a call: anybody can try paths.
            if not _TOKEN.fullmatch(token):
                raise LinkInvalid
            return await self._give(exchange, token)
        except LinkExpired:
            return await _refuse(exchange, _gone(), outcome=MediaOutcome.NO_LINK)
        except LinkInvalid:
            return await _refuse(exchange, _not_found(), outcome=MediaOutcome.NO_LINK)
        except SourceAway as error:
            _logger.warning("media could not be served", reason=str(error))
            return await _refuse(exchange, _away(error.retry_after_s), outcome=MediaOutcome.AWAY)
        except Cut as error:
            await exchange.abort()
            return MediaOutcome(str(error))

    async def _give(self, exchange: Exchange, token: str) -> MediaOutcome:
        asked, is_head = Headers(scope=exchange.scope), exchange.scope["method"] == "HEAD"
        is_part = "range" in asked and not is_head
        # The size says which bytes a range means, so a single byte is fetched to learn it.
        async with self._source.open(token, limit=1 if is_part or is_head else 0) as found:
            headers = headers_of(found.media, now=time.time())
            if is_known(asked, etag=headers["etag"]):
                await exchange.answer(Response(status_code=304, headers=_without_body(headers)))
                return MediaOutcome.NOT_MODIFIED
            if is_head:
                await exchange.answer(Response(headers=headers))
                return MediaOutcome.SENT
            if not is_part:
                await exchange.stream(found.pieces, headers=headers, size=found.media.size_bytes)
                return MediaOutcome.SENT
        return await self._give_part(exchange, token, media=found.media)

    async def _give_part(self, exchange: Exchange, token: str, *, media: Media) -> MediaOutcome:
        headers, asked = headers_of(media, now=time.time()), Headers(scope=exchange.scope)
        try:
            part = range_of(asked, size=media.size_bytes, etag=headers["etag"])
        except RangeOutOfBounds:
            await exchange.answer(_no_range(media.size_bytes))
            return MediaOutcome.NO_RANGE
        first, limit = (part.first, part.size) if part else (0, 0)
        async with self._source.open(token, offset=first, limit=limit) as found:
            if part is None or not found.is_part_known:
                await exchange.stream(found.pieces, headers=headers, size=media.size_bytes)
                return MediaOutcome.SENT
            headers |= _part_headers(part, size=media.size_bytes)
            await exchange.stream(found.pieces, headers=headers, size=part.size, status=206)
        return MediaOutcome.PART_SENT


async def _refuse(exchange: Exchange, answer: Response, *, outcome: MediaOutcome) -> MediaOutcome:
    """Answer, unless half of the media is sent already: then only the connection can say it."""
    # The status has left with the first piece.
    if exchange.has_begun:
        await exchange.abort()
        return MediaOutcome.BROKEN
    await exchange.answer(answer)
    return outcome


def headers_of(media: Media, *, now: float) -> dict[str, str]:
    """Return the headers of media: only what is known to be harmless is shown or played."""
    extension = _EXTENSIONS.get(media.mime_type)
    disposition = "inline" if extension else "attachment"
    is_still = not media.mime_type.startswith(("video/", "audio/"))
    lifetime_s = max(0, int(media.download_expire_time.seconds - now))
    return {
        **_FIXED_HEADERS,
        "cache-control": f"private, max-age={lifetime_s}",
        "content-disposition": f'{disposition}; filename="{media.id}.{extension or "bin"}"',
        "content-length": str(media.size_bytes),
        "content-type": media.mime_type if extension else "application/octet-stream",
        "content-security-policy": _POLICY if is_still else _PLAYER_POLICY,
        "etag": f'"{media.sha256}"',
    }


def is_known(headers: Headers, *, etag: str) -> bool:
    """Return whether the client has these bytes (RFC 9110 §13.1.2)."""
    given = [each.strip() for each in headers.get("if-none-match", "").split(",")]
    # If-None-Match compares weakly: a proxy may have added `W/` when it compressed.
    return "*" in given or etag in (each.removeprefix("W/") for each in given)


def _without_body(headers: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if not name.startswith("content-")}


def _part_headers(part: ByteRange, *, size: int) -> dict[str, str]:
    return {"content-length": str(part.size), "content-range": part.within(size)}


def _no_range(size: int) -> Response:
    headers = {**_FIXED_HEADERS, "content-range": f"bytes */{size}", "cache-control": "no-store"}
    return PlainTextResponse(
        "The requested range cannot be served.\n", status_code=416, headers=headers
    )


def _not_found() -> Response:
    headers = {**_FIXED_HEADERS, "cache-control": "no-store"}
    text = "This link is invalid or has expired.\n"
    return PlainTextResponse(text, status_code=404, headers=headers)


def _gone() -> Response:
    headers = {**_FIXED_HEADERS, "cache-control": "no-store"}
    text = "This file has expired and is no longer kept.\n"
    return PlainTextResponse(text, status_code=410, headers=headers)


def _away(retry_after_s: float) -> Response:
    wait = {"retry-after": str(math.ceil(retry_after_s)), "cache-control": "no-store"}
    text = "This file is temporarily unavailable. Please try again.\n"
    return PlainTextResponse(text, status_code=503, headers={**_FIXED_HEADERS, **wait})


class GrpcMediaSource:
    """Asks the service; the gateway itself knows no key."""

    def __init__(self, client: GenerationClient) -> None:
        self._client = client

    @asynccontextmanager
    async def open(self, token: str, *, offset: int = 0, limit: int = 0) -> AsyncIterator[Found]:
        """Open the media of a link. Raises LinkInvalid and SourceAway, also while it is read."""
        request = pb.DownloadMediaRequest(link_token=token, read_offset=offset, read_limit=limit)
        call = self._client.generation.DownloadMedia(request, timeout=WHOLE_S)
        messages = aiter(call)
        try:
            first = await _first(messages)
            async with aclosing(_pieces(messages)) as pieces:
                yield Found(first.media, pieces)
        except GenerationError as error:
            raise _meaning(error) from error
        finally:
            # Without this the service would go on streaming to a client that has left.
            call.cancel()


async def _first(messages: AsyncIterator[pb.DownloadMediaResponse]) -> pb.DownloadMediaResponse:
    try:
        async with asyncio.timeout(FIRST_S):
            with translated():
                return await anext(messages)
    except (TimeoutError, StopAsyncIteration) as error:
        raise SourceAway("the service did not answer") from error


async def _pieces(
    messages: AsyncIterator[pb.DownloadMediaResponse],
) -> AsyncGenerator[bytes, None]:
    with translated():
        async for message in messages:
            yield message.data


def _meaning(error: GenerationError) -> Exception:
    if error.reason == "MEDIA_EXPIRED":
        return LinkExpired(error.reason)
    if error.reason in _GONE:
        return LinkInvalid(error.reason)
    return SourceAway(str(error), retry_after_s=error.retry_after_s or 1)
