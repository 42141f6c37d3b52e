import asyncio
import random
from dataclasses import replace
from itertools import pairwise

import pytest

from generation_svc.domain.error import ProviderBusy, ProviderSilent, ProviderUnreachable
from generation_svc.domain.job import FailureReason, Job, JobState
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.transition import is_allowed
from generation_svc.lifecycle import cancel
from generation_svc.lifecycle.dispatch import dispatch
from generation_svc.lifecycle.fetch import fetch
from generation_svc.lifecycle.poll import poll
from generation_svc.lifecycle.receive import CallbackOutcome
from tests.lifecycle import CALLER, FAILURE, LINK, PENDING, SUCCESS, Bench, FakeProvider, OpenBench

UNREADABLE = Observation(ProviderState.UNKNOWN, word="perhaps")

_BACKWARDS = """
SELECT * FROM (
    SELECT job_id, revision, state, lag(revision, 1, 0::bigint) OVER history AS revision_before,
           lag(state, 1, 'queued') OVER history AS state_before
    FROM job_event WHERE revision IS NOT NULL WINDOW history AS (PARTITION BY job_id ORDER BY id)
) AS step
WHERE revision <> revision_before + 1 OR (state_before, state) NOT IN (
    ('queued', 'queued'), ('queued', 'running'), ('running', 'succeeded'), ('running', 'failed'),
    ('queued', 'failed'))
"""
_NOT_ONCE = """
SELECT job_id FROM job_event GROUP BY job_id HAVING count(*) FILTER (WHERE kind = 'settled') <> 1
UNION ALL
SELECT id FROM job WHERE NOT EXISTS (
    SELECT FROM delivery WHERE job_id = job.id AND kind = 'outcome' AND state = 'pending')
"""


async def two_attempts(bench: Bench, *, second: str = "accepted") -> Job:
    """A job whose first attempt got no answer and whose second one is `second`."""
    bench.provider.refuse(ProviderSilent())
    job = await bench.accept()
    await dispatch(bench.context)
    await bench.later(seconds=125)
    bench.provider.refuse(None if second == "accepted" else ProviderSilent())
    assert await dispatch(bench.context)
    bench.provider.refuse(None)
    return await bench.job(job)


async def assert_told_once(bench: Bench, job: Job) -> None:
    history = await bench.history(job)
    assert [revision for revision, _ in history] == list(range(1, len(history) + 1))
    for (_, source), (_, target) in pairwise(history):
        assert is_allowed(JobState(source), JobState(target))
    assert (await bench.events(job)).count("settled") == 1
    assert (await bench.deliveries(job))["outcome"]["state"] == "pending"


@pytest.mark.parametrize(
    ("order", "jobs"), [("callback-first", 50), ("poll-first", 50), ("both-at-once", 200)]
)
async def test_whoever_comes_first_each_job_is_settled_once(
    bench: Bench, open_bench: OpenBench, order: str, jobs: int
) -> None:
    other = await open_bench(sharing=bench)
    await asyncio.gather(*(bench.accept(owner=f"user:{n % 9}") for n in range(jobs)))
    await asyncio.gather(*(bench.dispatch_all() for _ in range(6)))
    ends = {n: random.choice([SUCCESS, SUCCESS, FAILURE]) for n in range(1, jobs + 1)}
    bench.provider.tasks = {f"task-{n}": end for n, end in ends.items()}
    await bench.later(seconds=30)

    callbacks = [
        lambda n=n, end=end: random.choice([bench, other]).callback(end, call=n)
        for n, end in ends.items()
        for _ in range(2)
    ]
    polls = [bench.poll_all, other.poll_all, bench.poll_all]
    random.shuffle(callbacks)
    fetches = [bench.fetch_all, other.fetch_all]
    if order == "callback-first":
        await _all(callbacks)
        await _all([*polls, *fetches])
    elif order == "poll-first":
        await _all([*polls, *fetches])
        await _all(callbacks)
    else:
        await _all([*callbacks, *polls, *fetches])
    await _all(fetches)

    counts = await bench.query(
        "SELECT j.state, count(*) FROM job j JOIN job_event e ON e.job_id = j.id"
        " AND e.kind = 'settled' GROUP BY j.state"
    )
    succeeded = sum(end is SUCCESS for end in ends.values())
    assert {row["state"]: row["count"] for row in counts} == {
        "succeeded": succeeded,
        "failed": jobs - succeeded,
    }
    assert await bench.query(_BACKWARDS) == []
    assert await bench.query(_NOT_ONCE) == []
    if order == "callback-first":
        assert bench.provider.reads == []


async def _all(steps: list) -> None:  # type: ignore[type-arg]
    gate = asyncio.Semaphore(16)

    async def run(step) -> None:  # type: ignore[no-untyped-def]
        async with gate:
            await step()

    await asyncio.gather(*(run(step) for step in steps))


@pytest.mark.parametrize("late", [PENDING, FAILURE, SUCCESS, UNREADABLE], ids=lambda o: o.state)
@pytest.mark.parametrize("end", [SUCCESS, FAILURE], ids=lambda o: o.state)
async def test_what_comes_late_is_an_event_and_nothing_else(
    bench: Bench, end: Observation, late: Observation
) -> None:
    job = await bench.run()
    assert await bench.callback(end) is CallbackOutcome.APPLIED
    assert await bench.callback(late) in (CallbackOutcome.REPEATED, CallbackOutcome.IGNORED)
    await bench.fetch_all()
    settled = await bench.job(job)

    await bench.callback(late)

    assert await bench.job(job) == settled
    await assert_told_once(bench, job)
    assert "callback_late" in await bench.events(job)


async def test_a_word_that_nobody_knows_ends_nothing(bench: Bench) -> None:
    job = await bench.run()

    assert await bench.callback(UNREADABLE) is CallbackOutcome.HINT

    assert (await bench.job(job)).state is JobState.RUNNING
    bench.provider.tasks["task-1"] = SUCCESS
    await bench.poll_all()  # what it might have meant is found out at once
    assert bench.provider.reads == ["task-1"]


async def test_a_callback_may_win_against_the_answer(bench: Bench) -> None:
    async def answer_late(provider: FakeProvider, task_id: str) -> str:
        assert await bench.callback(SUCCESS) is CallbackOutcome.APPLIED
        await bench.fetch_all()
        return task_id

    bench.provider.answer = answer_late
    job = await bench.run()

    assert job.state is JobState.SUCCEEDED
    await assert_told_once(bench, job)


@pytest.mark.parametrize(
    "error", [ProviderSilent(), ProviderBusy(), ProviderUnreachable()], ids=repr
)
@pytest.mark.parametrize("end", [SUCCESS, FAILURE], ids=lambda o: o.state)
async def test_an_answer_takes_nothing_away_from_the_callback_before_it(
    bench: Bench, error: Exception, end: Observation
) -> None:
    async def fail_late(provider: FakeProvider, task_id: str) -> str:
        await bench.callback(end)
        raise error

    bench.provider.answer = fail_late
    job = await bench.run()
    await bench.fetch_all()
    await bench.later(minutes=5)
    await bench.dispatch_all()
    await bench.sweep()

    expected = JobState.SUCCEEDED if end is SUCCESS else JobState.FAILED
    assert (await bench.job(job)).state is expected
    assert len(bench.provider.created) == 1
    await assert_told_once(bench, job)


async def test_a_task_made_in_spite_of_a_not_now_comes_home(bench: Bench) -> None:
    bench.provider.refuse(ProviderBusy())
    job = await bench.run()

    assert await bench.callback(SUCCESS) is CallbackOutcome.APPLIED
    await bench.fetch_all()

    assert (await bench.job(job)).state is JobState.SUCCEEDED
    await assert_told_once(bench, job)


async def test_an_unanswered_attempt_is_adopted_by_its_token(bench: Bench) -> None:
    bench.provider.refuse(ProviderSilent())
    job = await bench.run()

    assert await bench.callback(PENDING, task_id="adopted") is CallbackOutcome.APPLIED

    assert (await bench.job(job)).state is JobState.RUNNING
    bench.provider.tasks["adopted"] = SUCCESS
    await bench.later(seconds=60)
    await bench.poll_all()
    await bench.fetch_all()
    assert (await bench.job(job)).state is JobState.SUCCEEDED


async def test_a_late_failure_of_an_unknown_attempt_leaves_its_successor_alone(
    bench: Bench,
) -> None:
    job = await two_attempts(bench)

    assert await bench.callback(FAILURE, call=1) is CallbackOutcome.APPLIED
    assert (await bench.job(job)).state is JobState.RUNNING
    await bench.callback(SUCCESS, call=2)
    await bench.fetch_all()

    assert (await bench.job(job)).state is JobState.SUCCEEDED
    await assert_told_once(bench, job)


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("second", ["accepted", "unknown"])
async def test_the_success_of_either_attempt_settles_the_job(
    bench: Bench, first: int, second: str
) -> None:
    job = await two_attempts(bench, second=second)

    await bench.callback(SUCCESS, call=first)
    await bench.fetch_all()
    settled = await bench.job(job)
    await bench.callback(SUCCESS, call=3 - first)
    await bench.fetch_all()

    assert settled.state is JobState.SUCCEEDED
    assert await bench.job(job) == settled
    assert "kept_late" in await bench.events(job)
    assert len(await bench.query("SELECT * FROM media")) == 2
    await assert_told_once(bench, job)


async def test_when_both_attempts_fail_so_does_the_job(bench: Bench) -> None:
    job = await two_attempts(bench)
    await bench.callback(FAILURE, call=2)
    assert (await bench.job(job)).state is JobState.RUNNING
    await bench.callback(FAILURE, call=1)
    assert (await bench.job(job)).state is JobState.FAILED
    await assert_told_once(bench, job)


@pytest.mark.parametrize(
    "error", [ProviderBusy(), ProviderUnreachable(), ProviderSilent()], ids=repr
)
async def test_a_job_whose_attempts_all_ended_does_not_run_for_ever(
    bench: Bench, error: Exception
) -> None:
    """The first attempt comes home, and fails, while the second one is being sent."""
    bench.provider.refuse(ProviderSilent())
    job = await bench.accept()
    await dispatch(bench.context)
    await bench.later(seconds=125)

    async def meanwhile(provider: FakeProvider, task_id: str) -> str:
        await bench.callback(PENDING, call=1, task_id="first")
        await bench.callback(FAILURE, call=1, task_id="first")
        raise error

    bench.provider.answer = meanwhile
    await dispatch(bench.context)
    bench.provider.refuse(None)
    await bench.later(hours=1)
    await bench.sweep()

    failed = await bench.job(job)
    assert failed.failure is not None
    assert failed.failure.reason in (
        FailureReason.GENERATION_FAILED,
        FailureReason.FINISH_DEADLINE,
    )
    assert len(bench.provider.created) == 2


async def test_a_cancelled_job_keeps_what_its_task_brought_and_tells_nobody(bench: Bench) -> None:
    job = await bench.run()
    cancelled = await cancel.cancel(bench.context, CALLER, job_id=job.id)

    await bench.callback(SUCCESS)
    await bench.fetch_all()

    assert await bench.job(job) == cancelled
    assert (await bench.events(job))[-1] == "kept_late"
    assert len(await bench.query("SELECT * FROM media WHERE job_id = %s", job.id)) == 1
    assert "outcome" not in await bench.deliveries(job)


async def test_a_cancel_racing_a_settlement_ends_in_one_of_the_two(bench: Bench) -> None:
    jobs = [await bench.run() for _ in range(30)]
    for n in range(1, 31):
        await bench.callback(SUCCESS, call=n)

    await asyncio.gather(
        *(fetch(bench.context) for _ in jobs),
        *(cancel.cancel(bench.context, CALLER, job_id=job.id) for job in jobs),
    )

    for job in jobs:
        ended = await bench.job(job)
        assert ended.state in (JobState.SUCCEEDED, JobState.CANCELLED)
        assert [state for _, state in await bench.history(job)] == [
            "queued",
            "running",
            ended.state,
        ]
        assert ("outcome" in await bench.deliveries(job)) == (ended.state is JobState.SUCCEEDED)
    assert len(await bench.query("SELECT * FROM media")) == 30


async def test_a_text_is_a_result_without_anything_to_fetch(bench: Bench) -> None:
    job = await bench.run()
    bench.provider.tasks["task-1"] = replace(SUCCESS, result_urls=(), result_text="words")
    await bench.later(seconds=60)
    await poll(bench.context)

    settled = await bench.job(job)
    assert settled.result is not None
    assert settled.result.text == "words"
    assert LINK not in bench.fetcher.fetched
