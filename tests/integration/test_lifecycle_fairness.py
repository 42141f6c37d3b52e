"""The order in which jobs are served, what it says of a place, and how long a queue may be."""

import asyncio
import random
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import Overloaded, ProviderBusy
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.fair_queue import entry_of
from generation_svc.domain.job import Forecast, Job, JobState
from generation_svc.lifecycle import revision_poller
from generation_svc.lifecycle.dependencies import Limits
from generation_svc.lifecycle.forecast import forecast
from generation_svc.storage.dispatch_store import CLAIM_LOCK
from generation_svc.usecase import read_job, stream_job
from tests.lifecycle import CALLER, FakeProvider, Harness, OpenBench
from tests.step import dispatch

LEASE = timedelta(seconds=60)
USUAL = timedelta(seconds=10)
ONE_AT_A_TIME = Limits(
    creates_per_window=1, create_window=timedelta(seconds=0.1), active_tasks=10_000
)


async def claim(harness: Harness) -> UUID | None:
    async with harness.transaction() as tx:
        claimed = await harness.claim(tx, most_active=10_000)
    return claimed.job.id if claimed else None


async def place(harness: Harness, job: Job) -> int:
    async with harness.transaction() as tx:
        return (await tx.queue.read()).place(entry_of(job.id, fair_round=job.fair_round))


async def fill_queue(harness: Harness, *, owner: str, jobs: int) -> None:
    """Give an owner so many jobs, as if each had been accepted."""
    first = await harness.accept(owner=owner)
    columns = await harness.query(
        "SELECT string_agg(quote_ident(column_name), ', ') AS names FROM information_schema.columns"
        " WHERE table_name = 'job' AND column_name NOT IN ('id', 'turn')"
    )
    names = columns[0]["names"]
    await harness.query(
        f"INSERT INTO job (id, turn, {names}) SELECT gen_random_uuid(), turn + n, {names}"
        " FROM job, generate_series(1, %s) AS n WHERE id = %s",
        jobs - 1,
        first.id,
    )


async def test_a_thousand_jobs_of_one_owner_delay_another_by_one_turn(
    open_bench: OpenBench,
) -> None:
    first = await open_bench(limits=ONE_AT_A_TIME)
    replicas = [first, await open_bench(limits=ONE_AT_A_TIME, sharing=first)]
    door = await open_bench(sharing=first)
    await fill_queue(first, owner="greedy", jobs=1000)

    sent: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def note(provider: FakeProvider, task_id: str) -> str:
        sent[provider.inputs[-1]["prompt"]].set()
        return task_id

    async def work(replica: Harness) -> None:
        while not replica.deps.stopping.is_set():
            await dispatch(replica.deps)

    first.provider.answer = note
    async with asyncio.TaskGroup() as concurrency, AsyncExitStack() as stopping:
        for replica in replicas:
            stopping.callback(replica.deps.stopping.set)
            for _ in range(8):
                concurrency.create_task(work(replica))
        async with asyncio.timeout(30):
            await sent["a cat"].wait()
            async with first.connection.transaction():
                # Nobody claims meanwhile: how long the machine takes to accept does not matter.
                await first.query("SELECT pg_advisory_xact_lock(%s)", CLAIM_LOCK)
                newcomer = await door.accept(owner="new", inputs={"prompt": "a newcomer"})
                (now,) = await first.query("SELECT clock_timestamp() AS time")
            await sent["a newcomer"].wait()

    # On a slow machine an attempt may be withdrawn; then its job of an earlier turn goes first.
    (row,) = await first.query(
        "SELECT count(*) AS before FROM attempt JOIN job ON job.id = job_id"
        " WHERE submit_time > %s AND job.turn > %s"
        " AND submit_time < (SELECT min(submit_time) FROM attempt WHERE job_id = %s)",
        now["time"],
        newcomer.fair_round,
        newcomer.id,
    )
    assert row["before"] == 0
    assert newcomer.fair_round <= len(first.provider.created)


async def test_whoever_is_new_waits_for_one_job_of_each_other_owner_at_most(
    harness: Harness,
) -> None:
    rng = random.Random(7)
    waiting: dict[UUID, tuple[str, list[str]]] = {}
    unfinished: dict[str, int] = {}
    for _ in range(150):
        owner = f"user:{rng.choice('aaaaabbcdef')}"
        if rng.random() < 0.6:
            job = await harness.accept(owner=owner)
            if not unfinished.get(owner):
                waiting[job.id] = (owner, [])
            unfinished[owner] = unfinished.get(owner, 0) + 1
        elif served := await claim(harness):
            owner = (await harness.job(served)).owner
            waiting.pop(served, None)
            unfinished[owner] -= 1
            await harness.query(
                "UPDATE job SET state = 'cancelled', dispatch_time = NULL,"
                " claim_token = NULL WHERE id = %s",
                served,
            )
            for _, before in waiting.values():
                before.append(owner)
    assert all(len(before) == len(set(before)) for _, before in waiting.values())


async def test_places_are_those_in_which_jobs_are_served(harness: Harness) -> None:
    owners = ["a", "a", "a", "b", "a", "c", "b", "a", "d", "c"]
    jobs = [await harness.accept(owner=owner) for owner in owners]
    places = {job.id: await place(harness, job) for job in jobs}

    served = [await claim(harness) for _ in jobs]

    assert served == sorted(places, key=lambda job_id: places[job_id])
    assert sorted(places.values()) == list(range(len(jobs)))


async def test_callers_do_not_share_the_turns_of_an_owner(harness: Harness) -> None:
    for _ in range(3):
        await harness.accept(owner="user:1")
    other = await harness.accept(owner="user:1", caller=Caller.trusted("other"), destination=None)
    assert other.fair_round == 0
    assert await place(harness, other) == 1


async def test_a_queue_that_ran_empty_goes_on_from_the_last_turn(harness: Harness) -> None:
    for _ in range(3):
        await harness.accept(owner="user:1")
    await harness.dispatch_all()
    assert (await harness.accept(owner="user:2")).fair_round == 2
    assert (await harness.accept(owner="user:1")).fair_round == 3


async def test_what_is_postponed_gives_nobody_an_earlier_turn(harness: Harness) -> None:
    harness.provider.refuse(ProviderBusy())
    await harness.run(owner="unlucky")
    harness.provider.refuse(None)
    for _ in range(3):
        await harness.accept(owner="busy")
        await harness.dispatch_all()
    waiting = [await harness.accept(owner=f"user:{n}") for n in range(2)]
    assert [job.fair_round for job in waiting] == [2, 2]


async def test_a_job_of_an_old_round_lets_nobody_new_pass(harness: Harness) -> None:
    harness.provider.refuse(ProviderBusy())
    old = await harness.run(owner="unlucky")
    harness.provider.refuse(None)
    for _ in range(4):
        await harness.accept(owner="busy")
    await harness.later(seconds=1)
    for _ in range(3):
        assert await dispatch(harness.deps)
    waiting = await harness.accept(owner="patient")

    await harness.query("UPDATE job SET dispatch_time = now() WHERE id = %s RETURNING id", old.id)
    newcomer = await harness.accept(owner="newcomer")

    assert (old.fair_round, waiting.fair_round, newcomer.fair_round) == (0, 2, 2)
    assert [await claim(harness) for _ in range(3)] == [old.id, waiting.id, newcomer.id]


async def test_refusals_move_no_round_on(harness: Harness) -> None:
    harness.provider.refuse(ProviderBusy())
    for _ in range(5):
        await harness.run(owner="busy")
    harness.provider.refuse(None)
    newcomer = await harness.accept(owner="newcomer")
    await harness.later(seconds=600)
    assert newcomer.fair_round == 0
    assert newcomer.id in [await claim(harness) for _ in range(2)]


async def test_who_is_postponed_for_long_stands_before_nobody(harness: Harness) -> None:
    first, second = [await harness.accept(owner=f"user:{n}") for n in range(2)]
    assert await place(harness, second) == 1
    await harness.query(
        "UPDATE job SET dispatch_time = now() + interval '10 s' WHERE id = %s RETURNING id",
        first.id,
    )
    assert await place(harness, second) == 0
    async with harness.transaction() as tx:
        assert (await tx.queue.read()).lengths == {CALLER.name: 2}


async def test_nothing_is_claimed_that_cannot_be_sent(open_bench: OpenBench) -> None:
    harness = await open_bench(
        limits=Limits(creates_per_window=2, create_window=timedelta(minutes=1))
    )
    for n in range(6):
        await harness.accept(owner=f"user:{n}")

    await asyncio.gather(*(dispatch(harness.deps) for _ in range(6)))

    assert len(harness.provider.created) == 2
    assert (
        await harness.query("SELECT id FROM job WHERE state = 'queued' AND claim_token IS NOT NULL")
        == []
    )


async def test_claims_under_way_keep_their_calls_only_for_a_while(open_bench: OpenBench) -> None:
    limits = Limits(creates_per_window=1, create_window=timedelta(seconds=0.1))
    harness = await open_bench(limits=limits)
    stuck, other = await harness.accept(), await harness.accept(owner="user:2")
    assert await claim(harness) == stuck.id

    await dispatch(harness.deps)
    assert harness.provider.created == []
    await harness.later(seconds=6)
    await dispatch(harness.deps)
    assert (await harness.job(other)).state is JobState.RUNNING


@pytest.mark.parametrize(
    ("limits", "part"),
    [
        (Limits(queued_jobs=3), "queue"),
        (Limits(queued_jobs_per_caller=2), "queue of the caller"),
    ],
    ids=["of all", "of a caller"],
)
async def test_a_queue_that_is_too_long_takes_no_more(
    open_bench: OpenBench, limits: Limits, part: str
) -> None:
    harness = await open_bench(limits=limits)
    other = Caller.trusted("other")
    await harness.accept(caller=other, destination=None)
    kept = [await harness.accept(request_id=f"r-{n}") for n in range(2)]

    with pytest.raises(Overloaded) as caught:
        await harness.accept()
    assert caught.value.part == part
    assert timedelta(seconds=10) <= caught.value.retry_after <= timedelta(seconds=20)
    assert await harness.accept(request_id="r-1") == kept[1]
    if part == "queue of the caller":
        await harness.accept(caller=other, destination=None)


@pytest.mark.parametrize("accounts", [("one",), ("one", "two")], ids=len)
async def test_a_forecast_is_honest(open_bench: OpenBench, accounts: tuple[str, ...]) -> None:
    limits = Limits(creates_per_window=1, create_window=USUAL, active_tasks=4)
    harness = await open_bench(limits=limits, accounts=accounts)
    usual, _ = harness.deps.models.durations("z-image")
    slowest = max(USUAL, usual / 4) / len(accounts)
    jobs = [await harness.accept(owner=f"user:{n}") for n in range(3)]
    assert [job.forecast for job in jobs] == [Forecast(n, slowest * n + usual) for n in range(3)]

    assert await dispatch(harness.deps)
    seen = await read_job.get(harness.deps, CALLER, job_id=jobs[0].id)
    assert seen.state is JobState.RUNNING
    assert seen.forecast is not None
    assert seen.forecast.queue_position == 0
    assert seen.forecast.estimated_remaining is not None
    assert seen.forecast.estimated_remaining <= usual


async def test_nothing_is_said_where_nothing_is_known(harness: Harness) -> None:
    late = await harness.run()
    await harness.later(hours=1)
    delayed, ending = [await harness.accept(owner=f"user:{n}") for n in (2, 3)]
    await harness.query("UPDATE job SET delay_reason = 'provider_busy' WHERE id = %s", delayed.id)
    await harness.query("UPDATE job SET start_deadline_time = now() WHERE id = %s", ending.id)

    for job in (late, delayed, ending):
        told = await forecast(harness.deps, await harness.job(job))
        assert told.estimated_remaining is None


async def test_news_whose_hint_was_lost_are_seen_by_one_look_for_all(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revision_poller, "LOOK_SECONDS", 0.05)
    jobs = [await harness.accept(owner=f"user:{n}") for n in range(3)]
    never = timedelta(hours=1)  # nor do they look at each heartbeat
    streams = [
        stream_job.follow(harness.deps, CALLER, job_id=job.id, after=0, silence=lambda: never)
        for job in jobs
    ]
    assert [await anext(stream) for stream in streams] == jobs
    for job in jobs:
        async with harness.transaction() as tx:
            await tx.jobs.save(
                replace(job, revision=2), event=JobEventKind.DELAYED
            )  # and announces nothing

    async with asyncio.timeout(10):
        for stream in streams:
            seen = await anext(stream)
            assert isinstance(seen, Job)
            assert seen.revision == 2
            await stream.aclose()
