"""Processes items one by one, so that a broken one does not stop the others."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import structlog

from generation_svc.domain.error import Unavailable

BATCH = 100
_Item = TypeVar("_Item")
_logger = structlog.get_logger(__name__)


async def one_by_one(items: Iterable[_Item], do: Callable[[_Item], Awaitable[object]]) -> None:
    """Do it with each; a fault in one is logged and stops none of the others."""
    for item in items:
        try:
            await do(item)
        except Unavailable:
            raise
        except Exception:
            _logger.exception("an item could not be processed", what=repr(item)[:200])
