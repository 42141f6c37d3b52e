"""The list of allowed hosts, and the check for public addresses.

An entry is `host`, `*.suffix` or `host:port`. Without a port it stands for https on 443. With one,
the operator has named one server exactly: http is then allowed, and so is a private address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import httpx2

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ENTRY = re.compile(
    r"(?P<suffix>\*\.)?(?P<host>\[[0-9A-Fa-f:.]+\]|[\w-]+(\.[\w-]+)*)(:(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class HostRule:
    """One entry of the list."""

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, entry: str) -> Self:
        """Read an entry; anything else is a ValueError that says so."""
        found = _ENTRY.fullmatch(entry)
        if found is None or (found["suffix"] and found["port"]):
            raise ValueError(f"{entry!r} is not a host, *.suffix or host:port")
        if found["port"] and not 0 < int(found["port"]) <= 65535:
            raise ValueError(f"{entry!r} needs a port from 1 to 65535")
        host = (found["suffix"] or "") + found["host"].lower().strip("[]")
        return cls(host, int(found["port"]) if found["port"] else None)

    @property
    def is_exact(self) -> bool:
        """Whether it names one server, so that a private address is meant."""
        return self.port is not None or _as_ip(self.host) is not None

    def matches(self, url: httpx2.URL) -> bool:
        """Return whether this URL may be called under this rule."""
        scheme_ports = {"http": 80, "https": 443}
        if url.scheme not in scheme_ports or url.userinfo:
            return False
        port = url.port or scheme_ports[url.scheme]
        if self.port is None:
            return url.scheme == "https" and port == 443 and self._names(_host(url))
        return port == self.port and self._names(_host(url))

    def _names(self, host: str) -> bool:
        return host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host


class HostList:
    """The hosts that may be called."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._rules = tuple(HostRule.parse(entry) for entry in entries)

    def rule_for(self, url: httpx2.URL) -> HostRule | None:
        """Return the rule that allows this URL, one that names it exactly if there is one."""
        matching = [rule for rule in self._rules if rule.matches(url)]
        return max(matching, key=lambda rule: rule.is_exact, default=None)


def is_plain_https(url: httpx2.URL) -> bool:
    """Return whether a URL is https on its own port, without a user in it."""
    return url.scheme == "https" and url.port in (None, 443) and not url.userinfo


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the internet."""
    ip = _as_ip(address.partition("%")[0])
    if ip is None:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        # An IPv6 address may carry a private IPv4 one, to which a gateway would lead.
        ip = _embedded(ip) or ip
        if ip.version == 6 and (ip.is_reserved or ip.is_site_local):
            return False
    return ip.is_global and not ip.is_multicast


def is_address(host: str) -> bool:
    """Return whether a host is written as an IP address."""
    return _as_ip(host) is not None


def _embedded(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to, if it does."""
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour


def _host(url: httpx2.URL) -> str:
    return url.raw_host.decode("ascii").lower().rstrip(".")


def _as_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
