"""The search: every state that can be reached, breadth first, so that a trace is the shortest."""

from __future__ import annotations

import time
from dataclasses import dataclass

from generation_svc.domain.observation import ProviderState
from tests.model.actor import quiet
from tests.model.invariant import LIVENESS, check
from tests.model.move import SUCCEEDED, Explorer, Move
from tests.model.scope import Scope
from tests.model.space import State

MAX_WAIT_TICKS = 20
"""How long a job may take to end once nothing more goes wrong: twice all deadlines."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant that does not hold, and the shortest way there."""

    invariant: str
    trace: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a search saw."""

    scope: Scope
    states: int
    transitions: int
    steps: int
    """Different steps of use cases that were run."""
    depth: int
    seconds: float
    """Of the processor."""
    finding: Finding | None


def search(scope: Scope) -> Report:
    """Visit every state of a scope, or stop at the first that should not be."""
    with quiet():
        return _Search(scope).run()


class _Search:
    def __init__(self, scope: Scope) -> None:
        self._game = Explorer(scope, check=check)
        self._came_by: dict[State, tuple[State, Move] | None] = {}
        self._resting: set[tuple[ProviderState | None, State]] = set()
        self._transitions = 0
        self._depth = 0

    def run(self) -> Report:
        started = time.process_time()
        finding = self._visit_all()
        return Report(
            scope=self._game.scope,
            states=len(self._came_by),
            transitions=self._transitions,
            steps=self._game.space.steps,
            depth=self._depth,
            seconds=time.process_time() - started,
            finding=finding,
        )

    def _visit_all(self) -> Finding | None:
        first = self._game.first()
        self._came_by[first] = None
        level = [first]
        while level:
            found: list[State] = []
            for state in level:
                finding = self._visit(state, found=found)
                if finding:
                    return finding
            level = found
            self._depth += bool(level)
        return None

    def _visit(self, state: State, *, found: list[State]) -> Finding | None:
        if not state[2] and not self._ends_well(state):
            return Finding(LIVENESS, self._trace(state))
        for move in self._game.moves(state):
            self._transitions += 1
            if move.broken:
                return Finding(move.broken, (*self._trace(state), self._game.name(move)))
            if move.state not in self._came_by:
                self._came_by[move.state] = (state, move)
                found.append(move.state)
        return None

    def _trace(self, state: State) -> tuple[str, ...]:
        names: list[str] = []
        while (way := self._came_by[state]) is not None:
            state, move = way
            names.append(self._game.name(move))
        return tuple(reversed(names))

    def _ends_well(self, state: State) -> bool:
        """Let nothing more go wrong, once with tasks that end and once with such that never do."""
        return all(self._rests(state, end=end) for end in (SUCCEEDED, None))

    def _rests(self, state: State, *, end: ProviderState | None) -> bool:
        path: list[tuple[ProviderState | None, State]] = []
        for _ in range(MAX_WAIT_TICKS):
            if (end, state) in self._resting or self._game.is_at_rest(state):
                self._resting.update(path)
                return True
            path.append((end, state))
            state = self._game.good_tick(state, end=end)
        return False
