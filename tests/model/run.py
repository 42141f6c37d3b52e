"""One step of an actor: a use case of the product, run up to the end of its next transaction.

A coroutine cannot be copied, but it can be run again: what an actor has seen is kept in a log, and
given to the same use case again, without any effect, until it has come to where it was. So an
actor is a value, too: which use case it is in, and what that has seen so far.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar, cast
from uuid import UUID

from generation_svc.domain.error import AtelierError
from tests.model.clock import Clock, remembered
from tests.model.table import Tables
from tests.model.world import ModelState

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Past:
    """A step that was taken: what the database or the world answered, and how long ago."""

    answers: tuple[object, ...]
    ticks: int = 0

    def remembered(self) -> Past:
        """Return the same a tick later."""
        return Past(tuple(map(remembered, self.answers)), self.ticks + 1)


@dataclass(frozen=True, slots=True)
class Actor:
    """A use case that somebody is in the middle of."""

    name: str
    args: tuple[object, ...] = ()
    log: tuple[Past, ...] = ()
    at: str = "transaction"
    """What it does next."""
    names: frozenset[int] = frozenset()
    """The tokens and numbers that it was given."""


class Cut(BaseException):
    """The actor has come to its next step; no error, so that it passes every handler of errors."""


class Run:
    """The present of one step: the rows, the world, and the log."""

    def __init__(
        self, actor: Actor, *, tables: Tables, world: ModelState, choice: str, taken: frozenset[int]
    ) -> None:
        self.tables, self.world, self.choice = tables, world, choice
        self.names = set(actor.names)
        self.answers: list[object] = []
        """What this step was told."""
        self.at = ""
        """Where it was cut off."""
        self.faults: list[BaseException] = []
        """What went wrong in a transaction and is no answer to anybody."""
        self._past = actor.log
        self._turn = -1
        self._repeated: Iterator[object] = iter(())
        self._taken = taken
        self._ids: dict[UUID | bytes, int] = {}
        Clock.behind = actor.log[0].ticks if actor.log else 0

    @property
    def is_replaying(self) -> bool:
        return self._turn < len(self._past)

    def enter(self, step: str) -> None:
        """Begin a step: one of the past, or the present one. Raises Cut at the one after that."""
        self._turn += 1
        if self._turn > len(self._past):
            self.at = step
            raise Cut
        past = self._past[self._turn] if self.is_replaying else Past(())
        self._repeated = iter(past.answers)
        Clock.behind = past.ticks

    def perform(self, operation: Callable[[], _T]) -> _T:
        """Do it now, or repeat the answer of back then."""
        if self.is_replaying:
            answer = next(self._repeated)
        else:
            answer = _answer_of(operation)
            self.answers.append(answer)
        if isinstance(answer, BaseException):
            raise answer.with_traceback(None)
        return cast(_T, answer)

    def fresh(self) -> int:
        """Return a name that neither a row nor another actor holds."""
        held = self._taken | self.names | self.tables.names()
        name = next(number for number in range(1, 100) if number not in held)
        self.names.add(name)
        return name

    def bind(self, key: UUID | bytes, number: int) -> None:
        """Know a random id or token of the use case by a number that every run has in common."""
        self._ids[key] = number

    def number(self, key: UUID | bytes) -> int:
        known = self._ids.get(key)
        return cast(UUID, key).int if known is None else known


def _answer_of(operation: Callable[[], object]) -> object:
    try:
        return operation()
    except (AtelierError, asyncio.CancelledError) as error:
        return error
