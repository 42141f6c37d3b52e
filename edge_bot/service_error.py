"""Errors of the generation service that pass by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import grpc

from generation_client import GenerationError
from runtime.backoff import Backoff


def is_passing(error: BaseException) -> bool:
    """Tell whether the same call may succeed later."""
    if isinstance(error, grpc.aio.AioRpcError):
        error = GenerationError.from_rpc(error)
    return isinstance(error, GenerationError) and error.is_retryable


async def retrying(call: Callable[[], Awaitable[None]]) -> None:
    """Repeat a call until the service takes it; whoever calls sets the limit."""
    for delay_s in Backoff(first_s=0.2, cap_s=2.0):
        try:
            await call()
        except GenerationError as error:
            if not is_passing(error):
                raise
            await asyncio.sleep(delay_s)
        else:
            return
