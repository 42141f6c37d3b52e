"""What somebody outside remembers of what happened, and how a step is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from generation_svc.domain.error import AtelierError, Unavailable
from generation_svc.domain.job import Job
from generation_svc.domain.top_up import Payment, TopUp
from generation_svc.usecase.money.import_balances import ImportBatch
from tests.ledger.ground import Ground, Killed
from tests.lifecycle import Harness

OWNERS = ("telegram:1", "telegram:2")
HOUSE = "house"
"""The wallet that some callers pay from for all their owners."""
PAYERS = (*OWNERS, HOUSE)
LIMIT = 40
"""How many credits that wallet may owe in a month."""
LIVES = 8
"""How often something is tried.

Each kill ends it twice at most: itself, and what it waits for in another process that has not come
to its end. Beside it two others may order another kill each, and what a killed process read in the
background may end it once more.
"""
_T = TypeVar("_T")


@dataclass(slots=True)
class Paid:
    """A payment that was made, whoever knows of it."""

    payment: Payment
    top_up: TopUp | None = None
    """What was recorded of it."""
    is_listed: bool = True
    """Whether Telegram lists it."""
    is_back: bool = False
    """Whether Telegram returned it."""


class Events:
    """What happened so far, and how something happens."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.jobs: list[tuple[dict[str, Any], Job]] = []
        self.quotes: dict[str, int] = {}
        self.told: set[int] = set()
        """The tasks that were told of."""
        self.payments: list[Paid] = []
        self.batches: list[ImportBatch] = []
        self.is_together = False
        """Whether two things happen at once; time stands still meanwhile."""
        self.story: list[str] = []
        """What happened, for whoever reads of a failure."""
        self._numbers = 0

    async def do(self, work: Callable[[Harness], Awaitable[_T]]) -> _T | None:
        """Have a replica do something, and another one if that was killed meanwhile."""
        for _ in range(LIVES):
            try:
                return await self._one(work)
            except (Killed, asyncio.CancelledError):
                self.ground.bury()
                self.story.append("  it was killed, and another one did it again")
            finally:
                self.ground.fuse.left = None
        raise AssertionError("nobody killed it any more")

    async def _one(self, work: Callable[[Harness], Awaitable[_T]]) -> _T | None:
        try:
            return await work(self.ground.next())
        except Unavailable:
            raise  # two that wait for each other, for example
        except (AtelierError, TimeoutError) as error:
            self.story.append(f"  {error!r}")
            return None

    async def at_once(self, *works: Coroutine[Any, Any, object]) -> None:
        """Have all of them happen at once; also what failed is over only when all others are."""
        outcomes = await asyncio.gather(*works, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def later(self, hours: float) -> None:
        """Let time pass, in the same month."""
        if self.is_together:
            return
        bench = self.ground.harness
        rows = await bench.query("SELECT job_id, create_time FROM hold")
        months = await bench.query("SELECT owner, lent_month FROM wallet")
        await bench.later(hours=hours)
        for row in rows:
            time, job_id = row["create_time"], row["job_id"]
            await bench.query("UPDATE hold SET create_time = %s WHERE job_id = %s", time, job_id)
        for row in months:
            month, owner = row["lent_month"], row["owner"]
            await bench.query("UPDATE wallet SET lent_month = %s WHERE owner = %s", month, owner)

    def name(self, kind: str) -> str:
        """Return a name that was not used before."""
        self._numbers += 1
        return f"{kind}-{self._numbers}"
