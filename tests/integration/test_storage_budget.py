import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from generation_svc.domain.account import Account
from generation_svc.domain.job import DelayReason
from generation_svc.domain.port.breaker import CLOSED, BreakerState
from generation_svc.domain.port.transaction import Transaction
from generation_svc.storage.account import FIRST_ACCOUNT
from generation_svc.storage.database import PostgresDatabase, open_database
from generation_svc.storage.notifier import Notifier
from tests.lifecycle import Harness

WINDOW = timedelta(seconds=1)
INTERVAL = timedelta(seconds=15)
LIMIT = 5
ACCOUNT = DelayReason.PROVIDER_ACCOUNT
UNREACHABLE = DelayReason.PROVIDER_UNREACHABLE
SECOND = Account("kie", "second")


async def state(tx: Transaction) -> BreakerState:
    return (await tx.breaker.states((FIRST_ACCOUNT,)))[FIRST_ACCOUNT]


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[list[PostgresDatabase]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                open_database(database_url, notifier=Notifier(), max_connections=5)
            )
            for _ in range(3)
        ]


async def test_no_window_wherever_it_begins_holds_more_calls(
    replicas: list[PostgresDatabase],
) -> None:
    loop = asyncio.get_running_loop()
    takes: list[tuple[float, float]] = []  # somewhere between the two the call was taken

    async def taker(database: PostgresDatabase) -> None:
        while len(takes) < 4 * LIMIT:
            before = loop.time()
            async with database.transaction() as tx:
                wait = await tx.rate_budget.take("create", limit=LIMIT, window=WINDOW)
            if wait:
                assert wait <= WINDOW
                await asyncio.sleep(min(wait.total_seconds(), 0.05))
            else:
                takes.append((before, loop.time()))

    async with asyncio.timeout(20):
        await asyncio.gather(*(taker(database) for database in replicas for _ in range(4)))

    takes.sort()
    for (_, first), (last, _) in zip(takes, takes[LIMIT:], strict=False):
        assert last - first < WINDOW.total_seconds() * 3  # and the budget is used, not hoarded
    starts, ends = sorted(t[0] for t in takes), sorted(t[1] for t in takes)
    for n in range(len(takes) - LIMIT):
        assert ends[n + LIMIT] - starts[n] >= WINDOW.total_seconds()


async def test_calls_that_are_late_together_are_all_moved(
    replicas: list[PostgresDatabase], harness: Harness
) -> None:
    """Two that moved the same one would leave a call where it was, and its place too early."""
    calls = 16

    async def delay(database: PostgresDatabase) -> None:
        async with database.transaction() as tx:
            await tx.rate_budget.delay("create", account=SECOND, window=INTERVAL)

    for _ in range(30):
        await harness.query("DELETE FROM budget_slot")
        async with harness.transaction() as tx:
            await tx.rate_budget.take_several(
                "create", calls={SECOND: calls}, limit=20, window=INTERVAL
            )
        ((first,),) = [row.values() for row in await harness.query("SELECT clock_timestamp()")]
        await asyncio.gather(*(delay(replicas[n % len(replicas)]) for n in range(calls)))
        moved = await harness.query("SELECT * FROM budget_slot WHERE take_time > %s", first)
        assert len(moved) == calls


async def test_budgets_do_not_share_their_calls(harness: Harness) -> None:
    async with harness.transaction() as tx:
        for budget in ("create", "read"):
            takes = [await tx.rate_budget.take(budget, limit=1, window=INTERVAL) for _ in range(3)]
            assert takes.count(timedelta(0)) == 1


async def test_a_smaller_limit_holds_at_once(harness: Harness) -> None:
    async def taken(limit: int) -> int:
        async with harness.transaction() as tx:
            tries = [
                await tx.rate_budget.take("create", limit=limit, window=INTERVAL) for _ in range(9)
            ]
        return tries.count(timedelta(0))

    assert await taken(6) == 6
    await harness.later(seconds=16)
    assert await taken(2) == 2


async def test_a_plain_fault_opens_the_breaker_at_once(harness: Harness) -> None:
    async with harness.transaction() as tx:
        assert await state(tx) == CLOSED
        assert not await tx.breaker.close(FIRST_ACCOUNT)
        await tx.breaker.trip(FIRST_ACCOUNT, reason=ACCOUNT, threshold=1, interval=INTERVAL)
        assert await state(tx) == BreakerState(ACCOUNT, is_probe_due=False)
        assert await tx.breaker.close(FIRST_ACCOUNT)
        assert await state(tx) == CLOSED


async def test_repeated_faults_open_it_and_a_success_in_between_starts_anew(
    harness: Harness,
) -> None:
    async with harness.transaction() as tx:
        for _ in range(2):
            await tx.breaker.trip(FIRST_ACCOUNT, reason=UNREACHABLE, threshold=3, interval=INTERVAL)
        assert not await tx.breaker.close(FIRST_ACCOUNT)
        for _ in range(2):
            await tx.breaker.trip(FIRST_ACCOUNT, reason=UNREACHABLE, threshold=3, interval=INTERVAL)
        assert await state(tx) == CLOSED
        await tx.breaker.trip(FIRST_ACCOUNT, reason=UNREACHABLE, threshold=3, interval=INTERVAL)
        assert (await state(tx)).reason is UNREACHABLE


async def test_only_one_of_many_gets_the_probe(replicas: list[PostgresDatabase]) -> None:
    async def claim(database: PostgresDatabase) -> bool:
        async with database.transaction() as tx:
            return await tx.breaker.claim_probe(FIRST_ACCOUNT, interval=INTERVAL)

    async with replicas[0].transaction() as tx:
        await tx.breaker.trip(FIRST_ACCOUNT, reason=ACCOUNT, threshold=1, interval=timedelta(0))

    granted = await asyncio.gather(*(claim(each) for each in replicas for _ in range(5)))

    assert sum(granted) == 1


async def test_faults_never_put_the_next_probe_off(harness: Harness) -> None:
    async with harness.transaction() as tx:
        await tx.breaker.trip(FIRST_ACCOUNT, reason=ACCOUNT, threshold=1, interval=INTERVAL)
    for _ in range(4):  # what reading the tasks under way brings
        await harness.later(seconds=4)
        async with harness.transaction() as tx:
            await tx.breaker.trip(FIRST_ACCOUNT, reason=ACCOUNT, threshold=1, interval=INTERVAL)
    async with harness.transaction() as tx:
        assert (await state(tx)).is_probe_due
        assert await tx.breaker.claim_probe(FIRST_ACCOUNT, interval=INTERVAL * 4)
        await tx.breaker.end_probe(FIRST_ACCOUNT, interval=INTERVAL)
    await harness.later(seconds=16)
    async with harness.transaction() as tx:
        assert (await state(tx)).is_probe_due


async def test_every_account_has_budgets_of_its_own(harness: Harness) -> None:
    async with harness.transaction() as tx:
        for account in (FIRST_ACCOUNT, SECOND, Account("other", "second")):
            takes = [
                await tx.rate_budget.take("create", account=account, limit=2, window=INTERVAL)
                for _ in range(4)
            ]
            assert takes.count(timedelta(0)) == 2
        found = await tx.dispatch.view(
            (FIRST_ACCOUNT, SECOND), lease=INTERVAL, limit=3, window=INTERVAL
        )
        for view in found.accounts.values():
            assert view.free_calls == 1
            assert view.call_wait is not None
            assert timedelta(seconds=10) < view.call_wait <= INTERVAL


async def test_calls_of_several_accounts_are_taken_together_and_never_too_many(
    harness: Harness,
) -> None:
    def take(tx: Transaction, calls: dict[Account, int]) -> Awaitable[Mapping[Account, int]]:
        return tx.rate_budget.take_several("create", calls=calls, limit=3, window=INTERVAL)

    async with harness.transaction() as tx:
        assert await take(tx, {FIRST_ACCOUNT: 1, SECOND: 1}) == {FIRST_ACCOUNT: 1, SECOND: 1}
    async with harness.transaction() as tx, harness.transaction() as other:
        assert await take(tx, {FIRST_ACCOUNT: 1, SECOND: 3}) == {FIRST_ACCOUNT: 1, SECOND: 2}
        # What is being taken is not free.
        assert await take(other, {FIRST_ACCOUNT: 3, SECOND: 1}) == {FIRST_ACCOUNT: 1}
    async with harness.transaction() as tx:
        assert await take(tx, {FIRST_ACCOUNT: 1, SECOND: 1}) == {}


async def test_every_account_has_a_breaker_of_its_own(harness: Harness) -> None:
    accounts = (FIRST_ACCOUNT, SECOND)
    for opened, other in (accounts, accounts[::-1]):
        async with harness.transaction() as tx:
            await tx.breaker.trip(opened, reason=ACCOUNT, threshold=1, interval=timedelta(0))
        async with harness.transaction() as tx:
            assert await tx.breaker.states(accounts) == {
                opened: BreakerState(ACCOUNT, is_probe_due=True),
                other: CLOSED,
            }
            assert not await tx.breaker.claim_probe(other, interval=INTERVAL)
            assert not await tx.breaker.close(other)
            assert await tx.breaker.claim_probe(opened, interval=INTERVAL)
            await tx.breaker.end_probe(opened, interval=timedelta(0))
            assert await tx.breaker.close(opened)
            assert not await tx.breaker.close(opened)


async def test_the_release_before_shares_the_first_account_and_touches_no_other(
    harness: Harness,
) -> None:
    """What it runs names no account: it is the first one's, and ours see it."""
    async with harness.transaction() as tx:
        for account in (FIRST_ACCOUNT, SECOND):
            await tx.breaker.trip(account, reason=ACCOUNT, threshold=1, interval=INTERVAL)
            await tx.rate_budget.take("create", account=account, limit=1, window=INTERVAL)
            await tx.rate_budget.take("create", account=account, limit=1, window=INTERVAL)
    (row,) = await harness.query("SELECT reason FROM breaker")
    assert row["reason"] == ACCOUNT
    slots = "SELECT count(*) AS taken FROM budget_slot WHERE budget = 'create'"
    assert await harness.query(slots) == [{"taken": 1}]

    await harness.query("UPDATE breaker SET failures = 0, reason = NULL, probe_time = NULL")
    await harness.query("UPDATE budget_slot SET take_time = '-infinity' WHERE budget = 'create'")

    async with harness.transaction() as tx:
        found = await tx.breaker.states((FIRST_ACCOUNT, SECOND))
        assert [state.reason for state in found.values()] == [None, ACCOUNT]
        for account, is_free in ((FIRST_ACCOUNT, True), (SECOND, False)):
            wait = await tx.rate_budget.take("create", account=account, limit=1, window=INTERVAL)
            assert (wait == timedelta(0)) is is_free
