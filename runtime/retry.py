"""Doing something again while its failure may pass by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from runtime.wait import Deadline

_T = TypeVar("_T")


async def retry(
    call: Callable[[], Awaitable[_T]],
    *,
    delays: Iterable[float],
    may_pass: Callable[[Exception], bool],
    deadline: Deadline | None = None,
) -> _T:
    """Return what a call returns, made again after each of the delays while its error may pass.

    The last error is raised: one that stays, one after the deadline, or that of the call after the
    last delay.
    """
    for delay_s in delays:
        try:
            return await call()
        except Exception as error:
            is_late = deadline is not None and deadline.is_over
            if is_late or not may_pass(error):
                raise
        await asyncio.sleep(delay_s)
    return await call()
