"""What the way from a callback to the final update costs, and what a process may lose on it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import Failure
from generation_svc.domain.job import JobState
from generation_svc.domain.observation import Observation
from generation_svc.engine.fetch_result import fetch
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.callback import CallbackOutcome
from generation_svc.lifecycle.local_engine import LocalEngine
from generation_svc.provider.kie.callback import KieCallbackReader
from generation_svc.storage.database import PostgresDatabase
from tests.e2e.program import until
from tests.integration.test_storage_notifier import until_listening
from tests.lifecycle import FAILURE, LINK, SUCCESS, Harness, OpenBench, items_of
from tests.statement_count import Asked, counting_database

ONE_STATEMENT_EACH = 9
"""Find, lock, note, success, callback; lock, media, attempt, revision."""


@dataclass
class Slots:
    """Slots that note what becomes of them, and fetch if they are told how."""

    harness: Harness | None = None
    is_full: bool = False
    started: list[Attempt] = field(default_factory=list)
    released: int = 0
    fetches: list[asyncio.Task[None]] = field(default_factory=list)

    def try_reserve(self) -> "Slots | None":
        return None if self.is_full else self

    def due_in(self, span: timedelta, /) -> None:
        """Nothing is looked for here."""

    def start(self, attempt: Attempt, /) -> None:
        self.started.append(attempt)
        if self.harness:
            self.fetches.append(asyncio.create_task(fetch(self.harness.deps, attempt)))

    def release(self) -> None:
        self.released += 1


@pytest.fixture
async def counted(harness: Harness, database_url: str) -> AsyncIterator[tuple[Harness, Asked]]:
    """A replica that counts what it asks."""
    async with counting_database(database_url) as (database, asked):
        harness.deps = replace(harness.deps, database=database)
        async with harness.transaction():
            pass  # the clock is read now, and not while something is counted
        yield harness, asked


def with_slots(harness: Harness, slots: Slots) -> Slots:
    harness.deps = replace(harness.deps, engine=LocalEngine())
    harness.deps.engine.add(topic.FETCH, slots)
    return slots


async def test_from_a_callback_to_the_settled_job_it_is_two_transactions(
    counted: tuple[Harness, Asked],
) -> None:
    harness, asked = counted
    slots = with_slots(harness, Slots(harness))
    job = await harness.run(destination=None)
    asked.clear()

    assert await harness.callback(SUCCESS) is CallbackOutcome.APPLIED
    await asyncio.gather(*slots.fetches)

    assert asked.transactions == 2
    assert len(asked.statements) == ONE_STATEMENT_EACH, asked.statements
    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_the_files_of_a_result_are_written_at_once(counted: tuple[Harness, Asked]) -> None:
    harness, asked = counted
    slots = with_slots(harness, Slots(harness))
    job = await harness.run(destination=None)
    asked.clear()

    links = [f"{LINK}?{n}" for n in range(4)]
    await harness.callback(replace(SUCCESS, results=items_of(*links)))
    await asyncio.gather(*slots.fetches)

    assert len(asked.statements) == ONE_STATEMENT_EACH, asked.statements
    result = (await harness.job(job)).result
    rows = await harness.query("SELECT id FROM media ORDER BY position")
    assert result is not None
    assert [each.id for each in result.media] == [row["id"] for row in rows]
    assert harness.fetcher.fetched == links


async def test_a_result_is_fetched_here_without_being_announced(harness: Harness) -> None:
    slots = with_slots(harness, Slots())
    await harness.run()
    with harness.deps.database.watch(topic.FETCH) as news:
        news.clear()
        await harness.callback(SUCCESS)
        assert not news.is_set()
    (attempt,) = slots.started
    assert (attempt.fetch_tries, attempt.observation and attempt.observation.results) == (
        1,
        SUCCESS.results,
    )
    assert slots.released == 0
    await harness.fetch_all()
    assert harness.fetcher.fetched == []  # it is claimed


async def test_without_a_place_here_it_is_due_for_anybody(harness: Harness) -> None:
    slots = with_slots(harness, Slots(is_full=True))
    job = await harness.run()
    with harness.deps.database.watch(topic.FETCH) as news:
        news.clear()
        await harness.callback(SUCCESS)
        assert news.is_set()
    assert slots.started == []
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_a_process_killed_before_it_begins_to_fetch_loses_the_lease_alone(
    harness: Harness,
) -> None:
    slots = with_slots(harness, Slots())
    job = await harness.run()
    await harness.callback(SUCCESS)
    assert len(slots.started) == 1  # and there it is killed

    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.RUNNING
    await harness.later(seconds=harness.deps.timing.fetch_lease.total_seconds())
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_who_was_killed_before_it_began_and_comes_back_settles_nothing_twice(
    harness: Harness,
) -> None:
    slots = with_slots(harness, Slots())
    job = await harness.run()
    await harness.callback(SUCCESS)
    await harness.later(seconds=harness.deps.timing.fetch_lease.total_seconds())
    await harness.fetch_all()

    await fetch(harness.deps, slots.started[0])

    assert (await harness.events(job)).count("settled") == 1
    assert len(await harness.query("SELECT id FROM media")) == 1


class BrokenReader(KieCallbackReader):
    """Finds no words for a failure."""

    is_broken = True

    def explain(self, observation: Observation) -> Failure:
        if self.is_broken:
            raise LookupError("no words")
        return super().explain(observation)


async def test_a_fault_while_it_is_applied_keeps_a_callback_for_later(harness: Harness) -> None:
    job, reader = await harness.run(), BrokenReader()
    harness.deps = replace(harness.deps, provider=replace(harness.deps.provider, callbacks=reader))

    with pytest.raises(LookupError):
        await harness.callback(FAILURE)

    (stored,) = await harness.query("SELECT * FROM callback_receipt")
    assert (stored["outcome"], stored["apply_time"]) == (None, None)
    assert (stored["is_trusted"], stored["task_id"]) == (True, "task-1")
    assert (await harness.job(job)).state is JobState.RUNNING
    assert "callback" not in await harness.events(job)
    reader.is_broken = False
    await harness.later(minutes=1)
    await harness.sweep()
    assert (await harness.job(job)).state is JobState.FAILED
    (stored,) = await harness.query("SELECT * FROM callback_receipt")
    assert stored["outcome"] == "applied"


async def test_a_fault_after_the_claim_gives_the_place_back(
    harness: Harness, database_url: str
) -> None:
    slots = with_slots(harness, Slots())
    job = await harness.run()
    # The callback is stored last: what the database refuses there undoes the claim.
    await harness.query("ALTER TABLE callback_receipt ADD CHECK (outcome IS NULL)")

    with pytest.raises(psycopg.errors.CheckViolation):
        await harness.callback(SUCCESS)

    assert (slots.started, slots.released) == ([], 1)
    (attempt,) = await harness.attempts(job)
    assert (attempt["state"], attempt["fetch_tries"]) == ("accepted", 0)
    assert len(await harness.query("SELECT id FROM callback_receipt")) == 1


async def until_somebody_waits(harness: Harness) -> None:
    async def somebody_waits() -> bool:
        return bool(
            await harness.query(
                "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
        )

    await until(somebody_waits, within_s=10, what="somebody waits for a lock")


async def test_a_callback_that_waits_for_a_lock_longer_than_its_caller_is_kept(
    harness: Harness,
) -> None:
    job = await harness.run()
    async with harness.connection.transaction():
        await harness.query("SELECT FROM job FOR UPDATE")
        waiting = asyncio.create_task(harness.callback(SUCCESS))
        await until_somebody_waits(harness)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        (stored,) = await harness.query("SELECT outcome FROM callback_receipt")
        assert stored["outcome"] is None

    await harness.later(minutes=1)
    await harness.sweep()
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_job_and_attempt_are_locked_as_they_are_after_the_wait(harness: Harness) -> None:
    job = await harness.run()
    (attempt,) = await harness.attempts(job)

    async def lock() -> tuple[Any, Any]:
        async with harness.transaction() as tx:
            return await tx.jobs.lock_with_attempt(attempt["id"])

    async with harness.connection.transaction():
        await harness.query("SELECT FROM job FOR NO KEY UPDATE")
        locking = asyncio.create_task(lock())
        await until_somebody_waits(harness)
        # The job is waited for first: its attempt is nobody's yet.
        await harness.query("SELECT FROM attempt FOR NO KEY UPDATE NOWAIT")
        await harness.query("UPDATE attempt SET read_time = NULL, fetch_tries = 7")
        await harness.query("UPDATE job SET revision = 9")

    locked_job, locked_attempt = await locking
    assert locked_job.revision == 9
    assert locked_attempt.fetch_tries == 7


async def test_a_first_read_of_later_wakes_nobody(open_bench: OpenBench) -> None:
    harness = await open_bench()
    await until_listening(harness)  # who begins to listen wakes everybody
    with harness.deps.database.watch(topic.READ) as news:
        news.clear()
        await harness.run()
        assert not news.is_set()


async def test_a_revision_and_its_event_are_one_statement(counted: tuple[Harness, Asked]) -> None:
    harness, asked = counted
    job = await harness.run()
    asked.clear()
    database = harness.deps.database
    assert isinstance(database, PostgresDatabase)

    async with database.transaction() as tx:
        locked = await tx.jobs.lock(job.id)
        changed = replace(locked, revision=3, update_time=tx.now() + timedelta(seconds=1))
        await tx.jobs.save(changed, event=JobEventKind.DELAYED)
        assert await tx.jobs.destination(job.id) is not None

    assert len(asked.statements) == 2, asked.statements
    assert [revision for revision, _ in await harness.history(job)] == [1, 2, 3]
