"""Jobs that come at once share a transaction, and each is accepted or refused by itself."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import (
    JobExpired,
    RequestIdReused,
    StorageQuotaReached,
    TooManyActiveJobs,
    Unavailable,
)
from generation_svc.domain.job import Job
from generation_svc.domain.storage_limit import StorageQuota
from generation_svc.lifecycle.acceptance import MOST_BATCHES, SLOW_SECONDS
from generation_svc.lifecycle.dependencies import Limits, StorageDependencies
from generation_svc.storage.acceptance_store import OWNER_LOCK
from generation_svc.usecase import upload_input
from tests.lifecycle import CALLER, GENEROUS, Harness, OpenBench, one_piece
from tests.postgres import migrated_database
from tests.postgres_wire import Wire, wire_to

ALONE = 10
MANY = 50
FEW_TRANSACTIONS = 5
"""The first one has who came first, the next one all others; the rest is room for chance."""


@pytest.fixture
async def wire(postgres: psycopg.Connection, postgres_url: str) -> AsyncIterator[Wire]:
    with migrated_database(postgres, postgres_url) as url:
        async with wire_to(url) as wire:
            yield wire


@pytest.fixture
def database_url(wire: Wire) -> str:
    return wire.url


@asynccontextmanager
async def owner_locked(harness: Harness, owner: str) -> AsyncIterator[None]:
    """Keep the jobs of an owner from being counted, as another replica does for a moment."""
    async with harness.connection.transaction():
        await harness.query(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", OWNER_LOCK, f"edge/{owner}"
        )
        yield


async def waiting_backends(harness: Harness) -> list[int]:
    """Wait until somebody waits for an owner, and return who."""
    async with asyncio.timeout(10):
        while True:
            rows = await harness.query(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                " AND classid = %s AND database ="
                " (SELECT oid FROM pg_database WHERE datname = current_database())",
                OWNER_LOCK,
            )
            if rows:
                return [row["pid"] for row in rows]


async def warm(harness: Harness) -> None:
    """Have everything read that is read now and then only."""
    for n in range(3):
        await harness.accept(owner=f"warm:{n}", request_id=f"warm-{n}")


def errors(outcomes: Iterable[Any], kind: type[BaseException]) -> list[BaseException]:
    return [each for each in outcomes if isinstance(each, kind)]


def jobs(outcomes: Iterable[Any]) -> list[Job]:
    return [each for each in outcomes if isinstance(each, Job)]


@pytest.mark.parametrize("request_id", ["", "draft-1"], ids=["plain", "with-a-key"])
async def test_a_job_takes_two_statements_that_are_waited_for_once(
    wire: Wire, harness: Harness, request_id: str
) -> None:
    await warm(harness)
    before = replace(wire)

    for n in range(ALONE):
        await harness.accept(
            owner=f"user:{n}", request_id=f"{request_id}-{n}" if request_id else ""
        )

    # Its own are two statements in three turns with BEGIN and COMMIT. A NOTIFY follows each, and
    # the queue is read once a second, which may happen in between.
    assert ALONE <= wire.commits - before.commits < 1.5 * ALONE
    assert 2 * ALONE <= wire.statements - before.statements < 4 * ALONE
    assert 3 * ALONE <= wire.turns - before.turns < 5 * ALONE


async def test_jobs_that_come_at_once_share_transactions(wire: Wire, harness: Harness) -> None:
    await warm(harness)
    before = wire.commits

    accepted = await asyncio.gather(
        *(harness.accept(owner=f"user:{n}", request_id=f"r-{n}") for n in range(MANY))
    )

    assert len({job.id for job in accepted}) == MANY
    assert 1 <= wire.commits - before <= FEW_TRANSACTIONS
    # In one of them each job is there as if it had come alone.
    for job in accepted:
        assert await harness.job(job) == job
        assert await harness.events(job) == ["accepted"]
        assert await harness.history(job) == [(1, "queued")]
        assert (await harness.deliveries(job))["progress"]["state"] == "pending"


async def test_a_quota_is_exact_in_batches_of_two_replicas(
    wire: Wire, open_bench: OpenBench
) -> None:
    limits = replace(GENEROUS, active_jobs_per_owner=7)
    replicas = [await open_bench(limits=limits) for _ in range(2)]
    before = wire.commits

    outcomes = await asyncio.gather(
        *(
            each.accept(owner=owner, request_id=f"{owner}-{n}" if n % 2 else "")
            for n in range(MANY)
            for each in replicas
            for owner in ("user:1", "user:2")
        ),
        return_exceptions=True,
    )

    assert wire.commits - before < MANY
    assert {type(each) for each in outcomes} == {Job, TooManyActiveJobs}
    for owner in ("user:1", "user:2"):
        rows = await replicas[0].query("SELECT turn FROM job WHERE owner = %s ORDER BY 1", owner)
        assert [row["turn"] for row in rows] == list(range(7))
    # What was refused has left no key: it may be asked for again.
    keys = await replicas[0].query(
        "SELECT * FROM request_key WHERE job_id NOT IN (SELECT id FROM job)"
    )
    assert keys == []


async def test_the_jobs_of_a_batch_stand_in_line_in_turns(harness: Harness) -> None:
    await harness.accept(owner="greedy")
    async with owner_locked(harness, "other"):
        blocker = asyncio.create_task(harness.accept(owner="other"))
        await waiting_backends(harness)
        batch = await asyncio.gather(
            *(harness.accept(owner=owner) for owner in ("greedy", "greedy", "modest", "greedy"))
        )
    await blocker

    assert [job.fair_round for job in batch] == [1, 2, 0, 3]


async def test_a_job_that_cannot_be_stored_fails_alone(harness: Harness) -> None:
    bad = {7, 8, 31}

    outcomes = await asyncio.gather(
        *(
            # The rpc layer lets no such owner pass; PostgreSQL stores none.
            harness.accept(owner=f"user:{n}\0" if n in bad else f"user:{n}", request_id=f"r-{n}")
            for n in range(MANY)
        ),
        return_exceptions=True,
    )

    assert {n for n, each in enumerate(outcomes) if isinstance(each, psycopg.DataError)} == bad
    assert len(jobs(outcomes)) == MANY - len(bad)
    assert len(await harness.query("SELECT * FROM request_key")) == MANY - len(bad)


async def test_one_request_many_times_in_a_batch_is_one_job(wire: Wire, harness: Harness) -> None:
    before = wire.commits

    outcomes = await asyncio.gather(
        *(harness.accept(request_id="r-1") for _ in range(20)),
        harness.accept(request_id="r-1", inputs={"prompt": "a dog"}),
        return_exceptions=True,
    )

    assert len({job.id for job in jobs(outcomes)}) == 1
    # Whichever came first is the job; the others that differ from it are refused.
    assert len(errors(outcomes, RequestIdReused)) in (1, 20)
    assert len(jobs(outcomes)) + len(errors(outcomes, RequestIdReused)) == 21
    assert len(await harness.query("SELECT * FROM job")) == 1
    assert len(await harness.query("SELECT * FROM job_event")) == 1
    assert wire.commits > before


async def test_a_refused_request_that_comes_many_times_at_once_is_refused_each_time(
    open_bench: OpenBench,
) -> None:
    harness = await open_bench(limits=Limits(active_jobs_per_owner=1))
    await harness.accept()

    outcomes = await asyncio.gather(
        *(harness.accept(request_id="r-1") for _ in range(10)), return_exceptions=True
    )

    assert len(errors(outcomes, TooManyActiveJobs)) == 10
    assert await harness.query("SELECT * FROM request_key") == []


async def test_whose_bytes_are_used_up_is_refused_beside_others(open_bench: OpenBench) -> None:
    storage = StorageDependencies(quota=StorageQuota(owner_bytes=1000))
    harness = await open_bench(storage=storage)
    await harness.query("INSERT INTO storage_usage VALUES ('edge', 'user:1', 1000)")
    await harness.query("INSERT INTO storage_usage VALUES ('edge', 'user:2', 999)")

    outcomes = await asyncio.gather(
        *(harness.accept(owner=f"user:{n}") for n in (1, 2, 3)), return_exceptions=True
    )

    assert [type(each) for each in outcomes] == [StorageQuotaReached, Job, Job]


async def test_a_lost_commit_is_told_to_all_whom_it_carried(wire: Wire, harness: Harness) -> None:
    await warm(harness)
    wire.commits_to_lose = {wire.commits + 1}

    outcomes = await asyncio.gather(
        *(harness.accept(owner=f"user:{n}", request_id=f"r-{n}") for n in range(MANY)),
        return_exceptions=True,
    )
    told = errors(outcomes, Unavailable)
    again = [await harness.accept(owner=f"user:{n}", request_id=f"r-{n}") for n in range(MANY)]

    assert len(told) + len(jobs(outcomes)) == MANY
    assert told
    # What was lost was the answer alone, so each finds the job that it made.
    assert len(await harness.query("SELECT * FROM job WHERE owner LIKE 'user:%%'")) == MANY
    assert {job.id for job in jobs(outcomes)} <= {job.id for job in again}


async def test_a_batch_whose_connection_is_killed_leaves_nothing_and_may_be_repeated(
    harness: Harness,
) -> None:
    async def accept(n: int) -> Job:
        return await harness.accept(owner="user:1", request_id=f"r-{n}")

    async with owner_locked(harness, "user:1"):
        calls = [asyncio.create_task(accept(n)) for n in range(10)]
        for pid in await waiting_backends(harness):
            await harness.query("SELECT pg_terminate_backend(%s)", pid)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert await harness.query("SELECT * FROM job") == []
        assert await harness.query("SELECT * FROM request_key") == []

    assert len(errors(outcomes, Unavailable)) == 10
    assert len({(await accept(n)).id for n in range(10)}) == 10


async def test_who_waits_for_an_owner_holds_up_nobody_else(harness: Harness) -> None:
    async with owner_locked(harness, "user:1"):
        waiting = asyncio.create_task(harness.accept(owner="user:1"))
        await waiting_backends(harness)

        others = await asyncio.gather(*(harness.accept(owner=f"other:{n}") for n in range(10)))

        assert not waiting.done()
    assert len({(await waiting).id, *(job.id for job in others)}) == 11


async def test_an_owner_who_goes_on_while_it_waits_holds_up_nobody_else(harness: Harness) -> None:
    """Each of its jobs would make another batch wait, until none is left for the others."""
    async with owner_locked(harness, "user:1"):
        waiting = []
        for n in range(MOST_BATCHES + 2):
            waiting.append(asyncio.create_task(harness.accept(owner="user:1")))
            await waiting_backends(harness)
            await asyncio.wait(waiting, timeout=2 * SLOW_SECONDS)
            async with asyncio.timeout(10):
                await harness.accept(owner=f"other:{n}")
        assert not any(each.done() for each in waiting)
        assert len(await waiting_backends(harness)) == 1
    assert len({job.id for job in await asyncio.gather(*waiting)}) == len(waiting)


async def test_who_is_cancelled_leaves_the_others_of_the_batch_alone(harness: Harness) -> None:
    async with owner_locked(harness, "user:1"):
        calls = [
            asyncio.create_task(harness.accept(owner="user:1", request_id=f"r-{n}"))
            for n in range(3)
        ]
        await waiting_backends(harness)
        calls[1].cancel()
        await asyncio.wait({calls[1]})

    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(each) for each in outcomes] == [Job, asyncio.CancelledError, Job]
    repeated = await harness.accept(owner="user:1", request_id="r-1")
    stored = await harness.query("SELECT id FROM job ORDER BY turn")
    assert {row["id"] for row in stored} == {repeated.id, *(job.id for job in jobs(outcomes))}


async def test_a_repetition_does_not_count_against_the_rate_of_its_owner(
    open_bench: OpenBench,
) -> None:
    counted: list[str] = []
    harness = await open_bench(limits=Limits(active_jobs_per_owner=1))
    harness.deps = replace(
        harness.deps,
        count_job=lambda _, owner: counted.append(owner),
        uncount_job=lambda _, owner: counted.remove(owner),
    )
    job = await harness.accept(request_id="r-1")

    again = await asyncio.gather(*(harness.accept(request_id="r-1") for _ in range(20)))
    with pytest.raises(RequestIdReused):
        await harness.accept(request_id="r-1", inputs={"promt": "a cat"})

    assert {each.id for each in again} == {job.id}
    # The one that is no repetition, though it says so, counts.
    assert counted == ["user:1", "user:1"]


async def test_a_repetition_of_a_job_that_is_forgotten_makes_no_new_one(harness: Harness) -> None:
    job = await harness.accept(request_id="r-1", destination=None)
    await harness.query("DELETE FROM job_event; DELETE FROM job")

    with pytest.raises(JobExpired) as expired:
        await harness.accept(request_id="r-1", destination=None)

    assert expired.value.job_id == str(job.id)
    assert await harness.query("SELECT * FROM job") == []


async def test_keys_of_two_callers_and_none_at_all_go_together(harness: Harness) -> None:
    made = await asyncio.gather(
        harness.accept(request_id="r-1"),
        harness.accept(request_id="r-1", caller=Caller.trusted("b"), owner="user:2"),
        harness.accept(destination=None),
        harness.accept(destination=None),
    )

    assert len({job.id for job in made}) == 4
    assert len(await harness.query("SELECT * FROM request_key")) == 2
    assert await harness.deliveries(made[2]) == {}


async def test_jobs_with_media_and_without_never_wait_in_a_circle(open_bench: OpenBench) -> None:
    replicas = [await open_bench() for _ in range(2)]
    picture = await upload_input.upload(
        replicas[0].deps, CALLER, owner="user:0", pieces=one_piece(b"picture")
    )
    inputs = {"prompt": "a hat", "image": f"upload:{picture.id}"}

    async def accept(replica: Harness, n: int) -> Job:
        owner, request_id = f"user:{n % 3}", f"r-{n}"
        if n % 4 == 0:  # in a transaction of its own, which binds, holds and then locks
            return await replica.accept(
                owner=owner, request_id=request_id, model_id="qwen/image-edit", inputs=inputs
            )
        return await replica.accept(owner=owner, request_id=request_id)

    order = range(MANY)
    outcomes = await asyncio.gather(
        *(accept(replicas[0], n) for n in order), *(accept(replicas[1], n) for n in reversed(order))
    )

    assert [job.id for job in outcomes[:MANY]] == [job.id for job in reversed(outcomes[MANY:])]
    assert len(await replicas[0].query("SELECT * FROM job")) == MANY
