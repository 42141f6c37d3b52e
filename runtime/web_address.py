"""Settings that hold the address of an HTTP server."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

_PRINTABLE = re.compile("[!-~]+")
_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def checked_web_address(text: str) -> str:
    """Return an address of a server without a slash at its end, or raise ValueError.

    The error quotes nothing: what somebody puts in front of a host may be a password.
    """
    if text and not _is_web_address(text):
        raise ValueError(
            "it must begin with https:// or http:// and name a host,"
            " without a user, a password, a query or a fragment"
        )
    return text.rstrip("/")


WebAddress = Annotated[str, AfterValidator(checked_web_address)]
"""The type of a setting that says where an HTTP server is; empty where there is none."""


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        has_port = parts.port is None or 0 < parts.port <= 65535
    except ValueError:
        return False
    # Asked of the text: urlsplit makes no difference between an empty query and none.
    is_plain = "@" not in parts.netloc and "?" not in text and "#" not in text
    has_host = bool(parts.hostname and _HOST.fullmatch(parts.hostname))
    is_web = parts.scheme in ("http", "https")
    return is_web and has_host and has_port and is_plain and bool(_PRINTABLE.fullmatch(text))
