"""Classifies errors of the generation service that are transient."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc

from generation_client import GenerationError
from runtime.backoff import Backoff
from runtime.retry import retry

_BACKOFF = Backoff(first_s=0.2, cap_s=2.0)


def is_passing(error: BaseException) -> bool:
    """Tell whether the same call may succeed later."""
    if isinstance(error, grpc.aio.AioRpcError):
        error = GenerationError.from_rpc(error)
    return isinstance(error, GenerationError) and error.is_retryable


def is_out_of_room(error: GenerationError) -> bool:
    """Tell whether the service has no room for what is new, which may last for hours."""
    is_disk = error.reason == "OVERLOADED" and error.metadata.get("part") == "disk"
    return is_disk or error.reason == "STORAGE_QUOTA_EXCEEDED"


async def retrying(call: Callable[[], Awaitable[None]]) -> None:
    """Repeat a call until the service accepts it; the caller sets the time limit."""
    await retry(call, delays=_BACKOFF, may_pass=_is_passing_refusal)


def _is_passing_refusal(error: Exception) -> bool:
    return isinstance(error, GenerationError) and error.is_retryable
