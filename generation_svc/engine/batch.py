"""Processes items one by one, so that a broken one does not stop the others."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

import structlog

from generation_svc.domain.error import Unavailable
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle.dependencies import Dependencies

BATCH = 100
MOST_TROUBLES = 3
"""After how many in a row it is not the items that stand in the way, but a server that is away."""
_Item = TypeVar("_Item")
_logger = structlog.get_logger(__name__)


async def one_by_one(items: Iterable[_Item], do: Callable[[_Item], Awaitable[object]]) -> None:
    """Do it with each; a fault in one is logged and stops none of the others.

    Raises Unavailable: after a few in a row at once, else at the end.
    """
    turn = _Round(do)
    await turn.take(items)
    turn.end()


async def one_by_one_found(
    deps: Dependencies,
    find: Callable[[Transaction, _Item | None], Awaitable[Sequence[_Item]]],
    do: Callable[[_Item], Awaitable[object]],
) -> None:
    """Do the same with all that is found, each once, a batch at a time.

    It goes on behind the last one that it found, whatever became of it: so those that fail every
    time stand before no other.
    """
    turn = _Round(do)
    last: _Item | None = None
    is_more = True
    while is_more and not deps.stopping.is_set():
        async with deps.database.transaction() as tx:
            found = await find(tx, last)
        await turn.take(found)
        last = found[-1] if found else None
        is_more = len(found) >= BATCH
    turn.end()


class _Round(Generic[_Item]):
    def __init__(self, do: Callable[[_Item], Awaitable[object]]) -> None:
        self._do = do
        self._troubles: list[Unavailable] = []
        self._in_a_row = 0

    async def take(self, items: Iterable[_Item]) -> None:
        for item in items:
            try:
                await self._do(item)
            except Unavailable as error:  # it may be this one's alone: somebody has its row locked
                self._troubles.append(error)
                self._in_a_row += 1
                if self._in_a_row >= MOST_TROUBLES:
                    raise
                continue
            except Exception:
                _logger.exception("an item could not be processed", what=repr(item)[:200])
            self._in_a_row = 0

    def end(self) -> None:
        if self._troubles:
            raise self._troubles[0]
