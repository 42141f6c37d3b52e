"""Whatever happens in whatever order, no credit is lost or invented.

Hypothesis picks what happens next, on a real database, through the use cases. After each step the
whole ledger is checked, and the credits are counted once more from outside. `make ledger-search`
takes as many examples as one likes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from generation_svc.domain.error import (
    AtelierError,
    FetchFailed,
    ProviderRefused,
    ProviderSilent,
)
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import Job
from generation_svc.domain.money import MarginRule, MarginScope, MoneyMode
from generation_svc.domain.money_error import InsufficientCredits
from generation_svc.domain.observation import Observation
from generation_svc.domain.port.transaction import Database, Transaction
from generation_svc.domain.top_up import TopUp
from generation_svc.engine.read_cost import WORK
from generation_svc.engine.work import do_one
from generation_svc.lifecycle.ledger_audit import check_ledger
from generation_svc.usecase import cancel_job
from generation_svc.usecase.grant_credits import GrantRequest, grant_credits
from tests.lifecycle import CALLER, FAILURE, LINK, SUCCESS, Harness, OpenBench, items_of
from tests.money import bought, grant, report_refunds, take_back
from tests.step import dispatch

EXAMPLES = int(os.environ.get("EXAMPLES") or "24")
SEED = os.environ.get("SEED")
STEPS = 50
OWNERS = ("telegram:1", "telegram:2")
HOUSE = "house"
"""The wallet that one of the callers pays from for all its owners."""
PAYERS = (*OWNERS, HOUSE)
PAYING = replace(CALLER, name="shop", wallet=HOUSE)
MODELS: tuple[dict[str, Any], ...] = (
    {},
    {"model_id": "google/imagen4"},
    {"model_id": "wan/2-7-image", "inputs": {"prompt": "cats", "n": 4}},
    {
        "model_id": "bytedance/seedream-v4-text-to-image",
        "inputs": {"prompt": "cats", "max_images": 3},
    },
)
LINKS = tuple(f"{LINK}?{n}" for n in range(4))
TELEGRAM_ERRORS = ("CHARGE_ALREADY_REFUNDED", "CHARGE_NOT_FOUND", "Too Many Requests")
FRESH = "https://file.aiquickdraw.com/fresh.png"
WEIGHTS = {
    "create": 6,
    "send": 6,
    "call_back": 8,
    "fetch": 6,
    "kill_soon": 3,
    "answer_polls": 2,
    "read_cost": 4,
    "cancel": 2,
    "wait": 2,
    "pay": 2,
    "refund": 1,
    "report_refunds": 1,
    "create_again": 1,
    "grant": 1,
    "reprice": 1,
}
"""What can happen, and how often of 46 times."""
_T = TypeVar("_T")


class Killed(BaseException):
    """The process ended here, and none of its own errors."""


class FragileDatabase:
    """A database whose client is killed at one of its next transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.fuse: int | None = None
        """How many transactions are left to live; None for ever."""
        self.is_committed = False
        """Whether the last of them takes place."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a transaction, of which one ends with the process."""
        is_last = self._burns()
        async with self._database.transaction() as tx:
            yield tx
            if is_last and not self.is_committed:
                raise Killed
        if is_last:
            raise Killed

    def _burns(self) -> bool:
        if self.fuse is None:
            return False
        self.fuse -= 1
        if self.fuse < 0:
            raise Killed  # a dead process begins nothing
        return self.fuse == 0


@dataclass(frozen=True, slots=True)
class Ground:
    """A service on a PostgreSQL, and the loop it lives in."""

    harness: Harness
    database: FragileDatabase
    loop: asyncio.AbstractEventLoop

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(coroutine)


@pytest.fixture
async def ground(open_bench: OpenBench) -> Ground:
    harness = await open_bench(money=MoneyMode.TEST)
    async with harness.transaction() as tx:
        await tx.money.mark(MoneyMode.TEST)
    database = FragileDatabase(harness.deps.database)
    harness.deps = replace(harness.deps, database=cast(Any, database))
    return Ground(harness, database, asyncio.get_running_loop())


class Money(RuleBasedStateMachine):
    """Some owners, some jobs, and everything that can happen to them."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self._ground, self._harness = ground, ground.harness
        self._jobs: list[tuple[dict[str, Any], Job]] = []
        self._top_ups: list[TopUp] = []
        self._numbers = 0

    @initialize()
    def begin(self) -> None:
        self._ground.run(self._begin())

    async def _begin(self) -> None:
        self._ground.database.fuse = None
        tables = "job, callback_receipt, breaker, transfer, wallet, hold, top_up, margin_rule"
        more = "receipt, star_transaction, request_key, money_cursor"
        await self._harness.query(f"TRUNCATE {tables}, {more} CASCADE")
        self._harness.provider.created.clear()
        self._harness.provider.tasks.clear()
        self._harness.provider.refuse(None)
        self._harness.deps.money.terms.expire()
        for owner in PAYERS:
            await grant(self._harness, 30, owner=owner)

    @rule(
        what=st.sampled_from([what for what, weight in WEIGHTS.items() for _ in range(weight)]),
        number=st.integers(0, 9999),
        is_so=st.booleans(),
    )
    def step(self, what: str, number: int, is_so: bool) -> None:
        """Do one of all, with whatever the number picks."""
        # One rule for all: of many rules Hypothesis leaves out most in an example, and a job would
        # hardly ever get to its end.
        getattr(self, what)(Random(number), is_so)

    def create(self, random: Random, is_twice: bool) -> None:
        request = {
            **random.choice(MODELS),
            "owner": random.choice(OWNERS),
            "request_id": self._name("request"),
            "caller": random.choice((CALLER, CALLER, PAYING)),
        }
        for _ in range(1 + is_twice):
            self._do(partial(self._create, request))

    async def _create(self, request: dict[str, Any]) -> None:
        try:
            job = await self._harness.accept(**request)
        except InsufficientCredits:
            return
        if all(job.id != known.id for _, known in self._jobs):
            self._jobs.append((request, job))

    def create_again(self, random: Random, _: bool) -> None:
        if self._jobs:
            request, job = random.choice(self._jobs)
            again = self._do(partial(self._harness.accept, **request))
            assert again is not None
            assert (again.id, again.price) == (job.id, job.price)

    def send(self, random: Random, is_answered: bool) -> None:
        refused = ProviderRefused("no", code="422", reason=FailureReason.REQUEST_REFUSED)
        lost = ProviderSilent("no answer")
        error = None if is_answered else random.choice((None, None, refused, lost))
        self._harness.provider.refuse(error)
        self._do(
            self._harness.dispatch_all if is_answered else partial(dispatch, self._harness.deps)
        )
        self._harness.provider.refuse(None)

    def call_back(self, random: Random, is_success: bool) -> None:
        call = self._call(random)
        if call:
            self._do(partial(self._harness.callback, _told(random, is_success), call=call))

    def answer_polls(self, random: Random, is_success: bool) -> None:
        call = self._call(random)
        if call:
            self._harness.provider.tasks[f"task-{call}"] = _told(random, is_success)
            self._ground.run(self._harness.later(hours=0.1))
            self._do(self._harness.poll_all)

    def read_cost(self, random: Random, is_told: bool) -> None:
        """Have the costs asked for that nobody told when their tasks ended."""
        cost = random.choice((Decimal("0.5"), Decimal("7.25"), Decimal(900))) if is_told else None
        for call in range(1, len(self._harness.provider.created) + 1):
            self._harness.provider.tasks[f"task-{call}"] = replace(SUCCESS, cost=cost)
        self._ground.run(self._harness.later(hours=0.1))
        for _ in range(3):
            self._do(partial(do_one, self._harness.deps, WORK))

    def _call(self, random: Random) -> int:
        calls = len(self._harness.provider.created)
        return random.randint(max(1, calls - 3), calls) if calls else 0

    def fetch(self, random: Random, is_whole: bool) -> None:
        gone = [] if is_whole else [FRESH, *random.sample(LINKS, random.randint(1, 4))]
        self._harness.fetcher.links = dict.fromkeys(gone, FetchFailed("gone"))
        self._do(self._harness.fetch_all)

    def cancel(self, random: Random, _: bool) -> None:
        if self._jobs:
            request, job = random.choice(self._jobs)
            cancel = partial(cancel_job.cancel_job, self._harness.deps, request["caller"])
            self._do(partial(cancel, job_id=job.id))

    def wait(self, random: Random, is_swept: bool) -> None:
        self._ground.run(self._harness.later(hours=random.choice((0.05, 0.5, 3, 30))))
        if is_swept:
            self._do(self._harness.sweep)

    def grant(self, random: Random, is_given: bool) -> None:
        credits_ = random.choice((3, 40)) if is_given else -5
        owner = random.choice(PAYERS)
        request = GrantRequest(CALLER, self._name("grant"), owner, credits_, "a gift")
        self._do(partial(grant_credits, self._harness.deps, request))

    def pay(self, random: Random, is_twice: bool) -> None:
        """Have somebody pay, and the payment told twice, perhaps by a process that was killed."""
        owner, credits_ = random.choice(PAYERS), random.choice((9, 100))
        paid = partial(bought, self._harness, credits_, owner=owner, external_id=self._name("id"))
        told = [self._do(paid) for _ in range(1 + is_twice)]
        assert None not in told
        assert len({each.id for each in told if each}) == 1
        self._top_ups += [each for each in told[:1] if each]

    def refund(self, random: Random, is_charged_back: bool) -> None:
        if self._top_ups:
            back = partial(take_back, self._harness, is_charged_back=is_charged_back)
            self._do(partial(back, random.choice(self._top_ups)))

    def report_refunds(self, random: Random, is_returned: bool) -> None:
        told = "" if is_returned else random.choice(TELEGRAM_ERRORS)
        self._do(partial(report_refunds, self._harness, told))

    def reprice(self, random: Random, _: bool) -> None:
        self._do(partial(self._reprice, Decimal(random.choice(("0.0371", "1", "1.5", "3")))))

    async def _reprice(self, margin: Decimal) -> None:
        async with self._harness.transaction() as tx:
            await tx.money.add_margin(
                MarginRule(MarginScope.DEFAULT, "", margin, "operator", "it moved")
            )
        self._harness.deps.money.terms.expire()

    def kill_soon(self, random: Random, is_committed: bool) -> None:
        """Kill the process in what it does next; after that it is done again by another one."""
        self._ground.database.fuse = random.randint(1, 5)
        self._ground.database.is_committed = is_committed

    def _do(self, work: Callable[[], Awaitable[_T]]) -> _T | None:
        """Do something, and if the process was killed meanwhile do it once more."""
        try:
            return self._ground.run(self._one(work))
        except (Killed, asyncio.CancelledError):
            note("it was killed, and did it again")
        finally:
            self._ground.database.fuse = None
        return self._ground.run(self._one(work))

    async def _one(self, work: Callable[[], Awaitable[_T]]) -> _T | None:
        try:
            return await work()
        except (AtelierError, TimeoutError) as error:
            note(repr(error))
            return None

    def _name(self, kind: str) -> str:
        self._numbers += 1
        return f"{kind}-{self._numbers}"

    @invariant()
    def nothing_differs(self) -> None:
        fuse, self._ground.database.fuse = self._ground.database.fuse, None
        found = self._ground.run(check_ledger(self._harness.deps.database))
        assert found.differences == ()
        assert self._ground.run(self._harness.query(_INVENTED)) == []
        assert self._ground.run(self._harness.query(_WRONG_CHARGES)) == []
        self._ground.database.fuse = fuse


# What owners have is what came in without what was charged, counted from outside of the ledger.
_INVENTED = """
SELECT * FROM (SELECT
    (SELECT coalesce(sum(granted + paid + held - debt), 0) FROM wallet) AS had,
    (SELECT coalesce(sum(credits), 0) FROM top_up WHERE state = 'credited') AS bought,
    (SELECT coalesce(sum(captured), 0) FROM hold) AS charged,
    (SELECT coalesce(sum(CASE WHEN target = 'granted' THEN amount ELSE -amount END), 0)
        FROM transfer WHERE kind = 'grant') AS given) AS sums
WHERE had <> bought + given - charged
"""
_WRONG_CHARGES = """
SELECT job.id FROM job JOIN transfer ON transfer.cause = job.id::text AND transfer.kind = 'capture'
GROUP BY job.id HAVING count(*) > 1 OR sum(transfer.amount) > job.credits OR job.is_free
    OR NOT EXISTS (SELECT FROM media WHERE media.job_id = job.id)
"""


def _told(random: Random, is_success: bool) -> Observation:
    if not is_success and random.random() < 0.5:
        return FAILURE
    cost = random.choice((None, None, Decimal("0.5"), Decimal("7.25"), Decimal(900)))
    return replace(SUCCESS, results=items_of(*LINKS[: random.randint(1, 4)]), cost=cost)


def test_no_order_of_steps_loses_or_invents_a_credit(ground: Ground) -> None:
    machine = cast(Any, partial(Money, ground))
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if "EXAMPLES" in os.environ else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=not SEED and "EXAMPLES" not in os.environ,
    )
    if SEED:
        machine = seed(int(SEED))(machine)
    run_state_machine_as_test(machine, settings=chosen)
