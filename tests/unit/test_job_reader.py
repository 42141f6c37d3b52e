"""Jobs that are asked for at one time are read together, and as they are by then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import pytest

from generation_svc.domain.error import Unavailable
from generation_svc.lifecycle.job_reader import MOST_JOBS, READS_AT_ONCE, JobReader


class Jobs:
    """A database of jobs that are texts; each read takes until a test lets it go on."""

    def __init__(self) -> None:
        self.rows: dict[UUID, str] = {}
        self.reads: list[int] = []
        self.goes_on = asyncio.Event()
        self.begun = asyncio.Semaphore(0)
        self.is_away = False
        """Whether it cannot be reached."""
        self.answers_away = False
        """Whether it goes away while it is asked."""

    @property
    def jobs(self) -> Jobs:
        return self

    async def read(self, query: Callable[[Jobs], Awaitable[Any]]) -> Any:
        if self.is_away:
            raise Unavailable("away")
        return await query(self)

    async def get_all(self, job_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        self.reads.append(len(job_ids))
        found = {number: self.rows[number] for number in job_ids if number in self.rows}
        self.begun.release()
        await self.goes_on.wait()
        if self.answers_away:
            raise Unavailable("away")
        return found


def asked(reader: JobReader, jobs: Jobs, number: int) -> asyncio.Task[Any]:
    return asyncio.create_task(reader.get(UUID(int=number), database=cast(Any, jobs)))


async def test_jobs_asked_for_at_one_time_are_read_in_one_statement() -> None:
    jobs, reader = Jobs(), JobReader()
    jobs.rows = {UUID(int=number): f"job {number}" for number in range(20)}
    jobs.goes_on.set()
    found = await asyncio.gather(*(asked(reader, jobs, number) for number in range(21)))
    assert list(found) == [*(f"job {number}" for number in range(20)), None]
    assert jobs.reads == [21]


async def test_who_asks_after_a_read_began_sees_what_was_written_before() -> None:
    jobs, reader = Jobs(), JobReader()
    jobs.rows[UUID(int=1)] = "queued"
    first = asked(reader, jobs, 1)
    await jobs.begun.acquire()
    jobs.rows[UUID(int=1)] = "running"
    second = asked(reader, jobs, 1)
    await jobs.begun.acquire()
    jobs.goes_on.set()
    assert [await first, await second] == ["queued", "running"]


async def test_a_statement_reads_no_more_jobs_than_it_may() -> None:
    jobs, reader = Jobs(), JobReader()
    calls = [asked(reader, jobs, number) for number in range(MOST_JOBS * (READS_AT_ONCE + 1))]
    for _ in range(READS_AT_ONCE):
        await jobs.begun.acquire()
    assert jobs.reads == [MOST_JOBS] * READS_AT_ONCE  # the last one waits for its turn
    jobs.goes_on.set()
    await asyncio.gather(*calls)
    assert jobs.reads == [MOST_JOBS] * (READS_AT_ONCE + 1)


async def test_one_who_goes_does_not_take_the_answer_from_the_others() -> None:
    jobs, reader = Jobs(), JobReader()
    jobs.rows[UUID(int=1)] = "queued"
    gone, stays = asked(reader, jobs, 1), asked(reader, jobs, 1)
    await jobs.begun.acquire()
    gone.cancel()
    jobs.goes_on.set()
    assert await stays == "queued"
    assert gone.cancelled()


async def test_a_database_that_is_away_is_told_to_all_and_asked_again() -> None:
    jobs, reader = Jobs(), JobReader()
    jobs.goes_on.set()
    jobs.is_away = True
    calls = [asked(reader, jobs, number) for number in range(3)]
    for call in calls:
        with pytest.raises(Unavailable):
            await call
    jobs.is_away, jobs.rows[UUID(int=1)] = False, "queued"
    assert await asked(reader, jobs, 1) == "queued"


async def test_nobody_waits_twice_for_a_database_that_is_away() -> None:
    jobs, reader = Jobs(), JobReader()
    jobs.rows[UUID(int=1)] = "queued"
    jobs.answers_away = True
    calls = [asked(reader, jobs, number) for number in range(MOST_JOBS * (READS_AT_ONCE + 2))]
    for _ in range(READS_AT_ONCE):
        await jobs.begun.acquire()
    jobs.goes_on.set()
    for call in calls:
        with pytest.raises(Unavailable):
            await call
    assert len(jobs.reads) == READS_AT_ONCE  # the others learned from these that it is away
    jobs.answers_away = False
    assert await asked(reader, jobs, 1) == "queued"


async def test_who_asks_while_others_learn_that_it_is_away_asks_for_itself() -> None:
    jobs, reader = Jobs(), JobReader()
    jobs.rows[UUID(int=1)] = "queued"
    jobs.answers_away = True
    calls = [asked(reader, jobs, number) for number in range(MOST_JOBS * (READS_AT_ONCE + 1))]
    for _ in range(READS_AT_ONCE):
        await jobs.begun.acquire()
    jobs.goes_on.set()
    await asyncio.wait({calls[0]})
    jobs.answers_away = False
    last = asked(reader, jobs, 1)
    assert await last == "queued"
    for call in calls:
        with pytest.raises(Unavailable):
            await call
