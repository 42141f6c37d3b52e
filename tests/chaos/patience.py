"""Calling a service that is under attack: again, as long as the contract says that it may help."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from generation_client import GenerationError, translated
from runtime.backoff import Backoff

PATIENCE_S = 240.0
"""How long a caller tries: longer than any fault lasts."""
_T = TypeVar("_T")


async def patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """Return what the call returns in the end; raises GenerationError when no try can help."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    for delay_s in Backoff(first_s=0.2, cap_s=2.0):
        try:
            with translated():
                return await call()
        except GenerationError as error:
            if not error.is_retryable or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(delay_s)
    raise AssertionError("a backoff has no end")
