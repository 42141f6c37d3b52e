import asyncio
import random
from dataclasses import replace
from itertools import pairwise

import pytest

from generation_svc.domain.error import ProviderBusy, ProviderSilent, ProviderUnreachable
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.transition import is_allowed
from generation_svc.lifecycle.callback import CallbackOutcome
from generation_svc.usecase import cancel_job
from tests.lifecycle import (
    CALLER,
    FAILURE,
    LINK,
    PENDING,
    SUCCESS,
    FakeProvider,
    Harness,
    OpenBench,
)
from tests.step import dispatch, fetch_result, poll

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


async def two_attempts(harness: Harness, *, second: str = "accepted") -> Job:
    """A job whose first attempt got no answer and whose second one is `second`."""
    harness.provider.refuse(ProviderSilent())
    job = await harness.accept()
    await dispatch(harness.deps)
    await harness.later(seconds=125)
    harness.provider.refuse(None if second == "accepted" else ProviderSilent())
    assert await dispatch(harness.deps)
    harness.provider.refuse(None)
    return await harness.job(job)


async def assert_told_once(harness: Harness, job: Job) -> None:
    history = await harness.history(job)
    assert [revision for revision, _ in history] == list(range(1, len(history) + 1))
    for (_, source), (_, target) in pairwise(history):
        assert is_allowed(JobState(source), JobState(target))
    assert (await harness.events(job)).count("settled") == 1
    assert (await harness.deliveries(job))["outcome"]["state"] == "pending"


@pytest.mark.parametrize(
    ("order", "jobs"), [("callback-first", 50), ("poll-first", 50), ("both-at-once", 200)]
)
async def test_whoever_comes_first_each_job_is_settled_once(
    harness: Harness, open_bench: OpenBench, order: str, jobs: int
) -> None:
    other = await open_bench(sharing=harness)
    await asyncio.gather(*(harness.accept(owner=f"user:{n % 9}") for n in range(jobs)))
    await asyncio.gather(*(harness.dispatch_all() for _ in range(6)))
    ends = {n: random.choice([SUCCESS, SUCCESS, FAILURE]) for n in range(1, jobs + 1)}
    harness.provider.tasks = {f"task-{n}": end for n, end in ends.items()}
    await harness.later(seconds=30)

    callbacks = [
        lambda n=n, end=end: random.choice([harness, other]).callback(end, call=n)
        for n, end in ends.items()
        for _ in range(2)
    ]
    polls = [harness.poll_all, other.poll_all, harness.poll_all]
    random.shuffle(callbacks)
    fetches = [harness.fetch_all, other.fetch_all]
    if order == "callback-first":
        await _all(callbacks)
        await _all([*polls, *fetches])
    elif order == "poll-first":
        await _all([*polls, *fetches])
        await _all(callbacks)
    else:
        await _all([*callbacks, *polls, *fetches])
    await _all(fetches)

    counts = await harness.query(
        "SELECT j.state, count(*) FROM job j JOIN job_event e ON e.job_id = j.id"
        " AND e.kind = 'settled' GROUP BY j.state"
    )
    succeeded = sum(end is SUCCESS for end in ends.values())
    assert {row["state"]: row["count"] for row in counts} == {
        "succeeded": succeeded,
        "failed": jobs - succeeded,
    }
    assert await harness.query(_BACKWARDS) == []
    assert await harness.query(_NOT_ONCE) == []
    if order == "callback-first":
        assert harness.provider.reads == []


async def _all(steps: list) -> None:  # type: ignore[type-arg]
    gate = asyncio.Semaphore(16)

    async def run(step) -> None:  # type: ignore[no-untyped-def]
        async with gate:
            await step()

    await asyncio.gather(*(run(step) for step in steps))


@pytest.mark.parametrize("late", [PENDING, FAILURE, SUCCESS, UNREADABLE], ids=lambda o: o.state)
@pytest.mark.parametrize("end", [SUCCESS, FAILURE], ids=lambda o: o.state)
async def test_what_comes_late_is_an_event_and_nothing_else(
    harness: Harness, end: Observation, late: Observation
) -> None:
    job = await harness.run()
    assert await harness.callback(end) is CallbackOutcome.APPLIED
    assert await harness.callback(late) in (CallbackOutcome.REPEATED, CallbackOutcome.IGNORED)
    await harness.fetch_all()
    settled = await harness.job(job)

    await harness.callback(late)

    assert await harness.job(job) == settled
    await assert_told_once(harness, job)
    assert "callback_late" in await harness.events(job)


async def test_a_word_that_nobody_knows_ends_nothing(harness: Harness) -> None:
    job = await harness.run()

    assert await harness.callback(UNREADABLE) is CallbackOutcome.HINT

    assert (await harness.job(job)).state is JobState.RUNNING
    harness.provider.tasks["task-1"] = SUCCESS
    await harness.poll_all()  # what it might have meant is found out at once
    assert harness.provider.reads == ["task-1"]


async def test_a_callback_may_win_against_the_answer(harness: Harness) -> None:
    async def answer_late(provider: FakeProvider, task_id: str) -> str:
        assert await harness.callback(SUCCESS) is CallbackOutcome.APPLIED
        await harness.fetch_all()
        return task_id

    harness.provider.answer = answer_late
    job = await harness.run()

    assert job.state is JobState.SUCCEEDED
    await assert_told_once(harness, job)


@pytest.mark.parametrize(
    "error", [ProviderSilent(), ProviderBusy(), ProviderUnreachable()], ids=repr
)
@pytest.mark.parametrize("end", [SUCCESS, FAILURE], ids=lambda o: o.state)
async def test_an_answer_takes_nothing_away_from_the_callback_before_it(
    harness: Harness, error: Exception, end: Observation
) -> None:
    async def fail_late(provider: FakeProvider, task_id: str) -> str:
        await harness.callback(end)
        raise error

    harness.provider.answer = fail_late
    job = await harness.run()
    await harness.fetch_all()
    await harness.later(minutes=5)
    await harness.dispatch_all()
    await harness.sweep()

    expected = JobState.SUCCEEDED if end is SUCCESS else JobState.FAILED
    assert (await harness.job(job)).state is expected
    assert len(harness.provider.created) == 1
    await assert_told_once(harness, job)


async def test_a_task_made_in_spite_of_a_not_now_comes_home(harness: Harness) -> None:
    harness.provider.refuse(ProviderBusy())
    job = await harness.run()

    assert await harness.callback(SUCCESS) is CallbackOutcome.APPLIED
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED
    await assert_told_once(harness, job)


async def test_an_unanswered_attempt_is_adopted_by_its_token(harness: Harness) -> None:
    harness.provider.refuse(ProviderSilent())
    job = await harness.run()

    assert await harness.callback(PENDING, task_id="adopted") is CallbackOutcome.APPLIED

    assert (await harness.job(job)).state is JobState.RUNNING
    harness.provider.tasks["adopted"] = SUCCESS
    await harness.later(seconds=60)
    await harness.poll_all()
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_a_late_failure_of_an_unknown_attempt_leaves_its_successor_alone(
    harness: Harness,
) -> None:
    job = await two_attempts(harness)

    assert await harness.callback(FAILURE, call=1) is CallbackOutcome.APPLIED
    assert (await harness.job(job)).state is JobState.RUNNING
    await harness.callback(SUCCESS, call=2)
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED
    await assert_told_once(harness, job)


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("second", ["accepted", "unknown"])
async def test_the_success_of_either_attempt_settles_the_job(
    harness: Harness, first: int, second: str
) -> None:
    job = await two_attempts(harness, second=second)

    await harness.callback(SUCCESS, call=first)
    await harness.fetch_all()
    settled = await harness.job(job)
    await harness.callback(SUCCESS, call=3 - first)
    await harness.fetch_all()

    assert settled.state is JobState.SUCCEEDED
    assert await harness.job(job) == settled
    assert "kept_late" in await harness.events(job)
    assert len(await harness.query("SELECT * FROM media")) == 2
    await assert_told_once(harness, job)


async def test_when_both_attempts_fail_so_does_the_job(harness: Harness) -> None:
    job = await two_attempts(harness)
    await harness.callback(FAILURE, call=2)
    assert (await harness.job(job)).state is JobState.RUNNING
    await harness.callback(FAILURE, call=1)
    assert (await harness.job(job)).state is JobState.FAILED
    await assert_told_once(harness, job)


@pytest.mark.parametrize(
    "error", [ProviderBusy(), ProviderUnreachable(), ProviderSilent()], ids=repr
)
async def test_a_job_whose_attempts_all_ended_does_not_run_for_ever(
    harness: Harness, error: Exception
) -> None:
    """The first attempt comes home, and fails, while the second one is being sent."""
    harness.provider.refuse(ProviderSilent())
    job = await harness.accept()
    await dispatch(harness.deps)
    await harness.later(seconds=125)

    async def meanwhile(provider: FakeProvider, task_id: str) -> str:
        await harness.callback(PENDING, call=1, task_id="first")
        await harness.callback(FAILURE, call=1, task_id="first")
        raise error

    harness.provider.answer = meanwhile
    await dispatch(harness.deps)
    harness.provider.refuse(None)
    await harness.later(hours=1)
    await harness.sweep()

    failed = await harness.job(job)
    assert failed.failure is not None
    assert failed.failure.reason in (
        FailureReason.GENERATION_FAILED,
        FailureReason.FINISH_DEADLINE,
    )
    assert len(harness.provider.created) == 2


async def test_a_cancelled_job_keeps_what_its_task_brought_and_tells_nobody(
    harness: Harness,
) -> None:
    job = await harness.run()
    cancelled = await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)

    await harness.callback(SUCCESS)
    await harness.fetch_all()

    assert await harness.job(job) == cancelled
    assert (await harness.events(job))[-1] == "kept_late"
    assert len(await harness.query("SELECT * FROM media WHERE job_id = %s", job.id)) == 1
    assert "outcome" not in await harness.deliveries(job)


async def test_a_cancel_racing_a_settlement_ends_in_one_of_the_two(harness: Harness) -> None:
    jobs = [await harness.run() for _ in range(30)]
    for n in range(1, 31):
        await harness.callback(SUCCESS, call=n)

    await asyncio.gather(
        *(fetch_result(harness.deps) for _ in jobs),
        *(cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id) for job in jobs),
    )

    for job in jobs:
        ended = await harness.job(job)
        assert ended.state in (JobState.SUCCEEDED, JobState.CANCELLED)
        assert [state for _, state in await harness.history(job)] == [
            "queued",
            "running",
            ended.state,
        ]
        assert ("outcome" in await harness.deliveries(job)) == (ended.state is JobState.SUCCEEDED)
    assert len(await harness.query("SELECT * FROM media")) == 30


async def test_a_text_is_a_result_without_anything_to_fetch(harness: Harness) -> None:
    job = await harness.run()
    harness.provider.tasks["task-1"] = replace(SUCCESS, results=(), result_text="words")
    await harness.later(seconds=60)
    await poll(harness.deps)

    settled = await harness.job(job)
    assert settled.result is not None
    assert settled.result.text == "words"
    assert LINK not in harness.fetcher.fetched
