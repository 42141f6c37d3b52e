"""Hands out a few slots fairly: by caller, and of one caller by owner.

An owner has one place at a time, and a caller never all of them, so that somebody else's file
finds one free whatever these send.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_Owners = OrderedDict[str, deque[asyncio.Future[None]]]


class NoSlot(Exception):
    """Too many callers wait already, or no slot became free in time."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Whose file it is."""

    caller: str
    owner: str


class FairSlots:
    """Counts the places that are taken, and serves those who wait in rounds."""

    def __init__(self, places: int, *, most_waiting: int, max_wait_seconds: float) -> None:
        self._free = places
        self._most_of_caller = max(1, places - 1)
        self._most_waiting = most_waiting
        self._max_wait_seconds = max_wait_seconds
        self._taken: Counter[Customer] = Counter()
        self._taken_by_caller: Counter[str] = Counter()
        self._waiting: OrderedDict[str, _Owners] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(line) for owners in self._waiting.values() for line in owners.values())

    @asynccontextmanager
    async def place(self, customer: Customer) -> AsyncIterator[None]:
        """Hold a place. Raises NoPlace."""
        await self._wait(customer)
        try:
            yield
        finally:
            self._release(customer)

    async def _wait(self, customer: Customer) -> None:
        if self.waiting >= self._most_waiting:
            raise NoSlot
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        owners = self._waiting.setdefault(customer.caller, OrderedDict())
        owners.setdefault(customer.owner, deque()).append(turn)
        self._serve()
        try:
            # Shielded: a turn that wait_for had cancelled would be done, as one that was given is.
            await asyncio.wait_for(asyncio.shield(turn), self._max_wait_seconds)
        except BaseException as error:
            self._give_up(customer, turn)
            if isinstance(error, TimeoutError):
                raise NoSlot from error
            raise

    def _give_up(self, customer: Customer, turn: asyncio.Future[None]) -> None:
        """Leave the line, or hand on a place that was given at the same moment."""
        if turn.done():
            self._release(customer)
        else:
            self._waiting[customer.caller][customer.owner].remove(turn)
            self._tidy(customer)

    def _release(self, customer: Customer) -> None:
        self._free += 1
        self._taken -= Counter((customer,))  # what comes to nothing is forgotten
        self._taken_by_caller -= Counter((customer.caller,))
        self._serve()

    def _serve(self) -> None:
        while self._free and (customer := self._next()) is not None:
            turn = self._waiting[customer.caller][customer.owner].popleft()
            self._free -= 1
            self._taken[customer] += 1
            self._taken_by_caller[customer.caller] += 1
            self._waiting[customer.caller].move_to_end(customer.owner)
            self._waiting.move_to_end(customer.caller)
            self._tidy(customer)
            turn.set_result(None)

    def _next(self) -> Customer | None:
        for caller, owners in self._waiting.items():
            if self._taken_by_caller[caller] < self._most_of_caller:
                for owner in owners:
                    if not self._taken[Customer(caller, owner)]:
                        return Customer(caller, owner)
        return None

    def _tidy(self, customer: Customer) -> None:
        owners = self._waiting[customer.caller]
        if not owners[customer.owner]:
            del owners[customer.owner]
        if not owners:
            del self._waiting[customer.caller]
