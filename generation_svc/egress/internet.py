"""Sends requests to hosts that others named: only to the internet, at the checked address.

The address that was checked is the one that is connected to, so that a name cannot change its
meaning in between; the name still goes into the Host header and into TLS.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2

from generation_svc.egress.host import is_public
from generation_svc.egress.resolver import NameResolver, Resolver
from runtime.version import product_version


class NotOnInternet(Exception):
    """A host has no address of the internet."""


def http_client(*, part: str, **options: Any) -> httpx2.AsyncClient:
    """Return a client that says which part of Atelier it is, and that keeps no cookies.

    `options` are httpx's.
    """
    headers = {"User-Agent": f"Atelier/{product_version()} ({part})"}
    # A cookie of one result would be sent with requests for other people's results.
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx2.AsyncClient(headers=headers, cookies=cookies, **options)


class Internet:
    """Sends requests to hosts that have to be on the internet."""

    def __init__(self, http: httpx2.AsyncClient, *, resolver: Resolver | None = None) -> None:
        self._http = http
        self._resolver = resolver or NameResolver()

    async def send(
        self,
        method: str,
        url: httpx2.URL,
        *,
        is_private_meant: bool = False,
        headers: Mapping[str, str],
        content: bytes | None = None,
    ) -> httpx2.Response:
        """Send a request and return its answer, unread, no redirect followed.

        Raises NotOnInternet, unless an address of any kind is meant, and whatever httpx raises.
        """
        address = await self._address(url, is_private_meant=is_private_meant)
        # Connections are pooled by address, and hosts behind one address refuse each other's: each
        # request has its own.
        request = self._http.build_request(
            method,
            url.copy_with(host=address),
            headers={**headers, "Host": url.netloc.decode("ascii"), "Connection": "close"},
            content=content,
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        return await self._http.send(request, stream=True, follow_redirects=False)

    async def _address(self, url: httpx2.URL, *, is_private_meant: bool) -> str:
        addresses = await self._resolver(url.raw_host.decode("ascii"), url.port or 443)
        allowed = [each for each in addresses if is_private_meant or is_public(each)]
        if not allowed:
            raise NotOnInternet(f"{url.host!r} is not on the internet.")
        return allowed[0]
