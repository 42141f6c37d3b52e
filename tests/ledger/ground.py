"""Two replicas on one database, which are killed at any of their transactions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, TypeVar, cast

from generation_svc.domain.money import MoneyMode
from generation_svc.domain.port.transaction import Database, Transaction
from generation_svc.domain.top_up import Pack
from tests.lifecycle import Harness, OpenBench

PACKS = (Pack("few", 15, 10), Pack("many", 100, 90))
_T = TypeVar("_T")


class Killed(BaseException):
    """The process ended here, and none of its own errors."""


@dataclass(slots=True)
class Fuse:
    """How long the processes live."""

    left: int | None = None
    """How many transactions; None for ever."""
    is_committed: bool = False
    """Whether the last of them takes place."""
    has_dead: bool = False
    """Whether somebody was killed and not buried yet."""

    def burns(self) -> bool:
        """Count a transaction, and return whether it is the last one. Raises Killed after that."""
        if self.left is None:
            return False
        self.left -= 1
        if self.left < 0:
            raise Killed  # a dead process begins nothing
        return self.left == 0


class FragileDatabase:
    """A database whose client is killed at one of its next transactions."""

    def __init__(self, database: Database, fuse: Fuse) -> None:
        self._database, self._fuse = database, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a transaction, of which one ends with the process."""
        try:
            is_last = self._fuse.burns()
            async with self._database.transaction() as tx:
                yield tx
                if is_last and not self._fuse.is_committed:
                    raise Killed
            if is_last:
                raise Killed
        except Killed:
            self._fuse.has_dead = True  # only now: others may come while it is rolled back
            raise


class Ground:
    """A service of two replicas on a PostgreSQL, and the loop it lives in."""

    def __init__(self, replicas: tuple[Harness, ...], fuse: Fuse) -> None:
        self.replicas, self.fuse = replicas, fuse
        self.reached: Counter[str] = Counter()
        """What all examples came to, and how often."""
        self.failure: BaseException | None = None
        """What went wrong first."""
        self._loop = asyncio.get_running_loop()
        self._turns = cycle(replicas)
        self._catalog = replicas[0].deps.models.catalog

    @property
    def harness(self) -> Harness:
        """The first replica; the provider and what lies behind links is the same for both."""
        return self.replicas[0]

    def next(self) -> Harness:
        """Return the replica whose turn it is."""
        return next(self._turns)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run something to its end."""
        return self._loop.run_until_complete(coroutine)

    def bury(self) -> None:
        """Have all that waited for a killed process know that it is gone."""
        if not self.fuse.has_dead:
            # Whoever was told so itself and is here again buries nobody: of two that are done
            # again at once, each would end the other for ever.
            return
        self.fuse.has_dead = False
        for each in self.replicas:
            waiting = each.deps.acceptance._waiting
            while waiting:
                waiting.popleft().outcome.cancel()

    def expire(self) -> None:
        """Have both replicas read again on what terms something is sold."""
        for each in self.replicas:
            each.deps.money.terms.expire()

    async def empty(self) -> None:
        """Begin again with an empty ledger."""
        self.fuse.left, self.fuse.has_dead = None, False
        self._turns = cycle(self.replicas)
        await self.harness.empty(_TABLES)
        await self.harness.query("UPDATE money_state SET sales_closed_reason = NULL")
        self.harness.provider.created.clear()
        self.harness.provider.tasks.clear()
        self.harness.provider.refuse(None)
        self.harness.fetcher.links = {}
        await self.sell_all()
        self.expire()

    async def sell_all(self) -> None:
        """Put back on sale what was taken off since it cost too much."""
        await self.harness.query("DELETE FROM catalog_override")
        (state,) = await self.harness.query("SELECT max(revision) AS revision FROM catalog_state")
        for each in self.replicas:
            # Not by the use case, which checks the whole catalog again for seconds.
            each.deps.models.catalog = self._catalog
            each.deps.models.revision = state["revision"] or 0
            each.deps.models.off.expire()


_TABLES = (
    "job, callback_receipt, breaker, transfer, wallet, hold, top_up, margin_rule, receipt,"
    " star_transaction, request_key, money_cursor, wallet_import, cost_excess, credit_grant"
)


async def open_ground(open_bench: OpenBench) -> Ground:
    """Open both replicas, with something to sell."""
    first = await open_bench(money=MoneyMode.TEST)
    async with first.transaction() as tx:
        await tx.money.mark(MoneyMode.TEST)
        await tx.top_ups.offer(PACKS)
    fuse = Fuse()
    second = await open_bench(money=MoneyMode.TEST, sharing=first)
    for each in (first, second):
        database = cast(Any, FragileDatabase(each.deps.database, fuse))
        money = replace(each.deps.money, packs=PACKS)
        each.deps = replace(each.deps, database=database, money=money)
    return Ground((first, second), fuse)
