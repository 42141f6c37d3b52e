"""The search: Hypothesis picks what happens next, and the ledger is checked after each step."""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random
from typing import Any, cast

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.ledger.ground import Ground
from tests.ledger.job_event import JobEvents
from tests.ledger.money_event import MoneyEvents
from tests.ledger.truth import check
from tests.ledger.world import PAYERS
from tests.money import grant

STEPS = 50
WEIGHTS = {
    "create": 12,
    "send": 12,
    "call_back": 16,
    "fetch": 12,
    "kill_soon": 6,
    "answer_polls": 4,
    "read_cost": 8,
    "cancel": 4,
    "wait": 4,
    "together": 12,
    "pay": 6,
    "tell_again": 1,
    "refund": 3,
    "charge_back": 1,
    "return_stars": 2,
    "take_by_telegram": 1,
    "list_stars": 2,
    "number": 1,
    "create_again": 2,
    "quote": 3,
    "grant": 3,
    "bring": 2,
    "undo": 1,
    "reprice": 2,
    "block": 1,
    "close": 1,
    "new_month": 1,
    "sell_again": 2,
}
"""What can happen, and how often of about a hundred times."""
AT_ONCE = (
    *("create", "send", "call_back", "answer_polls", "fetch", "cancel", "read_cost", "create_again"),
    *("pay", "refund", "charge_back", "return_stars", "list_stars", "grant", "bring", "undo"),
    *("reprice", "block", "number"),
)
"""What can happen beside something else, each in a replica of its own."""


class Events(JobEvents, MoneyEvents):
    """Everything that can happen."""

    async def kill_soon(self, random: Random, is_committed: bool) -> None:
        """Kill the process in what it does next; after that it is done again by another one."""
        self.ground.fuse.left = random.randint(1, 5)
        self.ground.fuse.is_committed = is_committed

    async def together(self, random: Random, is_alike: bool) -> None:
        """Have two things happen at once, perhaps the same to the same."""
        first, other = random.choice(AT_ONCE), random.choice(AT_ONCE)
        number, is_so = random.randrange(10_000), random.random() < 0.5
        await self.later(0.1)
        self.is_together = True
        both = ((first, number), (first, number) if is_alike else (other, number + 1))
        await asyncio.gather(*(getattr(self, what)(Random(n), is_so) for what, n in both))
        self.is_together = False


class Money(RuleBasedStateMachine):
    """Some owners, some jobs, and everything that can happen to them."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self._ground, self._events = ground, Events(ground)

    @initialize()
    def begin(self) -> None:
        self._ground.run(self._begin())

    async def _begin(self) -> None:
        await self._ground.empty()
        for owner in PAYERS:
            await grant(self._ground.harness, 30, owner=owner)

    @rule(
        what=st.sampled_from([what for what, weight in WEIGHTS.items() for _ in range(weight)]),
        number=st.integers(0, 9999),
        is_so=st.booleans(),
    )
    def step(self, what: str, number: int, is_so: bool) -> None:
        """Do one of all, with whatever the number picks."""
        # One rule for all: of many rules Hypothesis leaves out most in an example, and a job would
        # hardly ever get to its end.
        self._ground.run(getattr(self._events, what)(Random(number), is_so))

    @invariant()
    def nothing_differs(self) -> None:
        self._ground.run(check(self._events))


def walk(ground: Ground, *, examples: int, seed_: int | None, is_shrunk: bool) -> None:
    """Walk so many times through whatever may happen, from a seed or as always."""
    machine = cast(Any, partial(Money, ground))
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if is_shrunk else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=seed_ is None,
    )
    if seed_ is not None:
        machine = seed(seed_)(machine)
    run_state_machine_as_test(machine, settings=chosen)
