"""A commit whose answer is lost: whoever asked for it asks again, and nothing happens twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from generation_svc.domain.error import Unavailable
from generation_svc.domain.job import Job, JobState
from tests.lifecycle import SUCCESS, FakeProvider, Harness
from tests.postgres import migrated_database
from tests.postgres_wire import Wire, wire_to
from tests.step import dispatch

COMMITS_OF_A_LIFE = 13
"""The commits that a job takes from its acceptance to its settlement, reads included."""


@pytest.fixture
async def wire(postgres: psycopg.Connection, postgres_url: str) -> AsyncIterator[Wire]:
    with migrated_database(postgres, postgres_url) as url:
        async with wire_to(url) as wire:
            yield wire


@pytest.fixture
def database_url(wire: Wire) -> str:
    return wire.url


async def insist(step: Callable[[], Awaitable[Any]]) -> Any:
    """Do it again while it answers "not now", as every caller and every loop does."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await step()
            except Unavailable:
                continue


async def live(harness: Harness) -> Job:
    """Take a job from its acceptance to its end, letting leases run out where need be."""
    job: Job = await insist(lambda: harness.accept(request_id="draft-1"))
    for _ in range(12):
        await insist(harness.dispatch_all)
        if harness.provider.created and "settled" not in await harness.events(job):
            await insist(lambda: harness.callback(SUCCESS, call=1))
        await insist(harness.fetch_all)
        job = await insist(partial(harness.job, job))
        if job.state.is_final:
            break
        await harness.later(seconds=65)
        await insist(harness.sweep)
    return job


@pytest.mark.parametrize("lost", range(1, COMMITS_OF_A_LIFE + 1))
async def test_a_job_lives_once_whichever_commit_has_its_answer_lost(
    wire: Wire, harness: Harness, lost: int
) -> None:
    wire.commits_to_lose = {wire.commits + lost}

    job = await live(harness)

    assert not wire.commits_to_lose
    assert job.state is JobState.SUCCEEDED
    assert len(harness.provider.created) == 1
    assert len(await harness.query("SELECT id FROM job")) == 1
    assert (await harness.events(job)).count("settled") == 1
    revisions = [revision for revision, _ in await harness.history(job)]
    assert revisions == list(range(1, len(revisions) + 1))
    assert len(await harness.query("SELECT id FROM media")) == 1
    assert set(await harness.deliveries(job)) == {"progress", "outcome"}


async def test_a_request_repeated_after_a_lost_commit_gives_the_job_that_it_made(
    wire: Wire, harness: Harness
) -> None:
    wire.statement_to_lose = b"INSERT INTO job "
    with pytest.raises(Unavailable):
        await harness.accept(request_id="draft-1")
    (made,) = await harness.query("SELECT id FROM job")

    assert (await harness.accept(request_id="draft-1")).id == made["id"]
    assert len(await harness.query("SELECT id FROM job")) == 1


async def test_what_only_this_process_knows_is_recorded_once_through_lost_commits(
    wire: Wire, harness: Harness
) -> None:
    async def answer(provider: FakeProvider, task_id: str) -> str:
        wire.commits_to_lose = {wire.commits + n for n in (1, 2, 3)}
        return task_id

    harness.provider.answer = answer
    job = await harness.accept()

    assert await dispatch(harness.deps)

    assert not wire.commits_to_lose
    assert (await harness.job(job)).state is JobState.RUNNING
    assert [each["state"] for each in await harness.attempts(job)] == ["accepted"]
    assert (await harness.history(job)) == [(1, "queued"), (2, "running")]


async def test_a_callback_whose_commit_has_its_answer_lost_is_stored_once(
    wire: Wire, harness: Harness
) -> None:
    await insist(lambda: harness.run())
    wire.commits_to_lose = {wire.commits + 1}
    with capture_logs() as lines, pytest.raises(Unavailable):
        await harness.callback(SUCCESS)
    assert not wire.commits_to_lose
    assert [line["event"] for line in lines if line["log_level"] == "error"] == []
    (stored,) = await harness.query("SELECT outcome FROM callback_receipt")
    assert stored["outcome"] == "applied"
