"""A request that asks for another protocol, written again so that it does not ask.

A server may ignore `Upgrade` (RFC 9110 §7.8), but httptools stops at such a head and takes what
follows, the body, for the other protocol's. Java's HttpClient asks for h2c on plain http.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_ASKS = (b"upgrade", b"http2-settings")
_FOLD = re.compile(rb"[\r\n]+")
_Header = tuple[bytes, bytes]


def plain_head(*, method: bytes, url: bytes, version: str, headers: Iterable[_Header]) -> bytes:
    """Return the request line and the headers without the wish for another protocol."""
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
