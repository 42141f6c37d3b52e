"""Which paths are KIE's, and what of them is handed on."""

from __future__ import annotations

import re

CALLBACK_PATH = "/callbacks/kie"
"""Everything at and under this path is answered 200."""

MEDIA_PATH = "/media/"
"""What a link to media begins with, after the public address of the gateway."""

MAX_TOKEN_CHARS = 128
"""The longest path token of the contract (ReportCallbackRequest.path_token)."""

CALLBACK_ROUTE = "callback"
"""The name under which answers to callbacks are counted."""


def is_callback_path(path: str) -> bool:
    """Whether a path, percent-decoded, is KIE's; repeated slashes count as one."""
    return f"{_squeezed(path)}/".startswith(f"{CALLBACK_PATH}/")


def route_of(path: str) -> str:
    """Return the name under which answers on this path are counted."""
    if is_callback_path(path):
        return CALLBACK_ROUTE
    return "media" if path.startswith(MEDIA_PATH) else "other"


def path_token(path: str) -> str:
    """Return the first segment after `/callbacks/kie/`, empty if there is none of a fair length."""
    token = _squeezed(path).removeprefix(CALLBACK_PATH).lstrip("/").partition("/")[0]
    return token if len(token) <= MAX_TOKEN_CHARS else ""


def _squeezed(path: str) -> str:
    return re.sub("/+", "/", path)
