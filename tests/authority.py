"""The authorities that servers are checked against, read once for all the clients of a run.

Each client that a test opens would spend 20 ms on them, and hardly one of them meets a certificate.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator

import httpcore2
import httpx
import pytest

Read = Callable[..., ssl.SSLContext]


@pytest.fixture(scope="session", autouse=True)
def authorities() -> Iterator[None]:
    """Keep what was read, for as long as the environment names the same authorities."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((httpcore2, "default_ssl_context"), (httpx, "create_ssl_context")):
            patch.setattr(module, name, _once(getattr(module, name)))
        yield


def _once(read: Read) -> Read:
    kept: dict[tuple[object, ...], ssl.SSLContext] = {}

    def once(**asked: bool) -> ssl.SSLContext:
        named = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        key = (*named, *asked.items())
        if key not in kept:
            kept[key] = read(**asked)
        return kept[key]

    return once
