"""The search: Hypothesis picks what happens next, and the ledger is checked after each step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine
from functools import partial
from random import Random
from typing import Any, cast

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
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
from tests.ledger.truth import check, reached
from tests.ledger.world import HOUSE, OWNERS
from tests.money import grant

STEPS = 50
WEIGHTS = {
    "create": 14,
    "send": 8,
    "call_back": 10,
    "fetch": 8,
    "finish": 12,
    "kill_soon": 6,
    "answer_polls": 4,
    "read_cost": 8,
    "cancel": 8,
    "send_twice": 3,
    "wait": 4,
    "together": 12,
    "pay": 7,
    "tell_again": 1,
    "refund": 2,
    "charge_back": 1,
    "return_stars": 2,
    "take_by_telegram": 1,
    "list_stars": 2,
    "number": 1,
    "create_again": 2,
    "quote": 3,
    "grant": 4,
    "bring": 2,
    "undo": 1,
    "reprice": 2,
    "block": 1,
    "close": 1,
    "new_month": 1,
    "sell_again": 2,
}
"""What can happen, and how often of about a hundred times."""
NUMBERS = st.integers(0, 2**32 - 1)
BEGINNING = {OWNERS[0]: 60, OWNERS[1]: 5, HOUSE: 12}
"""What each wallet was granted before; who has less bought something, too."""
AT_ONCE = (
    *("create", "send", "call_back", "answer_polls", "fetch", "cancel", "read_cost", "finish"),
    *("pay", "refund", "charge_back", "return_stars", "list_stars", "grant", "bring", "undo"),
    *("create_again", "reprice", "block", "number"),
)
"""What can happen beside something else, each in a replica of its own."""


class Events(JobEvents, MoneyEvents):
    """Everything that can happen."""

    async def together(self, random: Random, is_alike: bool) -> None:
        """Have two things happen at once, perhaps the same to the same."""
        first, other = random.choice(AT_ONCE), random.choice(AT_ONCE)
        number, is_so = random.randrange(10_000), random.random() < 0.5
        await self.later(0.1)
        self.is_together = True
        both = ((first, number), (first, number) if is_alike else (other, number + 1))
        self.story += [f"  {what} ({is_so}, {n})" for what, n in both]
        await self.at_once(*(getattr(self, what)(Random(n), is_so) for what, n in both))
        self.is_together = False


class Money(RuleBasedStateMachine):
    """Some owners, some jobs, and everything that can happen to them."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self._ground, self._events = ground, Events(ground)
        self._salt = 0
        self._met: Counter[int] = Counter()

    @initialize(salt=NUMBERS)
    def begin(self, salt: int) -> None:
        self._salt = salt
        self._events.story.append(f"salt {salt}")
        self._run(self._begin())

    async def _begin(self) -> None:
        await self._ground.empty()
        for owner, credits_ in BEGINNING.items():
            await grant(self._ground.harness, credits_, owner=owner)
        await self._events.begin()

    @rule(number=NUMBERS)
    def step(self, number: int) -> None:
        """Do one of all, with whatever the number picks."""
        # Hypothesis likes to take what it took before. So a number means something else in each
        # example, and when it comes again: else the same would be done again and again, and hardly
        # a job come to its end.
        self._met[number] += 1
        random = Random(f"{self._salt}/{number}/{self._met[number]}")
        (what,) = random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        is_so = random.random() < 0.5
        self._events.story.append(f"{number}: {what} ({is_so})")
        self._run(getattr(self._events, what)(random, is_so))

    def teardown(self) -> None:
        self._ground.fuse.left = None
        self._ground.reached += self._ground.run(reached(self._events))

    @invariant()
    def nothing_differs(self) -> None:
        self._run(check(self._events))

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            self._ground.run(coroutine)
        except BaseException as error:
            error.add_note("\n".join(["what happened:", *self._events.story]))
            self._ground.failure = self._ground.failure or error
            raise


def walk(ground: Ground, *, examples: int, seed_: int | None, is_long: bool) -> None:
    """Walk so many times through whatever may happen.

    A long walk goes other ways each time, unless it has a seed; it shows the shortest way it found.
    """
    machine = cast(Any, partial(Money, ground))
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if is_long else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=seed_ is None and not is_long,
    )
    if seed_ is not None:
        machine = seed(seed_)(machine)
    ground.failure = None
    try:
        run_state_machine_as_test(machine, settings=chosen)
    except Flaky as flaky:
        # What two do at once, and what is read again after seconds, differs from time to time. So
        # what went wrong may not come again, and is told as it was.
        assert ground.failure is not None
        raise ground.failure from flaky
