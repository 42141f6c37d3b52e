"""Which addresses are posted to: https on the internet, and what the operator named exactly."""

import re

import httpx2

from runtime.host import HostList, is_address, is_public

_NAME = re.compile(r"[\w-]+(\.[\w-]+)+\.?", re.ASCII)


def problem_of(text: str, *, allowed: HostList) -> str:
    """Say in a sentence what would be right; nothing if the address is.

    What a name stands for is looked up, and judged, when it is posted to.
    """
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, UnicodeError):
        return "Must be an address such as https://example.org/hook."
    if url.userinfo:
        return "Must hold no user name and no password: the signature proves who posts."
    if "#" in text:
        return "Must have no fragment."
    if allowed.rule_for(url) is not None:
        return ""
    if url.scheme != "https" or not url.host:
        return "Must begin with https:// and a host, such as https://example.org/hook."
    host = url.raw_host.decode("ascii")
    return "" if _may_be_public(host) else "Must be on the internet; this host is not."


def _may_be_public(host: str) -> bool:
    """Return whether it is a public address, or a name that may stand for one."""
    return is_public(host) if is_address(host) else bool(_NAME.fullmatch(host))
