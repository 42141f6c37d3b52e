"""What the jobs of a day may cost the operator: all free ones, and all."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from generation_svc.domain.clock import day_after
from generation_svc.domain.daily_cap import Cap, DailyCaps, DailyCost
from generation_svc.domain.job import Job
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.money_error import DailyCapReached, InsufficientCredits
from generation_svc.usecase.cancel_job import cancel_job
from tests.integration.test_free_allowance import MIDNIGHT, at
from tests.lifecycle import CALLER, FAILURE, SUCCESS, Harness, OpenBench
from tests.money import FREE, IMAGEN, grant
from tests.statement_count import counting_database

pytestmark = pytest.mark.usefixtures("within_one_day")

IMAGE = Decimal("0.8")
"""What a free picture costs the operator."""


def capped(
    harness: Harness, *, free: Decimal | int | None = None, overall: Decimal | int | None = None
) -> Harness:
    """Set limits, and have a new process find out what was spent."""
    caps = DailyCaps(
        None if free is None else Decimal(free), None if overall is None else Decimal(overall)
    )
    harness.deps = replace(
        harness.deps, money=replace(harness.deps.money, caps=caps, capped_days={})
    )
    return harness


async def accepted(harness: Harness, count: int, **wishes: Any) -> int:
    """Ask for so many jobs at once; return how many were accepted."""
    asked = [harness.accept(destination=None, **wishes) for _ in range(count)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in outcomes if not isinstance(each, Job)]
    assert all(isinstance(each, DailyCapReached) for each in refused), refused
    return count - len(refused)


async def known_cost(harness: Harness, time: datetime | None = None) -> DailyCost:
    """What the database knows of a day."""
    time = time or harness.deps.database.now()
    async with harness.transaction() as tx:
        return await tx.money.daily_cost(time.replace(hour=0, minute=0, second=0, microsecond=0))


async def test_of_many_free_jobs_at_once_exactly_those_within_the_cap_are_accepted(
    harness: Harness,
) -> None:
    capped(harness, free=4)
    assert await accepted(harness, 20) == 5
    with pytest.raises(DailyCapReached) as refusal:
        await harness.accept()
    now = harness.deps.database.now()
    assert refusal.value.cap == "free"
    assert abs(now + refusal.value.retry_after - day_after(now)) < timedelta(seconds=5)
    value = harness.registry.get_sample_value
    assert value("atelier_provider_unaffordable_jobs_total", {"limit": "free"}) == 16


async def test_the_free_cap_stops_no_paid_job_and_the_whole_cap_does(open_bench: OpenBench) -> None:
    harness = capped(await open_bench(money=MoneyMode.TEST), free=0, overall=20)
    await grant(harness, 1000)
    assert await accepted(harness, 1, **FREE) == 0
    assert await accepted(harness, 5, **IMAGEN) == 2
    with pytest.raises(DailyCapReached) as refusal:
        await harness.accept(**IMAGEN)
    assert refusal.value.cap == "all"


async def test_another_process_counts_what_was_accepted_and_what_it_took(
    harness: Harness, open_bench: OpenBench
) -> None:
    await harness.run()
    await harness.callback(replace(SUCCESS, cost=Decimal(2)))
    await harness.run()
    await harness.callback(replace(FAILURE, cost=Decimal(0)))
    await harness.accept()
    gone = await harness.accept()
    await cancel_job(harness.deps, CALLER, job_id=gone.id)
    assert (await known_cost(harness)).free == 2 + IMAGE

    replica = capped(await open_bench(sharing=harness), free=2 + 3 * IMAGE)
    assert await accepted(replica, 5) == 2


async def test_what_is_refused_for_another_reason_counts_nothing(open_bench: OpenBench) -> None:
    harness = capped(await open_bench(money=MoneyMode.TEST), overall=30)
    await grant(harness, 8)
    for _ in range(5):
        with pytest.raises(InsufficientCredits):
            await asyncio.gather(harness.accept(**IMAGEN), harness.accept(**IMAGEN))
    assert harness.deps.money.daily_cost.accepted.overall == 8


async def test_a_repeated_request_gets_its_job_beyond_the_cap(harness: Harness) -> None:
    capped(harness, free=IMAGE)
    job = await harness.accept(request_id="once")
    assert (await harness.accept(request_id="once")).id == job.id
    assert await accepted(harness, 1) == 0


async def test_the_next_day_begins_with_nothing(harness: Harness) -> None:
    await harness.accept()
    now = harness.deps.database.now()
    assert (await known_cost(harness, now)).overall == IMAGE
    assert (await known_cost(harness, now + timedelta(days=1))).overall == 0


async def test_what_is_accepted_before_midnight_costs_its_own_day_whenever_it_ends(
    harness: Harness,
) -> None:
    before = MIDNIGHT - timedelta(milliseconds=1)
    clock = await at(harness, before)
    await harness.run()
    clock.time = MIDNIGHT
    await harness.callback(replace(SUCCESS, cost=Decimal(3)))
    await harness.fetch_all()
    assert (await known_cost(harness, before)).overall == 3
    assert (await known_cost(harness, MIDNIGHT)).overall == 0


async def test_the_operator_is_told_once_a_day_by_one_process(
    harness: Harness, open_bench: OpenBench
) -> None:
    replica = capped(await open_bench(sharing=harness), free=0)
    capped(harness, free=0)
    with capture_logs() as lines:
        for each in (harness, harness, replica):
            assert await accepted(each, 3) == 0
    told = [line for line in lines if line.get("action") == "daily_cap"]
    assert [(line["log_level"], line["cap"]) for line in told] == [("error", "free")]


async def test_a_free_job_without_caps_costs_no_statement(
    harness: Harness, database_url: str
) -> None:
    counts = []
    async with counting_database(database_url) as (database, asked):
        harness.deps = replace(harness.deps, database=database)
        await harness.accept(destination=None)
        for caps in (DailyCaps(), DailyCaps(free=Decimal(100))):
            capped(harness, free=caps.free)
            asked.clear()
            await harness.accept(destination=None)
            counts.append(
                [sum("job.id >=" in each for each in asked.statements), len(asked.statements)]
            )
    (none, without), (one, with_cap) = counts
    assert (none, one) == (0, 1)
    assert without == with_cap - 1


@pytest.mark.parametrize(
    ("spent", "cost", "is_free", "cap"),
    [
        ("9", "1", True, None),
        ("9", "1.01", True, Cap.FREE),
        ("10", "0", True, Cap.FREE),
        ("10", "1", False, None),
        ("19.5", "1", False, Cap.ALL),
        ("20", "1", True, Cap.ALL),
    ],
)
def test_which_cap_a_job_would_pass(spent: str, cost: str, is_free: bool, cap: Cap | None) -> None:
    known = DailyCost(datetime.now(UTC).date(), Decimal(spent), Decimal(spent))
    caps = DailyCaps(free=Decimal(10), overall=Decimal(20))
    assert known.reached(caps, cost=Decimal(cost), is_free=is_free) is cap
