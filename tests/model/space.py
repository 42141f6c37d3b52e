"""The states that were met, and the steps that lead from one to another.

Rows, worlds and actors are known by numbers: a state is a few of them. A step that was taken once
is not taken again, whatever else is going on around it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Generic, NamedTuple, TypeVar

from tests.model.actor import step
from tests.model.run import Actor
from tests.model.table import Tables
from tests.model.world import ModelState

State = tuple[int, int, tuple[int, ...]]
"""The rows, the world, and everybody who is in the middle of something, by their numbers."""
NOBODY: frozenset[int] = frozenset()
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Step:
    """What one actor did, and what that was done to."""

    actor: Actor
    before: Tables
    after: Tables
    world: ModelState
    """As it is after the step."""
    is_done: bool
    faults: tuple[str, ...]


Check = Callable[[Step], str | None]
"""Looks at a step; names the invariant that it broke."""


class Taken(NamedTuple):
    """What a step led to, by numbers."""

    tables: int
    world: int
    actor: int | None
    """None if the actor has come to its end."""
    broken: str | None
    """The invariant that does not hold any more."""


class _Ran(NamedTuple):
    tables: int
    world: int
    actor: int | None
    faults: tuple[str, ...]


class Numbered(Generic[_T]):
    """Values, each known by its number."""

    def __init__(self) -> None:
        self._numbers: dict[_T, int] = {}
        self._values: list[_T] = []

    def number(self, value: _T) -> int:
        """Return the number of a value, the next one if it is new."""
        known = self._numbers.setdefault(value, len(self._values))
        if known == len(self._values):
            self._values.append(value)
        return known

    def __getitem__(self, number: int) -> _T:
        return self._values[number]


class Space:
    """Everything that was met in one search."""

    def __init__(self, check: Check) -> None:
        self.tables: Numbered[Tables] = Numbered()
        self.worlds: Numbered[ModelState] = Numbered()
        self.actors: Numbered[Actor] = Numbered()
        self.steps = 0
        """How many different steps of use cases were run."""
        self._check = check
        self.take = cache(self._take)
        self.names = cache(self._names)
        self.remembering = cache(self._remember)
        self._older = cache(lambda tables: self.tables.number(self.tables[tables].aged()))
        self._ran = cache(self._run)
        self._plain = cache(self._plainly)

    def state(self, tables: int, world: int, actors: tuple[int, ...]) -> State:
        """Return a state, free of what makes no difference."""
        return self._plain(tables, self.names(actors)), world, actors

    def later(self, state: State) -> State:
        """Return a state a tick later."""
        tables, world, actors = state
        return self.state(self._older(tables), world, tuple(sorted(map(self.remembering, actors))))

    def _take(
        self, tables: int, world: int, actor: int, choice: str, taken: frozenset[int]
    ) -> Taken:
        """Let an actor take a step; `taken` are the names that others hold."""
        is_outside = self.actors[actor].at != "transaction"
        ran = self._ran(tables, world if is_outside else None, actor, choice, taken)
        after = ran.world if is_outside else world
        seen = Step(
            actor=self.actors[actor],
            before=self.tables[tables],
            after=self.tables[ran.tables],
            world=self.worlds[after],
            is_done=ran.actor is None,
            faults=ran.faults,
        )
        return Taken(ran.tables, after, ran.actor, broken=self._check(seen))

    def _run(
        self, tables: int, world: int | None, actor: int, choice: str, taken: frozenset[int]
    ) -> _Ran:
        """Run a step; a transaction sees nothing of the world."""
        self.steps += 1
        turn = step(
            self.actors[actor],
            tables=self.tables[tables],
            world=self.worlds[world or 0],
            choice=choice,
            taken=taken,
        )
        later = None if turn.actor is None else self.actors.number(turn.actor)
        after = self.worlds.number(turn.world)
        return _Ran(self.tables.number(turn.tables), after, later, turn.faults)

    def _names(self, actors: tuple[int, ...]) -> frozenset[int]:
        return NOBODY.union(*(self.actors[actor].names for actor in actors))

    def _remember(self, number: int) -> int:
        actor = self.actors[number]
        return self.actors.number(replace(actor, log=tuple(p.remembered() for p in actor.log)))

    def _plainly(self, tables: int, known: frozenset[int]) -> int:
        return self.tables.number(self.tables[tables].plain(known))
