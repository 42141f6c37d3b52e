"""A kind of work that rows make due: how a batch of it is claimed, and how one item is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from generation_svc.lifecycle.dependencies import Dependencies

T = TypeVar("T")
_Item = TypeVar("_Item", contravariant=True)


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """What a claim brought."""

    items: Sequence[T] = ()
    next_due: timedelta | None = None
    """When there is more to claim; zero means now, None that no row says so."""
    blocked_for: timedelta = timedelta(0)
    """How long nothing can be claimed, unless what unblocks it is announced."""


class _Claims(Protocol[T]):
    """Claims what is due, in one transaction."""

    async def __call__(self, deps: Dependencies, *, limit: int) -> Batch[T]:
        """Claim at most so many items, each under a lease."""


class _Does(Protocol[_Item]):
    """Does one item, and gives it back if it is cancelled."""

    async def __call__(self, deps: Dependencies, item: _Item, /) -> None:
        """Do it to its end; a fault is the caller's to log."""


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """One kind of work."""

    name: str
    topic: str | None
    """The announcement that there is some; None if only the clock and the look for it tell."""
    concurrency: int
    """How many items are done side by side in one process."""
    claim: _Claims[T]
    do: _Does[T]
    unblocked_by: str | None = None
    """The announcement that what blocks it may be over."""


async def do_one(deps: Dependencies, work: Work[T]) -> bool:
    """Claim one item and do it; return whether there was one."""
    batch = await work.claim(deps, limit=1)
    for item in batch.items:
        await work.do(deps, item)
    return bool(batch.items)
