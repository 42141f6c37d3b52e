"""Those who follow jobs hear of what nobody told them, whatever happens to a look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

import pytest

from generation_svc.domain.error import Unavailable
from generation_svc.lifecycle import revision_poller
from generation_svc.lifecycle.revision_poller import RevisionPoller
from generation_svc.storage.follower import JobFollower

JOB, OTHER = UUID(int=1), UUID(int=2)


class Jobs:
    """A database that tells revisions, after the failures that it was given."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.revisions = {JOB: 1, OTHER: 1}
        self.asked: list[set[UUID]] = []

    @property
    def jobs(self) -> Jobs:
        return self

    async def read(self, query: Callable[[Jobs], Awaitable[Any]]) -> Any:
        return await query(self)

    async def revisions_of(self, job_ids: list[UUID]) -> dict[UUID, int]:
        self.asked.append(set(job_ids))
        if self.failures:
            raise self.failures.pop()
        return self.revisions


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision_poller, "LOOK_SECONDS", 0.01)


async def test_only_who_does_not_know_what_a_look_found_has_news() -> None:
    poller, jobs, one, other = RevisionPoller(), Jobs(), JobFollower(), JobFollower()
    database = cast(Any, jobs)
    with (
        poller.watching(JOB, one, database=database),
        poller.watching(OTHER, other, database=database),
    ):
        assert not await other.has_news(after=1, seconds=0)
        jobs.revisions[JOB] = 2
        assert await one.has_news(after=1, seconds=10)
        assert one.take(after=1) is None
        assert not await one.has_news(after=2, seconds=0.1)
        assert not await other.has_news(after=1, seconds=0)
    assert {JOB, OTHER} in jobs.asked


@pytest.mark.parametrize("failure", [Unavailable("away"), RuntimeError("a fault")])
async def test_a_look_that_fails_is_repeated(failure: Exception) -> None:
    poller, jobs, follower = RevisionPoller(), Jobs(failure), JobFollower()
    jobs.revisions[JOB] = 2
    with poller.watching(JOB, follower, database=cast(Any, jobs)):
        assert await follower.has_news(after=1, seconds=10)
    assert len(jobs.asked) >= 2


async def test_nobody_looks_where_nobody_follows() -> None:
    poller, jobs = RevisionPoller(), Jobs()
    for _ in range(2):
        follower = JobFollower()
        before = asyncio.all_tasks()
        with poller.watching(JOB, follower, database=cast(Any, jobs)):
            (looking,) = asyncio.all_tasks() - before
            jobs.revisions[JOB] += 1
            assert await follower.has_news(after=1, seconds=10)
        await asyncio.wait({looking}, timeout=10)
        assert looking.cancelled()
