"""Results fetched from the provider's file hosts: only from these, only so much, only so long.

Each link, and each one that it redirects to, must be on the list and lead to the internet. The
address that was checked is the one that is connected to, so that a name cannot change its meaning
in between; the name still goes into the Host header and into TLS.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

import httpx2

from generation_svc.domain.error import FetchFailed, LinkDead, ResultRejected
from generation_svc.domain.provider import Content
from generation_svc.media.content import MAX_RESULT_BYTES, examine_result
from generation_svc.media.host import KIE_RESULT_HOSTS, HostList, is_public

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Gives the IP addresses of a host and port; raises OSError."""

DEADLINE = timedelta(seconds=60)
"""How long a fetch may take with all its redirects."""

MAX_REDIRECTS = 3

_DEAD_STATUSES = frozenset({403, 404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TIMEOUT = httpx2.Timeout(20, connect=5)


@asynccontextmanager
async def open_fetcher(
    *, allowed_hosts: Iterable[str] = KIE_RESULT_HOSTS
) -> AsyncIterator[HttpResultFetcher]:
    """Open a fetcher whose connections carry no key; raises ValueError for a bad entry."""
    headers = {"User-Agent": f"Atelier/{version('atelier')} (generation service)"}
    async with httpx2.AsyncClient(headers=headers, timeout=_TIMEOUT) as http:
        yield HttpResultFetcher(http, allowed_hosts=allowed_hosts)


async def resolve(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host, in the order in which to try them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class HttpResultFetcher:
    """`ResultFetcher` over HTTP."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        allowed_hosts: Iterable[str] = KIE_RESULT_HOSTS,
        resolver: Resolver = resolve,
        deadline: timedelta = DEADLINE,
    ) -> None:
        self._http = http
        self._hosts = HostList(allowed_hosts)
        self._resolver = resolver
        self._deadline = deadline

    async def fetch(self, url: str) -> Content:
        """Return the picture behind a link; raises LinkDead, FetchFailed or ResultRejected."""
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                data = await self._bytes_at(httpx2.URL(url))
        except httpx2.InvalidURL as error:
            raise ResultRejected("The link to the result is no URL.") from error
        except (httpx2.HTTPError, OSError, UnicodeError) as error:  # TimeoutError is an OSError
            raise FetchFailed(f"The result could not be fetched: {type(error).__name__}") from error
        return await examine_result(data)

    async def _bytes_at(self, url: httpx2.URL) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._step(url)
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise FetchFailed("The link to the result redirects too often.")

    async def _step(self, url: httpx2.URL) -> bytes | httpx2.URL:
        request = await self._request(url)
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            if response.status_code in _REDIRECTS:
                return url.join(response.headers.get("location", ""))
            _check_status(response.status_code)
            return await _body(response)
        finally:
            await response.aclose()

    async def _request(self, url: httpx2.URL) -> httpx2.Request:
        address = await self._checked_address(url)
        # Connections are pooled by address, and hosts behind one address refuse each other's: each
        # request has its own.
        headers = {"Host": url.netloc.decode("ascii"), "Connection": "close"}
        return self._http.build_request(
            "GET",
            url.copy_with(host=address),
            headers=headers | {"Accept-Encoding": "identity"},
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )

    async def _checked_address(self, url: httpx2.URL) -> str:
        rule = self._hosts.rule_for(url)
        if rule is None:
            raise ResultRejected(f"Results are not fetched from {url.host!r}.")
        addresses = await self._resolver(url.raw_host.decode("ascii"), url.port or 443)
        allowed = [address for address in addresses if rule.is_exact or is_public(address)]
        if not allowed:
            raise ResultRejected(f"{url.host!r} is not on the internet.")
        return allowed[0]


def _check_status(status: int) -> None:
    if status in _DEAD_STATUSES:
        raise LinkDead(f"The link to the result is dead (HTTP {status}).")
    if status != 200:
        raise FetchFailed(f"The result's host answered HTTP {status}.")


async def _body(response: httpx2.Response) -> bytes:
    data = bytearray()
    async for block in response.aiter_bytes():
        data += block
        if len(data) > MAX_RESULT_BYTES:
            raise ResultRejected(f"The result has more than {MAX_RESULT_BYTES // 2**20} MiB.")
    if not data:
        raise FetchFailed("The result's host sent nothing.")
    return bytes(data)
