"""An owner starts so many jobs of free models in a day (UTC), and not one more."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from generation_svc.domain.error import TooManyActiveJobs
from generation_svc.domain.job import Job
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.money_error import FreeAllowanceUsed
from generation_svc.domain.port.transaction import Database
from generation_svc.usecase import cancel_job
from generation_svc.usecase.money import read_wallet
from generation_svc.usecase.money.read_wallet import FreeAllowance
from runtime.clock import utc_now
from tests.lifecycle import CALLER, FAILURE, GENEROUS, Harness, OpenBench
from tests.money import FREE, IMAGEN, PRICE, grant
from tests.statement_count import counting_database

pytestmark = pytest.mark.usefixtures("within_one_day")

ALLOWANCE = replace(GENEROUS, daily_free_jobs_per_owner=10)
TWO = replace(GENEROUS, daily_free_jobs_per_owner=2)
MIDNIGHT = datetime(utc_now().year + 2, 5, 18, tzinfo=UTC)
"""A time to come, whenever this runs: what is kept for a time would be over."""
NOON = MIDNIGHT - timedelta(hours=12)


class Timed:
    """A database that says what time it is."""

    def __init__(self, database: Database, time: datetime) -> None:
        self._database, self.time = database, time

    def now(self) -> datetime:
        return self.time

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


async def at(harness: Harness, time: datetime) -> Timed:
    """Have it be some time; the test moves it on."""
    timed = Timed(harness.deps.database, time)
    harness.deps = replace(harness.deps, database=cast(Database, timed))
    return timed


async def left(harness: Harness, owner: str = "user:1") -> FreeAllowance:
    found = await read_wallet.read_allowance(harness.deps, CALLER, owner=owner)
    assert found is not None
    return found


async def used(harness: Harness, **accepted: Any) -> bool:
    """Whether another job is refused for the allowance alone."""
    try:
        await harness.accept(**accepted)
    except FreeAllowanceUsed:
        return True
    return False


async def test_of_twenty_jobs_at_once_as_many_are_accepted_as_are_free(
    open_bench: OpenBench,
) -> None:
    first = await open_bench(limits=ALLOWANCE)
    benches = [first, await open_bench(limits=ALLOWANCE, sharing=first)]

    outcomes = await asyncio.gather(
        *(bench.accept(request_id=f"r-{n}") for n, bench in enumerate(benches * 10)),
        return_exceptions=True,
    )

    assert sum(isinstance(each, Job) for each in outcomes) == 10
    refused = [each for each in outcomes if isinstance(each, FreeAllowanceUsed)]
    assert len(refused) == 10
    assert {each.daily_count for each in refused} == {10}
    assert len(await first.query("SELECT id FROM job")) == 10
    assert len(await first.query("SELECT job_id FROM request_key")) == 10
    await first.accept(owner="user:2")


async def test_at_midnight_all_of_them_are_there_again(open_bench: OpenBench) -> None:
    harness = await open_bench(limits=TWO)
    clock = await at(harness, NOON)
    for _ in range(2):
        await harness.accept()
    with pytest.raises(FreeAllowanceUsed) as refused:
        await harness.accept()
    assert refused.value.retry_after == timedelta(hours=12)
    assert await left(harness) == FreeAllowance(2, 0, MIDNIGHT)

    clock.time = MIDNIGHT - timedelta(milliseconds=1)
    assert await used(harness)
    clock.time = MIDNIGHT
    assert (await left(harness)).remaining_count == 2
    for _ in range(2):
        await harness.accept()
    assert await used(harness)


async def test_jobs_of_both_sides_of_midnight_count_for_their_own_day(
    open_bench: OpenBench,
) -> None:
    harness = await open_bench(limits=TWO)
    before = await open_bench(limits=TWO, sharing=harness)
    await at(before, MIDNIGHT - timedelta(milliseconds=1))
    await at(harness, MIDNIGHT)

    outcomes = await asyncio.gather(
        *(used(bench) for bench in (before, harness, before, harness, before, harness))
    )

    assert sorted(outcomes[::2]) == sorted(outcomes[1::2]) == [False, False, True]


async def test_what_failed_gives_its_turn_back(open_bench: OpenBench) -> None:
    harness = await open_bench(limits=TWO)
    await harness.run()
    job = await harness.run()
    assert await used(harness)

    await harness.callback(FAILURE)

    assert (await harness.job(job)).state == "failed"
    assert (await left(harness)).remaining_count == 1
    assert not await used(harness)
    assert await used(harness)


async def test_what_was_cancelled_counts_only_if_the_provider_had_it(
    open_bench: OpenBench,
) -> None:
    harness = await open_bench(limits=TWO)
    running = await harness.run()
    queued = await harness.accept()
    for job in (running, queued):
        await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)
    assert (await left(harness)).remaining_count == 1
    assert [await used(harness), await used(harness)] == [False, True]


async def test_a_job_that_succeeded_stays_counted(
    open_bench: OpenBench,
) -> None:
    harness = await open_bench(limits=replace(GENEROUS, daily_free_jobs_per_owner=1))
    await harness.made()
    assert await used(harness)


async def test_jobs_that_are_paid_for_are_not_counted(open_bench: OpenBench) -> None:
    harness = await open_bench(limits=TWO, money=MoneyMode.TEST)
    await grant(harness, 4 * PRICE)
    for _ in range(3):
        await harness.accept(**IMAGEN)
    assert (await left(harness)).remaining_count == 2
    for _ in range(2):
        await harness.accept(**FREE)
    assert await used(harness)
    await harness.accept(**IMAGEN)


async def test_paid_and_free_jobs_at_once_are_told_apart(open_bench: OpenBench) -> None:
    harness = await open_bench(limits=TWO, money=MoneyMode.TEST)
    await grant(harness, 5 * PRICE)

    outcomes = await asyncio.gather(
        *(used(harness, **wish) for wish in (FREE, IMAGEN, FREE, IMAGEN, FREE, IMAGEN, FREE))
    )

    assert outcomes == [False, False, False, False, True, False, True]


async def test_a_repeated_request_gives_its_job_when_nothing_is_left(
    open_bench: OpenBench,
) -> None:
    harness = await open_bench(limits=replace(GENEROUS, daily_free_jobs_per_owner=1))
    jobs = await asyncio.gather(*(harness.accept(request_id="r-1") for _ in range(5)))
    assert len({job.id for job in jobs}) == 1
    with pytest.raises(FreeAllowanceUsed):
        await harness.accept(request_id="r-2")
    assert (await harness.accept(request_id="r-1")).id == jobs[0].id


async def test_who_has_too_many_jobs_under_way_is_not_told_of_the_day(
    open_bench: OpenBench,
) -> None:
    harness = await open_bench(limits=replace(TWO, active_jobs_per_owner=1))
    outcomes = await asyncio.gather(*(harness.accept() for _ in range(4)), return_exceptions=True)
    assert [type(each) for each in outcomes] == [Job, *[TooManyActiveJobs] * 3]
    assert (await left(harness)).remaining_count == 1


async def test_the_allowance_takes_no_further_statement_and_nothing_where_it_is_not_set(
    open_bench: OpenBench, database_url: str
) -> None:
    harness = await open_bench()
    counts = []
    async with counting_database(database_url) as (database, asked):
        for limits in (GENEROUS, ALLOWANCE):
            harness.deps = replace(harness.deps, database=database, limits=limits)
            for _ in range(2):  # the first one reads what is read now and then
                asked.clear()
                await harness.accept()
            told = any("free_turn" in each for each in asked.statements)
            counts.append((len(asked.statements), asked.transactions, told))
    plain, limited = counts
    assert plain[:2] == limited[:2]
    assert (plain[2], limited[2]) == (False, True)
    assert (
        await read_wallet.read_allowance(
            replace(harness.deps, limits=GENEROUS), CALLER, owner="user:1"
        )
        is None
    )
