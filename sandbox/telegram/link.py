"""Links in messages: which are accepted, and how they are written out."""

import re

KNOWN = re.compile(r"(?:https?|tg|ton|tonsite)://[^\s]+", re.IGNORECASE)
BARE = re.compile(r"[^\s/:?#@]+\.[^\s/:?#@.]{2,}(?::\d+)?(?:[/?#][^\s]*)?")
LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?(?:/|$)")


def checked_link(url: str) -> str:
    """Return the link as Telegram stores it, or nothing if it is not a link."""
    url = url.strip()
    if not KNOWN.fullmatch(url) and not BARE.fullmatch(url):
        return ""
    if url.lower().startswith("tg:"):
        return url
    url = url if KNOWN.fullmatch(url) else f"http://{url}"
    scheme, _, rest = url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    tail = rest[len(host) :]
    return f"{scheme.lower()}://{host}{tail if tail.startswith('/') else '/' + tail}"


def is_loopback(url: str) -> bool:
    """Tell whether a plain HTTP link stays on this machine."""
    return bool(LOOPBACK.match(url))
