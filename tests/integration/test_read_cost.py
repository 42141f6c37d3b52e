"""What a task took is read afterwards, where nothing that told of its end said it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from generation_svc.domain.error import ProviderUnreachable
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.observation import Observation
from generation_svc.domain.timing import Timing
from generation_svc.engine.rate_budget import reserve
from generation_svc.engine.read_cost import COST_READS, WORK
from generation_svc.engine.work import do_one
from generation_svc.usecase.cancel_job import cancel_job
from tests.lifecycle import CALLER, FAILURE, SUCCESS, Harness, OpenBench

EIGHT = Decimal("0.8")


async def ended(harness: Harness, told: Observation) -> Job:
    """Have a job end by a callback that names no cost, unless it is told with one."""
    job = await harness.run()
    await harness.callback(told)
    await harness.fetch_all()
    return await harness.job(job)


async def cost_of(harness: Harness, job: Job) -> tuple[Decimal | None, bool]:
    """Return what is known of a job's only attempt, and whether it is still asked for."""
    (attempt,) = await harness.attempts(job)
    return attempt["cost"], attempt["cost_time"] is not None


def unknown(harness: Harness) -> float:
    name = "atelier_provider_unknown_costs_total"
    labels = {"provider": "kie", "account": "default"}
    return harness.registry.get_sample_value(name, labels) or 0


@pytest.mark.parametrize(
    ("told", "cost", "state"),
    [(SUCCESS, EIGHT, JobState.SUCCEEDED), (FAILURE, Decimal(0), JobState.FAILED)],
    ids=["success", "failure"],
)
async def test_a_cost_that_no_callback_named_is_read_after_the_end(
    harness: Harness, told: Observation, cost: Decimal, state: JobState
) -> None:
    harness.provider.tasks["task-1"] = replace(told, cost=cost)
    job = await ended(harness, told)
    assert job.state is state
    assert (await cost_of(harness, job), harness.provider.reads) == ((None, True), [])

    assert await do_one(harness.deps, WORK)

    assert await cost_of(harness, job) == (cost, False)
    assert not await do_one(harness.deps, WORK)
    assert harness.provider.reads == ["task-1"]
    assert (await harness.job(job)).revision == job.revision


async def test_a_cost_that_was_told_is_not_asked_for(harness: Harness) -> None:
    job = await ended(harness, replace(SUCCESS, cost=EIGHT))
    assert await cost_of(harness, job) == (EIGHT, False)
    assert not await do_one(harness.deps, WORK)
    assert harness.provider.reads == []


async def test_what_a_late_callback_tells_is_kept(harness: Harness) -> None:
    job = await ended(harness, SUCCESS)
    await harness.callback(replace(SUCCESS, cost=EIGHT))
    assert await cost_of(harness, job) == (EIGHT, False)


async def test_the_cost_of_a_task_that_goes_on_after_all_is_no_end(harness: Harness) -> None:
    job = await ended(harness, FAILURE)  # and its record does not know it yet
    assert await do_one(harness.deps, WORK)
    assert await cost_of(harness, job) == (None, True)


async def test_the_cost_of_a_job_that_was_cancelled_is_read_too(harness: Harness) -> None:
    job = await harness.run()
    await cancel_job(harness.deps, CALLER, job_id=job.id)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    harness.provider.tasks["task-1"] = replace(SUCCESS, cost=EIGHT)
    assert await do_one(harness.deps, WORK)
    assert await cost_of(harness, job) == (EIGHT, False)


async def test_it_is_asked_for_ever_more_rarely_and_then_counted_as_unknown(
    harness: Harness,
) -> None:
    harness.provider.tasks["task-1"] = ProviderUnreachable()
    job = await ended(harness, SUCCESS)
    waits: list[timedelta] = []
    while await do_one(harness.deps, WORK):
        (row,) = await harness.query("SELECT cost_time - now() AS wait FROM attempt")
        if row["wait"] is not None:
            waits.append(row["wait"])
            await harness.later(seconds=row["wait"].total_seconds() + 0.01)
            assert unknown(harness) == 0

    assert len(harness.provider.reads) == COST_READS
    for before, after in pairwise(waits):
        assert 2.5 < after / before < 3.5
    assert await cost_of(harness, job) == (None, False)
    assert unknown(harness) == 1
    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_a_process_killed_at_the_last_read_leaves_it_to_another(harness: Harness) -> None:
    harness.provider.tasks["task-1"] = SUCCESS
    job = await ended(harness, SUCCESS)
    await harness.query("UPDATE attempt SET cost_reads = %s", COST_READS)
    assert await do_one(harness.deps, WORK)
    assert (await cost_of(harness, job), unknown(harness)) == ((None, False), 1)


async def test_a_read_waits_for_no_room_until_another_replica_has_it(
    open_bench: OpenBench,
) -> None:
    timing = replace(Timing(), cost_retry=timedelta(seconds=0.4))
    harness = await open_bench(timing=timing)
    job = await ended(harness, SUCCESS)
    limits = replace(harness.deps.limits, reads_per_window=1, read_window=timedelta(seconds=1))
    harness.deps = replace(harness.deps, limits=limits)
    account = harness.deps.provider.accounts[0]
    assert await reserve(harness.deps, "read", account=account, max_wait=timedelta(seconds=1))
    assert await do_one(harness.deps, WORK)  # a window longer than its claim
    (attempt,) = await harness.attempts(job)
    assert (attempt["cost_reads"], harness.provider.reads) == (0, [])


async def test_without_room_for_a_read_no_try_is_lost(harness: Harness) -> None:
    job = await ended(harness, SUCCESS)
    limits = replace(harness.deps.limits, reads_per_window=1, read_window=timedelta(hours=1))
    harness.deps = replace(harness.deps, limits=limits)
    account = harness.deps.provider.accounts[0]
    assert await reserve(harness.deps, "read", account=account, max_wait=timedelta(seconds=1))
    assert await do_one(harness.deps, WORK)
    (attempt,) = await harness.attempts(job)
    assert (attempt["cost_reads"], harness.provider.reads) == (0, [])
    assert await cost_of(harness, job) == (None, True)
