"""Checks webhook addresses: https on the internet, and hosts that the operator named.

What can never be reached is refused when the job is made, not after a day of tries.
"""

import re

import httpx2

from generation_svc.egress.host import HostList
from generation_svc.egress.hostname import may_be_public

_MISWRITTEN = re.compile(r"[\s\\\x00-\x1f\x7f]")
"""What an address never holds: a client that mends it reaches another one than was written."""
_PORT = re.compile(r":([^:\]]*)$")


def problem_of(text: str, *, allowed: HostList) -> str:
    """Say in a sentence what would be right; nothing if the address is.

    What a name stands for is looked up, and judged, when it is posted to.
    """
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, UnicodeError):
        return "Must be an address such as https://example.org/hook."
    # Judged by the text and not by the parsed URL, in which httpx has mended such characters.
    if _MISWRITTEN.search(text):
        return "Must be an address such as https://example.org/hook, without spaces."
    if url.userinfo:
        return "Must not contain a user name or a password: the signature proves who posts."
    if "#" in text:
        return "Must not have a fragment."
    return _problem_of_server(url, text, allowed=allowed)


def _problem_of_server(url: httpx2.URL, text: str, *, allowed: HostList) -> str:
    host = url.raw_host.decode("ascii")
    if not _has_good_port(text):
        return "The port must be a number from 1 to 65535."
    if host.endswith("."):
        return "The host must not end in a dot."
    if allowed.rule_for(url) is not None:
        return ""
    if url.scheme != "https" or not host:
        return "Must begin with https:// and a host, such as https://example.org/hook."
    return "" if may_be_public(host) else "The host must be on the public internet."


def _has_good_port(text: str) -> bool:
    """Return whether there is no port, or one that a server can have: httpx takes any number."""
    server = re.split("[/?#]", text.partition("//")[2], maxsplit=1)[0]
    found = _PORT.search(server)
    if found is None:
        return True
    port = found[1]
    return port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65535
