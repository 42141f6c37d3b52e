"""What can happen next: who may go on or begin, what the world does by itself, and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from generation_svc.domain.attempt import AttemptState
from generation_svc.domain.job import FINAL_STATES
from generation_svc.domain.observation import ProviderState
from tests.model.actor import CHAT, FEED, FORGED
from tests.model.memory_delivery import OPEN
from tests.model.run import Actor
from tests.model.scope import MONEY, WORKERS, Scope
from tests.model.space import NOBODY, Check, Space, State, Taken
from tests.model.table import Tables, accepted
from tests.model.world import CHOICES, ModelState, Task

SUCCEEDED, FAILED, PENDING = (
    ProviderState.SUCCEEDED,
    ProviderState.FAILED,
    ProviderState.PENDING,
)
PAUSE = "time passes"


class Move(NamedTuple):
    """Something that can happen, and what the state is then."""

    what: str
    actor: int | None
    state: State
    broken: str | None = None
    """The invariant that does not hold any more."""
    later: int | None = None
    """The actor after its step; None if it has come to its end."""


class Explorer:
    """The rules by which one scope's states follow each other."""

    def __init__(self, scope: Scope, *, check: Check) -> None:
        self.scope = scope
        self.space = Space(check)
        self._destination = CHAT if scope.has_chat else FEED
        self._workers = {name: self._actor(name) for name in WORKERS}
        self._cancel = self._actor("cancel")
        self._money = {name: self._actor(name) for name in MONEY}

    def first(self) -> State:
        """Return the state after a job was accepted, or after the provider took it."""
        scope, space = self.scope, self.space
        world = ModelState(
            scope.faults,
            scope.posts,
            scope.forged,
            scope.cancels,
            scope.refunds,
            scope.charge_backs,
            scope.top_ups,
        )
        is_ceiling = bool(scope.costs)
        job = accepted(self._destination, is_paid=scope.is_paid, is_ceiling=is_ceiling)
        rows, outside = space.tables.number(job), space.worlds.number(world)
        if scope.is_taken:
            rows, outside = self._work(rows, outside, self._workers["dispatch"])
        return space.state(rows, outside, ())

    def moves(self, state: State) -> Iterator[Move]:
        """Give everything that can happen next."""
        yield from self._steps(state)
        yield from self._works(state)
        yield from self._cancels(state)
        yield from self._moves_of_money(state)
        yield from self._callbacks(state)
        yield from self._ends_of_tasks(state)
        yield from self._deaths(state)
        if all(map(self._may_wait, state[2])):
            yield Move(PAUSE, None, self.space.later(state))

    def name(self, move: Move) -> str:
        """Say what happened."""
        if move.actor is None:
            return move.what
        actor = self.space.actors[move.actor]
        who = _who(actor) if actor.name == "receive" else actor.name
        end = "" if move.later or move.what == "dies" else ", and is done"
        return f"{who}, step {len(actor.log) + 1}: {move.what or actor.at}{end}"

    def is_at_rest(self, state: State) -> bool:
        """Return whether the job is final, its bytes are here, and its outcome is delivered."""
        tables = self.space.tables[state[0]]
        is_home = all(row.attempt.state is not AttemptState.SUCCEEDED for row in tables.attempts)
        is_told = all(row.state not in OPEN for row in tables.deliveries)
        is_paid = not self.scope.costs or all(row.cost is not None for row in tables.makers)
        return tables.row.job.state in FINAL_STATES and is_home and is_told and is_paid

    def good_tick(self, state: State, *, end: ProviderState | None) -> State:
        """Let everybody do their work once and well, and a tick of time pass.

        The tasks at the provider come to this end, or go on for ever.
        """
        tables, world, _ = state
        for task in self.space.worlds[world].tasks:
            if end and task.state is PENDING:
                world = self._with(world, next(self._ended(task, end)))
        for actor in self._workers.values():
            tables, world = self._work(tables, world, actor)
        return self.space.later((tables, world, ()))

    def _work(self, tables: int, world: int, actor: int | None) -> tuple[int, int]:
        while actor is not None:
            good = CHOICES[self.space.actors[actor].at][0]
            tables, world, actor, _ = self.space.take(tables, world, actor, good, NOBODY)
        return tables, world

    def _steps(self, state: State) -> Iterator[Move]:
        _, _, actors = state
        for index, actor in enumerate(actors):
            if index == 0 or actors[index - 1] != actor:
                yield from self._turns(state, actor, others=_without(actors, index))

    def _works(self, state: State) -> Iterator[Move]:
        busy = self._busy(state)
        for name, actor in self._workers.items():
            if self.scope.has_room(name, busy):
                yield from self._turns(state, actor, others=state[2])

    def _cancels(self, state: State) -> Iterator[Move]:
        tables, world, actors = state
        left = self.space.worlds[world]
        if left.cancels and self.space.tables[tables].row.job.state not in FINAL_STATES:
            fewer = self.space.worlds.number(replace(left, cancels=left.cancels - 1))
            yield from self._turns((tables, fewer, actors), self._cancel, others=actors)

    def _moves_of_money(self, state: State) -> Iterator[Move]:
        tables, world, actors = state
        world_now = self.space.worlds[world]
        for name, actor in self._money.items():
            left: int = getattr(world_now, f"{name}s")
            if left:
                changes: dict[str, Any] = {f"{name}s": left - 1}
                fewer = self.space.worlds.number(replace(world_now, **changes))
                yield from self._turns((tables, fewer, actors), actor, others=actors)

    def _callbacks(self, state: State) -> Iterator[Move]:
        tables, world, actors = state
        if self.scope.has_room("receive", self._busy(state)):
            for args, after in _posts(self.space.worlds[world], self.space.tables[tables]):
                changed = tables, self.space.worlds.number(after), actors
                # Where nobody else fetches, nobody does.
                receive = self._actor("receive", *args, self.scope.fetch > 0)
                yield from self._turns(changed, receive, others=actors)

    def _ends_of_tasks(self, state: State) -> Iterator[Move]:
        tables, world, actors = state
        for task in self.space.worlds[world].tasks:
            for end in (SUCCEEDED, FAILED) if task.state is PENDING else ():
                for ended in self._ended(task, end):
                    after = self._with(world, ended)
                    yield Move(_words(ended), None, (tables, after, actors))

    def _ended(self, task: Task, end: ProviderState) -> Iterator[Task]:
        """Give the task as it may be at its end: with each cost, which is told late or at once."""
        costs = self.scope.costs if end is SUCCEEDED else ()
        for cost in costs:
            for is_told in (False, True):
                yield replace(task, state=end, cost=cost, is_told=is_told)
        if not costs:
            yield replace(task, state=end)

    def _deaths(self, state: State) -> Iterator[Move]:
        tables, world, actors = state
        left = self.space.worlds[world]
        if left.faults:
            fewer = self.space.worlds.number(replace(left, faults=left.faults - 1))
            for index, actor in enumerate(actors):
                alive = self.space.state(tables, fewer, _without(actors, index))
                yield Move("dies", actor, alive)

    def _may_wait(self, number: int) -> bool:
        """Return whether a tick may pass meanwhile: who wrote an attempt calls createTask soon."""
        actor = self.space.actors[number]
        return actor.at != "create" and actor.log[0].ticks < self.scope.stall

    def _turns(self, state: State, actor: int, *, others: tuple[int, ...]) -> Iterator[Move]:
        """Let an actor take a step, or all of its steps in one go."""
        tables, world, _ = state
        value = self.space.actors[actor]
        taken = NOBODY if value.log else self.space.names(others)
        choices = CHOICES[value.at]
        for choice in choices if self.space.worlds[world].faults else choices[:1]:
            step = self.space.take(tables, world, actor, choice, taken)
            if step.actor is None or value.name in self.scope.halted or step.broken:
                yield self._move(step, actor, choice=choice, others=others)
            else:
                within = step.tables, step.world, others
                yield from self._turns(within, step.actor, others=others)

    def _move(self, step: Taken, actor: int, *, choice: str, others: tuple[int, ...]) -> Move:
        left = others if step.actor is None else tuple(sorted((*others, step.actor)))
        after = self.space.state(step.tables, step.world, left)
        return Move(choice, actor, after, step.broken, step.actor)

    def _busy(self, state: State) -> list[str]:
        return [self.space.actors[actor].name for actor in state[2]]

    def _with(self, world: int, task: Task) -> int:
        return self.space.worlds.number(self.space.worlds[world].with_task(task))

    def _actor(self, name: str, *args: object) -> int:
        known = (self._destination,) if name == "edge" else args
        return self.space.actors.number(Actor(name, known))


def _words(task: Task) -> str:
    told = f", took {task.cost}{'' if task.is_told else ' and tells it late'}" if task.cost else ""
    return f"task {task.attempt} {task.state}{told}"


def _who(callback: Actor) -> str:
    token, task, state, *_ = callback.args
    return f"callback (token of {token or 'nobody'}: task {task} {state})"


def _without(actors: tuple[int, ...], index: int) -> tuple[int, ...]:
    return (*actors[:index], *actors[index + 1 :])


def _posts(world: ModelState, tables: Tables) -> Iterator[tuple[tuple[object, ...], ModelState]]:
    """Give the callbacks that may come, as arguments of `receive`, and the world without it."""
    for task in world.tasks:
        if task.state is not PENDING and task.posts:
            posted = world.with_task(replace(task, posts=task.posts - 1))
            cost = task.cost if task.is_told else 0
            yield (task.attempt, task.attempt, task.state, cost), posted
        for token in _wrong_tokens(tables, task) if world.forged else ():
            yield (token, task.attempt, SUCCEEDED, 0), replace(world, forged=world.forged - 1)


def _wrong_tokens(tables: Tables, task: Task) -> list[int]:
    """Return nobody's token, and those of attempts that are known to have another task.

    Whoever has the token of an attempt without a known task is believed: only the provider has it.
    """
    attempts = (row.attempt for row in tables.attempts)
    others = (each.number for each in attempts if each.task_id and each.number != task.attempt)
    return [FORGED, *others]
