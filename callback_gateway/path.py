"""Which paths are the providers', and what of them is handed on."""

from __future__ import annotations

import re

CALLBACK_PATH = "/callbacks/kie"
"""Everything at and under this path is answered 200, for ever."""

_CALLBACK = re.compile(r"/callbacks/([a-z0-9-]{1,32})/(.+)", re.DOTALL)
"""A callback of any provider: its name, and then the token."""

MEDIA_PATH = "/media/"
"""What a link to media begins with, after the public address of the gateway."""

MAX_TOKEN_CHARS = 128
"""The longest path token of the contract (ReportCallbackRequest.path_token)."""

CALLBACK_ROUTE = "callback"
"""The name under which answers to callbacks are counted."""


def is_callback_path(path: str) -> bool:
    """Whether a path, percent-decoded, is a provider's; repeated slashes count as one."""
    path = _squeezed(path)
    return f"{path}/".startswith(f"{CALLBACK_PATH}/") or bool(_CALLBACK.fullmatch(path))


def route_of(path: str) -> str:
    """Return the name under which answers on this path are counted."""
    if is_callback_path(path):
        return CALLBACK_ROUTE
    return "media" if path.startswith(MEDIA_PATH) else "other"


def path_token(path: str) -> str:
    """Return the segment after the provider's name, empty if there is none of a fair length."""
    found = _CALLBACK.fullmatch(_squeezed(path))
    token = found[2].partition("/")[0] if found else ""
    return token if len(token) <= MAX_TOKEN_CHARS else ""


def provider_of(path: str) -> str:
    """Return the name of the provider that a callback's path is for."""
    found = _CALLBACK.fullmatch(_squeezed(path))
    return found[1] if found else ""


def _squeezed(path: str) -> str:
    return re.sub("/+", "/", path)
