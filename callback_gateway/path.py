"""Which paths are KIE's, and what of them is handed on."""

from __future__ import annotations

import re

CALLBACK_PATH = "/callbacks/kie"
"""Everything at and under this path is answered 200."""

MAX_TOKEN_CHARS = 128
"""The longest path token of the contract (ReportCallbackRequest.path_token)."""


def is_callback_path(path: str) -> bool:
    """Whether a path, percent-decoded, is KIE's; repeated slashes count as one."""
    return f"{_squeezed(path)}/".startswith(f"{CALLBACK_PATH}/")


def path_token(path: str) -> str:
    """Return the first segment after `/callbacks/kie/`, empty if there is none of a fair length."""
    token = _squeezed(path).removeprefix(CALLBACK_PATH).lstrip("/").partition("/")[0]
    return token if len(token) <= MAX_TOKEN_CHARS else ""


def _squeezed(path: str) -> str:
    return re.sub("/+", "/", path)
