"""A success of what was given up is kept, whoever tells of it, and costs its owner nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from generation_svc.domain.error import FetchFailed
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.ledger import TransferKind
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.engine.read_cost import COST_READS, WORK
from generation_svc.engine.work import do_one
from generation_svc.lifecycle import ledger_audit
from generation_svc.usecase import cancel_job, read_job
from tests.integration.test_retention import forget_all
from tests.lifecycle import CALLER, LINK, SUCCESS, Harness, OpenBench
from tests.money import IMAGEN, PRICE, check_ledger, grant, holds, wallet

HAS = 100
LATE = replace(SUCCESS, cost=Decimal(8))
WORKING = Observation(ProviderState.PENDING, word="generating")
FRESH = "https://file.aiquickdraw.com/fresh.png"
"""What the provider gives for a link that is no good."""
End = Callable[[Harness], Awaitable[Job]]


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    harness = await open_bench(money=MoneyMode.TEST)
    await grant(harness, HAS, kind=TransferKind.TOP_UP)
    return harness


async def sound(harness: Harness) -> None:
    """Hold the ledger to its audit and to what is counted from outside."""
    await check_ledger(harness)
    found = (await ledger_audit.check_ledger(harness.deps.database)).differences
    # The harness itself writes top-ups that nobody paid for.
    assert [str(each) for each in found if each.rule != "transfer_has_cause"] == []


async def failed(harness: Harness) -> Job:
    """Have a job miss its deadline, which a read finds."""
    job = await harness.run(**IMAGEN)
    return await given_up(harness, job, state=JobState.FAILED)


async def cancelled(harness: Harness) -> Job:
    """Have a job be cancelled while it runs, and its attempt be given up at the deadline."""
    job = await harness.run(**IMAGEN)
    await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)
    return await given_up(harness, job, state=JobState.CANCELLED)


async def stopped(harness: Harness) -> Job:
    """Have a job meet the hard stop, unread for a day."""
    job = await harness.run(**IMAGEN)
    await harness.later(days=2)
    await harness.sweep()
    assert (await harness.job(job)).state is JobState.FAILED
    return job


async def given_up(harness: Harness, job: Job, *, state: JobState) -> Job:
    harness.provider.tasks["task-1"] = WORKING
    await harness.later(hours=5)
    await harness.poll_all()
    assert [each["state"] for each in await harness.attempts(job)] == ["lost"]
    assert (await harness.job(job)).state is state
    assert (await holds(harness), (await wallet(harness)).balance) == ([("released", 0)], HAS)
    return job


async def kept(harness: Harness, job: Job) -> int:
    """Return how many files are kept of a job."""
    result = (await read_job.get(harness.deps, CALLER, job_id=job.id)).kept_result
    return len(result.media) if result else 0


async def read_again(harness: Harness) -> bool:
    """Read what has ended once more, as soon as that is due."""
    await harness.query("UPDATE attempt SET cost_time = now() WHERE cost_time IS NOT NULL")
    return await do_one(harness.deps, WORK)


async def booked_late(harness: Harness) -> int:
    rows = await harness.query(
        "SELECT coalesce(sum(amount), 0)::bigint AS cost FROM transfer"
        " WHERE target = 'late_results'"
    )
    (row,) = rows
    return int(row["cost"])


ENDS = pytest.mark.parametrize("end", [failed, cancelled, stopped])


@ENDS
async def test_a_success_whose_callback_is_lost_is_found_by_another_read(
    harness: Harness, end: End
) -> None:
    job = await end(harness)
    harness.provider.tasks["task-1"] = WORKING
    assert await read_again(harness)
    assert (await kept(harness, job), await booked_late(harness)) == (0, 0)

    harness.provider.tasks["task-1"] = LATE
    assert await read_again(harness)
    await sound(harness)  # its files are still to come
    await harness.fetch_all()

    told = await harness.job(job)
    assert (await kept(harness, job), told.charged_credits) == (1, 0)
    assert (await booked_late(harness), (await wallet(harness)).balance) == (8000, HAS)
    assert await holds(harness) == [("released", 0)]
    assert not await read_again(harness)
    await sound(harness)


@ENDS
async def test_a_success_that_a_late_callback_tells_is_kept(harness: Harness, end: End) -> None:
    job = await end(harness)
    await harness.callback(LATE)
    await sound(harness)
    await harness.callback(LATE)  # the same once more
    await harness.fetch_all()
    assert (await kept(harness, job), await booked_late(harness)) == (1, 8000)
    assert (await harness.job(job)).charged_credits == 0
    assert (await wallet(harness)).balance == HAS
    await sound(harness)


@ENDS
async def test_what_never_succeeds_is_read_a_few_times_and_no_more(
    harness: Harness, end: End
) -> None:
    job = await end(harness)
    harness.provider.tasks["task-1"] = WORKING
    harness.provider.reads.clear()
    while await read_again(harness):
        assert len(harness.provider.reads) <= COST_READS
    assert len(harness.provider.reads) == COST_READS
    assert await kept(harness, job) == 0


async def test_the_last_of_these_reads_comes_hours_later(harness: Harness) -> None:
    await failed(harness)
    hours = 0.0
    while await do_one(harness.deps, WORK):
        (row,) = await harness.query("SELECT cost_time - now() AS wait FROM attempt")
        if row["wait"] is not None:
            hours += row["wait"].total_seconds() / 3600
            await harness.later(seconds=row["wait"].total_seconds() + 0.01)
    assert 4 < hours < 5


async def test_a_reader_that_is_killed_leaves_the_read_to_another(harness: Harness) -> None:
    job = await cancelled(harness)
    harness.provider.tasks["task-1"] = LATE
    await harness.query("UPDATE attempt SET cost_reads = %s", COST_READS - 1)
    async with harness.transaction() as tx:  # and its process is gone
        accounts = harness.deps.provider.accounts
        wait = harness.deps.timing.cost_retry
        await tx.attempts.claim_costs(first_wait=wait, readable=accounts, limit=1)
    assert await read_again(harness)
    # Killed again, before a byte was fetched: the files are due to be fetched by anybody.
    await harness.query("UPDATE attempt SET fetch_time = now() WHERE fetch_time IS NOT NULL")
    await harness.fetch_all()
    assert (await kept(harness, job), (await wallet(harness)).balance) == (1, HAS)
    await sound(harness)


async def test_what_came_after_the_hard_stop_has_a_day_to_be_fetched(harness: Harness) -> None:
    job = await stopped(harness)
    await harness.callback(LATE)
    await harness.sweep()
    assert [each["state"] for each in await harness.attempts(job)] == ["succeeded"]
    await harness.later(hours=25)
    await harness.sweep()
    assert [each["state"] for each in await harness.attempts(job)] == ["lost"]


async def test_a_success_that_nobody_fetched_for_a_day_is_asked_for_again(harness: Harness) -> None:
    job = await harness.run(**IMAGEN)
    await harness.callback(LATE)
    await harness.later(days=2)  # nobody was there
    await harness.sweep()
    assert (await harness.job(job)).state is JobState.FAILED
    harness.provider.tasks["task-1"] = LATE
    assert await read_again(harness)
    await harness.fetch_all()
    assert await kept(harness, job) == 1
    await sound(harness)


async def test_a_job_is_not_forgotten_while_files_of_it_come(harness: Harness) -> None:
    job = await failed(harness)
    await harness.later(days=100)
    await harness.callback(LATE)
    await forget_all(harness)
    await harness.fetch_all()
    assert await kept(harness, job) == 1
    await harness.later(days=100)
    await forget_all(harness)
    assert await harness.query("SELECT id FROM job") == []


async def test_files_that_cannot_be_had_after_all_leave_the_job_as_it_was(harness: Harness) -> None:
    job = await cancelled(harness)
    harness.fetcher.links = {LINK: FetchFailed("gone"), FRESH: FetchFailed("gone")}
    await harness.callback(LATE)
    for _ in range(60):
        await harness.fetch_all()
        await harness.later(hours=1)
    assert [each["state"] for each in await harness.attempts(job)] == ["failed"]
    assert (await kept(harness, job), await holds(harness)) == (0, [("released", 0)])
    assert (await harness.job(job)).charged_credits == 0
    await sound(harness)


async def test_a_success_that_another_task_came_before_is_read_once(harness: Harness) -> None:
    """Its cost is known, and nothing of it will be kept, however often it is read."""
    job = await beside_a_second_task(harness)
    await harness.callback(LATE, call=2)
    await harness.fetch_all()
    await harness.query("UPDATE attempt SET cost = 8 WHERE number = 1")
    harness.provider.tasks["task-1"] = LATE
    harness.provider.reads.clear()
    assert await read_again(harness)
    assert not await read_again(harness)
    assert harness.provider.reads == ["task-1"]
    assert (await harness.events(job)).count("poll_late") == 1
    assert [each["state"] for each in await harness.attempts(job)] == ["lost", "settled"]


async def test_beside_what_was_charged_a_second_success_changes_nothing(harness: Harness) -> None:
    """The first attempt was given up and the second one paid for; then the first one comes."""
    job = await beside_a_second_task(harness)
    await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)
    await harness.callback(SUCCESS, call=1)  # beside one that may be charged
    await harness.callback(SUCCESS, call=2)
    await harness.fetch_all()
    harness.provider.tasks["task-1"] = LATE
    assert await read_again(harness)
    await harness.callback(SUCCESS, call=1)
    await harness.fetch_all()

    assert [each["state"] for each in await harness.attempts(job)] == ["lost", "settled"]
    assert (await holds(harness), await kept(harness, job)) == ([("captured", PRICE)], 1)
    assert (await harness.job(job)).charged_credits == PRICE
    await sound(harness)


async def beside_a_second_task(harness: Harness) -> Job:
    """Have the task of a job be given up, and the job be sent once more."""
    job = await harness.run(**IMAGEN)
    await harness.query(
        "UPDATE attempt SET state = 'lost', read_time = NULL, end_time = now(), cost_time = now()"
    )
    await harness.query("UPDATE job SET state = 'queued', dispatch_time = now()")
    await harness.dispatch_all()
    return job


@pytest.mark.parametrize("end", [failed, cancelled])
async def test_who_tells_of_it_at_once_has_it_kept_once(harness: Harness, end: End) -> None:
    """A callback, its repetition, and the reads of two replicas, and then two that fetch."""
    job = await end(harness)
    harness.provider.tasks["task-1"] = LATE
    await harness.query("UPDATE attempt SET cost_time = now()")
    async with harness.transaction() as tx:
        accounts = harness.deps.provider.accounts
        claim = await tx.attempts.claim_costs(first_wait=timedelta(0), readable=accounts, limit=1)
    tellers = (WORK.do(harness.deps, claim[0][0]), do_one(harness.deps, WORK))
    await asyncio.gather(*tellers, harness.callback(LATE), harness.callback(LATE))
    await harness.query("UPDATE attempt SET fetch_time = now() WHERE fetch_time IS NOT NULL")
    await asyncio.gather(*(harness.fetch_all() for _ in range(2)))

    assert (await kept(harness, job), await booked_late(harness)) == (1, 8000)
    assert (await harness.job(job)).charged_credits == 0
    assert (await wallet(harness)).balance == HAS
    await sound(harness)


async def test_of_two_tasks_that_are_told_of_at_once_too_late_one_is_kept(
    harness: Harness,
) -> None:
    job = await beside_a_second_task(harness)
    harness.provider.tasks = {"task-1": WORKING, "task-2": WORKING}
    await harness.later(hours=5)
    await harness.poll_all()
    assert (await harness.job(job)).state is JobState.FAILED
    await asyncio.gather(*(harness.callback(LATE, call=call) for call in (1, 2)))
    await harness.fetch_all()
    for call in (1, 2):
        await harness.callback(LATE, call=call)
    await harness.fetch_all()
    states = [each["state"] for each in await harness.attempts(job)]
    assert sorted(states) == ["lost", "settled"]
    assert (await kept(harness, job), await holds(harness)) == (1, [("released", 0)])
    assert await booked_late(harness) == 16_000  # the provider took both
    assert (await wallet(harness)).balance == HAS
    await sound(harness)
