"""Results fetched from the provider's file hosts: only from these, only so much, only so long.

Each link, and each one that it redirects to, must be on the list and lead to the internet. A proved
link, one that the provider's own API made over TLS, is the provider's on whichever host: it needs
no list, but https and an address of the internet, and a redirect to another host needs the list.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx2

from generation_svc.domain.error import (
    FetchFailed,
    HostUnreachable,
    LinkDead,
    ResultRejected,
    ResultTooLarge,
)
from generation_svc.domain.media import Content
from generation_svc.egress.host import HostList, is_plain_https
from generation_svc.egress.internet import Internet, NotOnInternet, http_client
from generation_svc.egress.resolver import Resolver
from generation_svc.media.content import MAX_RESULT_BYTES

KIE_RESULT_HOSTS = (
    "tempfile.aiquickdraw.com",
    "file.aiquickdraw.com",
    "tempfile.redpandaai.co",
)
"""The hosts on which KIE keeps results (kie-api.md §5)."""

DEADLINE = timedelta(seconds=60)
"""How long a fetch may take with all its redirects."""

MAX_REDIRECTS = 3

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

Examine = Callable[[bytes], Awaitable[Content]]
"""Says what a result is; raises FetchFailed, ResultRejected or Unavailable."""


@asynccontextmanager
async def open_fetcher(
    *, examine: Examine, allowed_hosts: Iterable[str] = KIE_RESULT_HOSTS
) -> AsyncIterator[HttpResultFetcher]:
    """Open a fetcher whose connections carry no key; raises ValueError for a bad entry."""
    async with http_client(part="generation service", timeout=_TIMEOUT) as http:
        yield HttpResultFetcher(http, examine=examine, allowed_hosts=allowed_hosts)


class HttpResultFetcher:
    """`ResultFetcher` over HTTP."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        examine: Examine,
        allowed_hosts: Iterable[str] = KIE_RESULT_HOSTS,
        resolver: Resolver | None = None,
        deadline: timedelta = DEADLINE,
    ) -> None:
        self._internet = Internet(http, resolver=resolver)
        self._examine = examine
        self._hosts = HostList(allowed_hosts)
        self._deadline = deadline

    async def fetch(self, url: str, *, is_proved: bool = False) -> Content:
        """Return the picture behind a link; raises LinkDead, FetchFailed or ResultRejected."""
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                data = await self._bytes_at(httpx2.URL(url), is_proved=is_proved)
        except httpx2.InvalidURL as error:
            raise ResultRejected("The link to the result is no URL.") from error
        except _NOBODY_THERE as error:
            raise HostUnreachable(
                f"The result's host cannot be reached: {type(error).__name__}"
            ) from error
        except (httpx2.HTTPError, OSError, UnicodeError) as error:  # TimeoutError is an OSError
            raise FetchFailed(f"The result could not be fetched: {type(error).__name__}") from error
        return await self._examine(data)

    async def _bytes_at(self, url: httpx2.URL, *, is_proved: bool) -> bytes:
        first_host = url.raw_host
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._step(url, is_proved=is_proved and url.raw_host == first_host)
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise FetchFailed("The link to the result redirects too often.")

    async def _step(self, url: httpx2.URL, *, is_proved: bool) -> bytes | httpx2.URL:
        response = await self._ask(url, is_proved=is_proved)
        try:
            if response.status_code in _REDIRECTS:
                return url.join(response.headers.get("location", ""))
            _check_status(response.status_code)
            return await _body(response)
        finally:
            await response.aclose()

    async def _ask(self, url: httpx2.URL, *, is_proved: bool) -> httpx2.Response:
        rule = self._hosts.rule_for(url)
        if rule is None and not (is_proved and is_plain_https(url)):
            raise ResultRejected(f"Results are not fetched from {url.host!r}.")
        headers = {"Accept-Encoding": "identity"}
        try:
            return await self._internet.send(
                "GET", url, is_private_meant=rule is not None and rule.is_exact, headers=headers
            )
        except NotOnInternet as error:
            raise ResultRejected(str(error)) from error


def _check_status(status: int) -> None:
    if status in _DEAD_STATUSES:
        raise LinkDead(f"The link to the result is dead (HTTP {status}).")
    if status in _NOT_NOW_STATUSES:
        raise HostUnreachable(f'The result\'s host says "not now" (HTTP {status}).')
    if status != 200:
        raise FetchFailed(f"The result's host answered HTTP {status}.")


async def _body(response: httpx2.Response) -> bytes:
    """Read a body up to the limit: one that is packed unpacks in pieces of 1 MiB."""
    data = bytearray()
    async for block in response.aiter_bytes():
        data += block
        if len(data) > MAX_RESULT_BYTES:
            raise ResultTooLarge(f"The result has more than {MAX_RESULT_BYTES // 2**20} MiB.")
    if not data:
        raise FetchFailed("The result's host sent nothing.")
    return bytes(data)
