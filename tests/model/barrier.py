"""The same steps on PostgreSQL: use cases that stand still before each turn of theirs.

Where the model repeats a use case up to its next step, here a task waits at a barrier: at
the first statement of each transaction that is a turn in the model, and before each call outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, cast
from uuid import UUID

from generation_svc.domain.delivery import Delivery, SendingOutcome
from generation_svc.domain.job import Job
from generation_svc.domain.model import ResultForm
from generation_svc.domain.observation import Observation
from generation_svc.domain.port.media import Examined
from generation_svc.domain.port.provider import ProviderRequest, Submitted
from generation_svc.domain.port.transaction import Database, Transaction
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.token import token_hash
from tests.model.actor import USE_CASES, NoQueue
from tests.model.clock import NOW, TICK
from tests.model.run import Actor, Cut
from tests.model.world import ModelState, Outside

FREE = frozenset({"line", "note", "destination", "typical_duration", "trim"})
"""Statements that are no turn: in the model they see nothing that changes."""
_T = TypeVar("_T")


@dataclass
class ExternalSystems:
    """What all actors on PostgreSQL share beside the database."""

    world: ModelState
    job_id: UUID
    choice: str = ""
    ticks: int = 0
    tokens: dict[int, str] = field(default_factory=dict)
    """The token of each attempt for which createTask was called."""


class Barrier:
    """Where one use case stands still until it is its turn."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(0)
        self._halts = asyncio.Event()
        self._is_closed = False

    async def pass_through(self) -> None:
        """Wait for a turn. Raises Cut if there will be none."""
        self._halts.set()
        await self._turns.acquire()
        if self._is_closed:
            raise Cut

    async def halted(self, task: asyncio.Task[None]) -> None:
        """Wait until the use case stands at the barrier, or has come to its end."""
        waiting = asyncio.ensure_future(self._halts.wait())
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    def open(self) -> None:
        """Give the use case its turn."""
        self._halts.clear()
        self._turns.release()

    def close(self) -> None:
        """Let the use case die where it stands."""
        self._is_closed = True
        self._turns.release()


class GatedActor:
    """A use case on PostgreSQL, in step with one of the model's."""

    def __init__(self, actor: Actor, *, deps: Dependencies, external: ExternalSystems) -> None:
        self._gate = Barrier()
        outside = GatedOutside(external, barrier=self._gate, database=deps.database)
        own = replace(
            deps,
            database=cast(Any, GatedDatabase(deps.database, barrier=self._gate)),
            provider=replace(deps.provider, client=cast(Any, outside)),
            media=replace(deps.media, fetcher=outside, store=cast(Any, outside)),
            views=replace(deps.views, queue=NoQueue()),
        )
        self._task = asyncio.create_task(_play(actor, own, outside))

    async def step(self) -> bool:
        """Take one step; return whether the use case has come to its end."""
        await self._gate.halted(self._task)
        self._gate.open()
        await self._gate.halted(self._task)
        if self._task.done() and not self._task.cancelled():
            self._task.result()
        return self._task.done()

    async def die(self) -> None:
        """End where it stands, with nothing more done."""
        self._gate.close()
        with suppress(Cut):
            await self._task


class GatedDatabase:
    """A database whose transactions are turns."""

    def __init__(self, database: Database, *, barrier: Barrier) -> None:
        self._database, self._gate = database, barrier

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[GatedTransaction]:
        async with AsyncExitStack() as stack:
            begin = partial(stack.enter_async_context, self._database.transaction())
            yield GatedTransaction(begin, barrier=self._gate, now=self.now)

    def now(self) -> datetime:
        return self._database.now()

    def watch(self, *topics: str) -> AbstractContextManager[asyncio.Event]:
        return self._database.watch(*topics)


class GatedTransaction:
    """A transaction that waits for its turn at its first statement, and begins only then.

    Its time is that of its beginning, and whatever was done before its turn is done before that.
    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[Transaction]],
        *,
        barrier: Barrier,
        now: Callable[[], datetime],
    ) -> None:
        self._begin, self._gate, self.now = begin, barrier, now
        self._transaction: Transaction | None = None
        self._has_turn = False

    def __getattr__(self, name: str) -> Any:
        return _GatedStore(self, name)

    def announce(self, topic: str) -> None:
        if self._transaction:
            self._transaction.announce(topic)

    def publish(self, topic: str, revision: Job) -> None:
        if self._transaction:
            self._transaction.publish(topic, revision)

    def at_end(self, call: Callable[[bool], None]) -> None:
        if self._transaction:
            self._transaction.at_end(call)

    async def entered(self, *, is_turn: bool) -> Transaction:
        """Return the transaction on PostgreSQL, once it is its turn where it is one."""
        if is_turn and not self._has_turn:
            self._has_turn = True
            await self._gate.pass_through()
        if self._transaction is None:
            self._transaction = await self._begin()
        return self._transaction


class _GatedStore:
    def __init__(self, transaction: GatedTransaction, name: str) -> None:
        self._transaction, self._name = transaction, name

    def __getattr__(self, method: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            is_turn = self._name not in ("rate_budget", "breaker") and method not in FREE
            transaction = await self._transaction.entered(is_turn=is_turn)
            return await getattr(getattr(transaction, self._name), method)(*args, **kwargs)

        return call


class GatedOutside(Outside):
    """The world of the model, behind a barrier."""

    def __init__(self, external: ExternalSystems, *, barrier: Barrier, database: Database) -> None:
        super().__init__(cast(Any, self))
        self._outdoors, self._gate, self._database = external, barrier, database
        self.job_id = external.job_id
        self._numbers: dict[bytes, int] = {}

    @property
    def world(self) -> ModelState:
        return self._outdoors.world

    @world.setter
    def world(self, world: ModelState) -> None:
        self._outdoors.world = world

    @property
    def choice(self) -> str:
        return self._outdoors.choice

    def enter(self, step: str) -> None:
        """It is our turn already."""

    def perform(self, operation: Callable[[], _T]) -> _T:
        return operation()

    def number(self, key: bytes) -> int:
        return self._numbers[key]

    def token(self, attempt: int) -> str:
        return self._outdoors.tokens.get(attempt, "nobody's")

    async def submit(
        self, attempt_id: UUID, request: ProviderRequest, *, callback_url: str | None, account: str
    ) -> Submitted:
        token = str(callback_url).rpartition("/")[2]
        async with self._database.transaction() as tx:
            attempt = await tx.attempts.find_by_token(token_hash(token))
        assert attempt is not None
        self._numbers[token_hash(token)] = attempt.number
        await self._gate.pass_through()
        self._outdoors.tokens[attempt.number] = token
        return await super().submit(attempt_id, request, callback_url=callback_url, account=account)

    async def read(self, handle: str, *, account: str) -> Observation:
        await self._gate.pass_through()
        return await super().read(handle, account=account)

    @asynccontextmanager
    async def fetch(
        self, url: str, *, is_proved: bool = False, form: ResultForm | None = None
    ) -> AsyncIterator[Examined]:
        await self._gate.pass_through()
        async with super().fetch(url, is_proved=is_proved, form=form) as found:
            yield found

    async def send(self, delivery: Delivery, *, until: datetime) -> SendingOutcome:
        began = self._outdoors.ticks
        await self._gate.pass_through()
        until = NOW + TICK if self._outdoors.ticks == began else NOW
        return await super().send(delivery, until=until)


async def _play(actor: Actor, deps: Dependencies, outside: Outside) -> None:
    with suppress(asyncio.CancelledError):
        await USE_CASES[actor.name](deps, outside, *actor.args)
