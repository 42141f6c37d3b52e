"""Errors of the generation service that pass by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import grpc

from generation_svc.client import GenerationError
from runtime.backoff import Backoff

_PASSING_CODES = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNAVAILABLE,
    }
)


def is_passing(error: BaseException) -> bool:
    """Tell whether the same call may succeed later."""
    match error:
        case GenerationError():
            return error.is_retryable or error.code in _PASSING_CODES
        case grpc.aio.AioRpcError():
            return error.code() in _PASSING_CODES
        case _:
            return False


async def insistently(call: Callable[[], Awaitable[None]]) -> None:
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
