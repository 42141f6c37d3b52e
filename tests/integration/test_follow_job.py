"""Streams are fed by the commits of their own replica, and read what others commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import pytest

from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.job import DelayReason, Forecast, Job, JobState
from generation_svc.lifecycle import revision_poller, topic
from generation_svc.lifecycle.record import revise, settle
from generation_svc.storage.follower import MOST_KEPT, JobFollower
from generation_svc.usecase.stream_job import follow, wait
from tests.e2e.program import until
from tests.integration.test_storage_notifier import heard, until_listening
from tests.lifecycle import CALLER, SUCCESS, Harness, OpenBench
from tests.statement_count import Asked, counting_database

LONG = timedelta(seconds=60)
"""No heartbeat and no look comes within it."""


@pytest.fixture(autouse=True)
def _no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision_poller, "LOOK_SECONDS", LONG.total_seconds())


_LOST = Failure.of(FailureReason.PROVIDER_LOST_JOB)


@pytest.fixture
async def counted(harness: Harness, database_url: str) -> AsyncIterator[tuple[Harness, Asked]]:
    """A replica that counts what it asks, and has heard from its database."""
    async with counting_database(database_url) as (database, asked):
        harness.deps = replace(harness.deps, database=database)
        await until_listening(harness)
        yield harness, asked


class Reader:
    """Follows a job, and keeps what it was given."""

    def __init__(self, harness: Harness, job: Job) -> None:
        self.jobs: list[Job] = []
        self._task = asyncio.create_task(self._follow(harness, job))

    async def _follow(self, harness: Harness, job: Job) -> None:
        updates = follow(harness.deps, CALLER, job_id=job.id, after=0, silence=lambda: LONG)
        async with aclosing(updates):
            async for update in updates:
                assert not isinstance(update, Forecast)
                self.jobs.append(update)

    async def has(self, count: int) -> None:
        async def are_there() -> bool:
            return len(self.jobs) >= count

        await until(are_there, within_s=10, what=f"{count} revisions came")

    async def end(self) -> list[Job]:
        async with asyncio.timeout(20):
            await self._task
        return self.jobs


async def delay(harness: Harness, job: Job, *, times: int = 1) -> None:
    async with harness.transaction() as tx:
        current = await tx.jobs.lock(job.id)
        for _ in range(times):
            reason = None if current.delay_reason else DelayReason.PROVIDER_BUSY
            current = await revise(tx, current, event=JobEventKind.DELAYED, delay_reason=reason)


async def end(harness: Harness, job: Job) -> None:
    async with harness.transaction() as tx:
        await settle(tx, await tx.jobs.lock(job.id), _LOST, event=JobEventKind.GAVE_UP)


async def test_a_stream_reads_nothing_that_its_own_replica_commits(
    counted: tuple[Harness, Asked],
) -> None:
    harness, asked = counted
    job = await harness.accept(destination=None)
    reader = Reader(harness, job)
    await reader.has(1)
    await harness.deps.views.queue.place(job, database=harness.deps.database)
    await harness.deps.views.queue.typical(job.model_id, database=harness.deps.database)
    asked.clear()

    await delay(harness, job)
    await reader.has(2)
    await delay(harness, job, times=2)
    await end(harness, job)
    jobs = await reader.end()

    assert asked.transactions == 3  # those of the writers
    assert [each.revision for each in jobs] == [1, 2, 3, 4, 5]
    assert not any("snapshot FROM" in each for each in asked.statements)
    async with harness.transaction() as tx:
        assert jobs[1:] == await tx.jobs.revisions(job, after=1, limit=10)


async def test_the_life_of_a_job_is_given_as_it_would_be_read(harness: Harness) -> None:
    job = await harness.accept()
    reader = Reader(harness, job)
    await reader.has(1)
    await harness.dispatch_all()
    await harness.callback(SUCCESS)
    await harness.fetch_all()

    jobs = await reader.end()

    async with harness.transaction() as tx:
        assert jobs == await tx.jobs.revisions(job, after=0, limit=10)
    assert [each.state for each in jobs] == [
        JobState.QUEUED,
        JobState.RUNNING,
        JobState.SUCCEEDED,
    ]


async def test_a_call_that_waits_reads_the_job_once(counted: tuple[Harness, Asked]) -> None:
    harness, asked = counted
    job = await harness.accept(destination=None)
    asked.clear()
    waiting = asyncio.create_task(wait(harness.deps, CALLER, job_id=job.id, timeout=LONG))

    async def has_read() -> bool:
        return any(map(_reads_a_job, asked.statements))

    await until(has_read, within_s=10, what="the job is read")
    await delay(harness, job)
    await end(harness, job)
    async with asyncio.timeout(20):
        ended = await waiting

    assert (ended.state, ended.revision) == (JobState.FAILED, 3)
    reads = [each for each in asked.statements if _reads_a_job(each)]
    assert len([each for each in reads if "FOR NO KEY UPDATE" not in each]) == 1


def _reads_a_job(statement: str) -> bool:
    return statement.startswith("SELECT *") and " FROM job WHERE id" in statement


async def test_a_stream_reads_what_another_replica_commits(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await open_bench()
    await until_listening(harness, other)
    job = await harness.accept()
    here, there = Reader(harness, job), Reader(other, job)
    await here.has(1)
    await there.has(1)

    await delay(harness, job)
    await there.has(2)
    await delay(other, job)
    await here.has(3)
    # By both at once: each has some of it given and has to read the rest.
    await asyncio.gather(*(delay(each, job) for each in (harness, other) * 4))
    await end(other, job)

    for reader in (here, there):
        assert [each.revision for each in await reader.end()] == list(range(1, 13))


async def test_what_another_replica_commits_is_read_in_one_round_trip(
    counted: tuple[Harness, Asked], open_bench: OpenBench
) -> None:
    (harness, asked), other = counted, await open_bench()
    await until_listening(harness, other)
    job = await harness.accept(destination=None)
    reader = Reader(harness, job)
    await reader.has(1)
    asked.clear()

    await end(other, job)

    assert [each.revision for each in await reader.end()] == [1, 2]
    assert len(asked.everything) == 1, asked.everything


class Undone(Exception):
    """The transaction shall not be."""


async def test_what_is_rolled_back_is_shown_to_nobody(harness: Harness) -> None:
    job = await harness.accept()
    with harness.deps.database.follow(topic.of_job(job.id)) as follower:
        with pytest.raises(Undone):
            await _delay_and_fail(harness, job)
        assert not await follower.has_news(after=1, seconds=0)
        assert follower.take(after=1) == []


async def _delay_and_fail(harness: Harness, job: Job) -> None:
    async with harness.transaction() as tx:
        locked = await tx.jobs.lock(job.id)
        await revise(tx, locked, event=JobEventKind.DELAYED, delay_reason=DelayReason.PROVIDER_BUSY)
        raise Undone


async def test_nothing_is_shown_before_it_is_durable(harness: Harness) -> None:
    job = await harness.accept()
    with harness.deps.database.follow(topic.of_job(job.id)) as follower:
        async with harness.transaction() as tx:
            locked = await tx.jobs.lock(job.id)
            reason = DelayReason.PROVIDER_BUSY
            shown = await revise(tx, locked, event=JobEventKind.DELAYED, delay_reason=reason)
            assert not await follower.has_news(after=1, seconds=0)
        assert follower.take(after=1) == [shown]


async def test_who_follows_is_given_revisions_in_order_and_without_a_gap(
    harness: Harness,
) -> None:
    job = await harness.accept()
    second, third, fourth = (replace(job, revision=number) for number in (2, 3, 4))
    follower = JobFollower()

    follower.give(third)
    follower.give(second)  # its task came back from the commit later
    assert follower.take(after=1) == [second, third]
    assert follower.take(after=3) == []
    follower.give(fourth)
    assert follower.take(after=2) is None  # the third one is another replica's
    follower.give(fourth)
    assert follower.take(after=4) == []  # it was read meanwhile
    follower.give(second)
    follower.set()  # another replica's, too
    assert follower.take(after=1) is None


async def test_of_one_who_is_slow_only_the_last_revisions_are_kept(harness: Harness) -> None:
    job, follower = await harness.accept(), JobFollower()
    for number in range(2, 2 + MOST_KEPT):
        follower.give(replace(job, revision=number))
    kept = follower.take(after=1)
    assert kept is not None
    assert len(kept) == MOST_KEPT

    for number in range(2, 3 + MOST_KEPT):
        follower.give(replace(job, revision=number))
    assert follower.take(after=1) is None


async def test_work_that_is_done_here_is_announced_here_alone(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await open_bench()
    await until_listening(harness, other)
    mine, theirs = harness.deps.database, other.deps.database
    with theirs.watch(topic.FETCH) as there, theirs.watch("all") as at_all:
        with mine.watch(topic.FETCH) as here:
            for event in (here, there, at_all):
                event.clear()
            async with harness.transaction() as tx:
                tx.announce(topic.FETCH)
                tx.announce("all")
            assert here.is_set()
            assert await heard(at_all)
            assert not there.is_set()
            mine.call_for_help(topic.FETCH)
            assert await heard(there)
        there.clear()
        async with harness.transaction() as tx:
            tx.announce(topic.FETCH)  # nobody does it here any more
        assert await heard(there)


async def test_who_waits_after_the_last_revision_has_no_news_of_it(harness: Harness) -> None:
    job, follower = await harness.accept(), JobFollower()
    follower.reach(7)  # it has not read the job yet, and will read it as it is
    assert not await follower.has_news(after=3, seconds=0)
    follower.reach(3)
    assert not await follower.has_news(after=3, seconds=0)
    follower.reach(4)
    assert await follower.has_news(after=3, seconds=0)
    assert follower.take(after=3) is None  # nobody has given it
    follower.give(replace(job, revision=5))
    assert follower.take(after=4) is not None
