"""Fetches results from the provider's file hosts, within limits of host, size and time.

The bytes go to a file as they come: a large result is never in memory. A fetch goes on for as long
as it gets somewhere: each piece earns it more time, up to a bound.

Each link, and each one that it redirects to, must be on the list and lead to the internet. A proved
link, one that the provider's own API made over TLS, is the provider's on whichever host: it needs
no list, but https and an address of the internet, and a redirect to another host needs the list.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import httpx2

from generation_svc.domain.error import (
    FetchFailed,
    HostUnreachable,
    LinkDead,
    ResultRejected,
    ResultTooLarge,
)
from generation_svc.domain.media import MediaKind
from generation_svc.domain.model import ResultForm
from generation_svc.domain.observation import MIDI_TYPE
from generation_svc.domain.port.media import Examined
from generation_svc.egress.host import HostList, is_plain_https
from generation_svc.egress.internet import Internet, NotOnInternet, http_client
from generation_svc.egress.resolver import Resolver
from generation_svc.egress.tls import client_tls
from generation_svc.media.meter import MediaMeter
from generation_svc.media.midi import midi_of
from generation_svc.media.scratch import Scratch, ScratchWriter
from runtime.thread import in_thread

KIE_RESULT_HOSTS = (
    "tempfile.aiquickdraw.com",
    "file.aiquickdraw.com",
    "tempfile.redpandaai.co",
)
"""The hosts on which KIE keeps results (kie-api.md §5)."""

MAX_RESULT_BYTES = 500 * 2**20
"""The largest result that is kept of a model whose own limit is not known."""

MAX_REDIRECTS = 3

_MEDIA = frozenset({MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO})
_PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif")
_CLIP_ENDINGS = (".mp4", ".m4v", ".mov", ".webm", ".mp3", ".wav", ".m4a", ".aac", ".ogg", ".flac")
_DEAD_STATUSES = frozenset({403, 404, 410})
_NOT_NOW_STATUSES = frozenset({429, 503})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOBODY_THERE = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    socket.gaierror,
)
_TIMEOUT = httpx2.Timeout(20, connect=5)


class Examine(Protocol):
    """Says what a result is; raises FetchFailed, ResultRejected or Unavailable."""

    async def __call__(self, path: Path, *, is_media_promised: bool) -> Examined:
        """Examine a file; words are no result where media was promised."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How much is fetched, and for how long."""

    max_bytes: int = MAX_RESULT_BYTES
    first_seconds: float = 60
    """The time that every fetch has, with all its redirects."""
    bytes_per_second: int = 64 * 2**10
    """What earns it one more second."""
    max_seconds: float = 30 * 60
    """The longest that a fetch may take, however steadily it goes on."""

    def seconds(self, received: int) -> float:
        """Return how long a fetch may take that has received so much."""
        return min(self.first_seconds + received / self.bytes_per_second, self.max_seconds)


@asynccontextmanager
async def open_fetcher(
    scratch: Scratch,
    *,
    examine: Examine,
    allowed_hosts: Iterable[str] = KIE_RESULT_HOSTS,
    meter: MediaMeter | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[HttpResultFetcher]:
    """Open a fetcher whose connections carry no key; raises ValueError for a bad entry."""
    verify = tls or client_tls()
    async with http_client(part="generation service", timeout=_TIMEOUT, verify=verify) as http:
        yield HttpResultFetcher(
            http, scratch, examine=examine, allowed_hosts=allowed_hosts, meter=meter
        )


class HttpResultFetcher:
    """`ResultFetcher` over HTTP."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        scratch: Scratch,
        *,
        examine: Examine,
        allowed_hosts: Iterable[str] = KIE_RESULT_HOSTS,
        resolver: Resolver | None = None,
        limits: FetchLimits | None = None,
        meter: MediaMeter | None = None,
    ) -> None:
        self._internet = Internet(http, resolver=resolver)
        self._scratch = scratch
        self._examine = examine
        self._hosts = HostList(allowed_hosts)
        self._limits = limits or FetchLimits()
        self._meter = meter or MediaMeter()

    @asynccontextmanager
    async def fetch(
        self, url: str, *, is_proved: bool = False, form: ResultForm | None = None
    ) -> AsyncIterator[Examined]:
        """Hold what is behind a link; raises LinkDead, FetchFailed or ResultRejected."""
        limits = replace(self._limits, max_bytes=form.max_bytes) if form else self._limits
        is_media = form is not None and _MEDIA.issuperset(form.kinds)
        async with self._scratch.file() as path:
            download = _Download(
                ScratchWriter(self._scratch, path), limits=limits, meter=self._meter
            )
            try:
                await self._fetched(url, download, is_proved=is_proved)
                is_promised = is_media or is_media_promised(url)
                yield await self._examine(path, is_media_promised=is_promised)
            finally:
                download.forget()

    @asynccontextmanager
    async def write(self, content: str, *, mime_type: str) -> AsyncIterator[Examined]:
        """Hold what was sent without a link; it is what it was called, since we wrote it."""
        data = await _written(content, mime_type=mime_type)
        async with self._scratch.file() as path:
            await self._scratch.append(path, data)
            digest = sha256(data).hexdigest()
            yield Examined(path=path, mime_type=mime_type, size_bytes=len(data), sha256=digest)

    async def _fetched(self, url: str, download: _Download, *, is_proved: bool) -> None:
        try:
            async with asyncio.timeout(self._limits.first_seconds) as download.deadline:
                await self._follow(httpx2.URL(url), download, is_proved=is_proved)
        except httpx2.InvalidURL as error:
            raise ResultRejected("The link to the result is not a URL.") from error
        except _NOBODY_THERE as error:
            raise HostUnreachable(
                f"The result's host cannot be reached: {type(error).__name__}"
            ) from error
        except (httpx2.HTTPError, OSError, UnicodeError) as error:  # TimeoutError is an OSError
            raise FetchFailed(f"The result could not be fetched: {type(error).__name__}") from error

    async def _follow(self, url: httpx2.URL, download: _Download, *, is_proved: bool) -> None:
        first_host = url.raw_host
        for _ in range(MAX_REDIRECTS + 1):
            # The provider's API vouched for this host, not for where it redirects to.
            is_still_proved = is_proved and url.raw_host == first_host
            target = await self._step(url, download, is_proved=is_still_proved)
            if target is None:
                return
            url = target
        raise FetchFailed("The link to the result redirects too often.")

    async def _step(
        self, url: httpx2.URL, download: _Download, *, is_proved: bool
    ) -> httpx2.URL | None:
        """Fetch what is behind a link, or return the link that it redirects to."""
        response = await self._ask(url, is_proved=is_proved)
        try:
            if response.status_code in _REDIRECTS:
                return url.join(response.headers.get("location", ""))
            _check_status(response.status_code)
            await download.take(response)
            return None
        finally:
            await response.aclose()

    async def _ask(self, url: httpx2.URL, *, is_proved: bool) -> httpx2.Response:
        rule = self._hosts.rule_for(url)
        if rule is None and not (is_proved and is_plain_https(url)):
            raise ResultRejected(f"Results are not fetched from {url.host!r}.")
        # Asked for unpacked, so that the announced length is the one that comes.
        headers = {"Accept-Encoding": "identity"}
        try:
            return await self._internet.send(
                "GET", url, is_private_meant=rule is not None and rule.is_exact, headers=headers
            )
        except NotOnInternet as error:
            raise ResultRejected(str(error)) from error


def _check_status(status: int) -> None:
    if status in _DEAD_STATUSES:
        raise LinkDead(f"The link to the result no longer works (HTTP {status}).")
    if status in _NOT_NOW_STATUSES:
        raise HostUnreachable(f'The result\'s host says "not now" (HTTP {status}).')
    if status != 200:
        raise FetchFailed(f"The result's host answered HTTP {status}.")


class _Download:
    """The bytes of a result on their way to a file; a packed body unpacks in pieces of 1 MiB."""

    deadline: asyncio.Timeout

    def __init__(self, writer: ScratchWriter, *, limits: FetchLimits, meter: MediaMeter) -> None:
        self._writer = writer
        self._limits = limits
        self._meter = meter
        self._start = asyncio.get_running_loop().time()
        self._received = 0

    async def take(self, response: httpx2.Response) -> None:
        """Take all of a body; raises ResultTooLarge, or FetchFailed for one that is empty."""
        if _announced_bytes(response) > self._limits.max_bytes:
            raise self._too_large()
        async for block in response.aiter_bytes():
            self._count(len(block))
            await self._writer.write(block)
        await self._writer.flush()
        if not self._received:
            raise FetchFailed("The result's host sent nothing.")

    def forget(self) -> None:
        """Count the bytes no longer: their file is gone."""
        self._meter.result_bytes.dec(self._received)

    def _count(self, count: int) -> None:
        self._received += count
        self._meter.result_bytes.inc(count)
        if self._received > self._limits.max_bytes:
            raise self._too_large()
        self.deadline.reschedule(self._start + self._limits.seconds(self._received))

    def _too_large(self) -> ResultTooLarge:
        return ResultTooLarge(f"The result is larger than {self._limits.max_bytes // 2**20} MiB.")


def is_media_promised(url: str) -> bool:
    """Return whether a link ends like that of a picture, a video or a piece of sound."""
    return httpx2.URL(url).path.lower().endswith(_PICTURE_ENDINGS + _CLIP_ENDINGS)


def _announced_bytes(response: httpx2.Response) -> int:
    text = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


async def _written(content: str, *, mime_type: str) -> bytes:
    """Return the bytes of what was told: a score is written from its notes."""
    if mime_type != MIDI_TYPE:
        return content.encode()
    return await in_thread(partial(midi_of, content), name="score")
