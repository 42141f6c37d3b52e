"""Works through many things of which one may be broken."""

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
            _logger.exception("one of many could not be done", what=repr(item)[:200])
