from datetime import timedelta

import pytest

from generation_svc.domain.error import (
    ProviderAccount,
    ProviderBusy,
    ProviderError,
    ProviderSilent,
    ProviderUnreachable,
)
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.usecase import cancel_job
from tests.lifecycle import CALLER, FAILURE, SUCCESS, Harness, OpenBench
from tests.step import poll

MISSING = Observation(ProviderState.MISSING)


@pytest.fixture
async def polling(open_bench: OpenBench) -> Harness:
    """A service without a gateway."""
    return await open_bench(callback_base_url=None)


async def next_read(harness: Harness) -> timedelta:
    (row,) = await harness.query("SELECT read_time - now() AS wait FROM attempt")
    wait: timedelta = row["wait"]
    return wait


async def failure_of(harness: Harness, job: Job) -> FailureReason | None:
    ended = await harness.job(job)
    return ended.failure.reason if ended.failure else None


@pytest.mark.parametrize("end", [SUCCESS, FAILURE], ids=lambda o: o.state)
async def test_without_callbacks_polling_brings_every_end(
    polling: Harness, end: Observation
) -> None:
    job = await polling.run()
    await polling.later(seconds=3)
    await polling.poll_all()
    assert (await polling.job(job)).state is JobState.RUNNING
    polling.provider.tasks["task-1"] = end
    await polling.later(seconds=3)

    await polling.poll_all()
    await polling.fetch_all()

    expected = JobState.SUCCEEDED if end is SUCCESS else JobState.FAILED
    assert (await polling.job(job)).state is expected
    assert len(polling.provider.reads) == 2


async def test_reads_keep_to_kies_cadence(polling: Harness) -> None:
    await polling.run()
    waits = []
    for _ in range(30):
        waits.append((await next_read(polling)).total_seconds())
        await polling.later(seconds=waits[-1] + 0.01)
        assert await poll(polling.deps)

    assert sum(waits) > 120 + 5 * 15
    for n, wait in enumerate(waits):
        age = sum(waits[:n])
        # The test itself takes some time, too: near a border either side of it is right.
        least, most = _cadence(age)[0], _cadence(age + 2)[1]
        assert least <= wait <= most, f"a wait of {wait} at {age}"


async def test_with_callbacks_the_first_read_waits_and_a_callback_makes_it_needless(
    harness: Harness,
) -> None:
    job = await harness.run()
    assert await next_read(harness) > timedelta(seconds=14)
    await harness.later(seconds=14)
    await harness.poll_all()
    await harness.callback(SUCCESS)
    await harness.later(minutes=1)
    await harness.poll_all()
    await harness.fetch_all()

    assert harness.provider.reads == []
    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_the_first_read_waits_for_what_the_model_usually_takes(
    harness: Harness, open_bench: OpenBench
) -> None:
    await harness.run()
    await harness.query(
        "INSERT INTO attempt (id, job_id, number, state, token_hash, submit_time, accept_time,"
        " end_time, read_tries, fetch_tries, error, ended_by) SELECT gen_random_uuid(), job_id, n,"
        " 'settled', sha256(n::text::bytea), now(), now(), now() + interval '40 s', 0, 0, '',"
        " 'callback'"
        " FROM attempt, generate_series(2, 30) AS n"
    )
    # Another replica, since one that has just looked does not look again for half a minute.
    await (await open_bench(sharing=harness)).run()

    (row,) = await harness.query("SELECT max(read_time - accept_time) AS wait FROM attempt")
    assert timedelta(seconds=59) < row["wait"] < timedelta(seconds=61)


async def test_missing_means_not_yet_until_its_grace_is_over(polling: Harness) -> None:
    polling.provider.tasks["task-1"] = MISSING
    job = await polling.run()
    for _ in range(8):
        await polling.later(seconds=11)
        await polling.poll_all()
    assert (await polling.job(job)).state is JobState.RUNNING

    await polling.later(seconds=20)
    await polling.poll_all()

    assert await failure_of(polling, job) is FailureReason.PROVIDER_LOST_JOB


@pytest.mark.parametrize(
    "error",
    [ProviderBusy(), ProviderUnreachable(), ProviderSilent(), ProviderAccount(code="401")],
    ids=lambda error: type(error).__name__,
)
async def test_reads_that_fail_never_fail_a_job(polling: Harness, error: ProviderError) -> None:
    job = await polling.run()
    polling.provider.tasks["task-1"] = error
    for _ in range(10):
        await polling.later(minutes=60)
        await polling.poll_all()
        await polling.sweep()
    assert len(polling.provider.reads) == 10
    assert (await polling.job(job)).state is JobState.RUNNING

    polling.provider.tasks["task-1"] = SUCCESS
    await polling.later(minutes=2)
    await polling.poll_all()
    await polling.fetch_all()
    assert (await polling.job(job)).state is JobState.SUCCEEDED


async def test_the_finish_deadline_acts_only_after_a_read_that_succeeded(polling: Harness) -> None:
    job = await polling.run()
    polling.provider.tasks["task-1"] = ProviderUnreachable()
    await polling.later(hours=2)
    await polling.poll_all()
    await polling.sweep()
    assert (await polling.job(job)).state is JobState.RUNNING

    del polling.provider.tasks["task-1"]  # it waits for ever
    await polling.later(minutes=1)
    await polling.poll_all()

    assert await failure_of(polling, job) is FailureReason.FINISH_DEADLINE


async def test_a_day_after_acceptance_everything_ends(polling: Harness) -> None:
    job = await polling.run()
    await polling.later(hours=23, minutes=59)
    await polling.sweep()
    assert (await polling.job(job)).state is JobState.RUNNING

    await polling.later(minutes=2)
    await polling.sweep()
    await polling.poll_all()

    assert await failure_of(polling, job) is FailureReason.FINISH_DEADLINE
    assert polling.provider.reads == []


async def test_the_task_of_a_cancelled_job_is_not_read_for_ever(polling: Harness) -> None:
    job = await polling.run()
    await cancel_job.cancel_job(polling.deps, CALLER, job_id=job.id)
    await polling.later(hours=1)
    await polling.poll_all()
    await polling.later(hours=1)
    await polling.poll_all()

    assert len(polling.provider.reads) == 1
    assert (await polling.job(job)).state is JobState.CANCELLED


async def test_a_reader_that_was_killed_is_followed_by_another(polling: Harness) -> None:
    await polling.run()
    await polling.later(seconds=3)
    async with polling.transaction() as tx:
        claimed, _ = await tx.attempts.claim_reads(
            lease=timedelta(seconds=30), readable=polling.deps.provider.accounts, limit=1
        )
        assert claimed
    await polling.poll_all()
    assert polling.provider.reads == []

    await polling.later(seconds=31)
    await polling.poll_all()

    assert polling.provider.reads == ["task-1"]


def _cadence(age: float) -> tuple[float, float]:
    return (2, 3) if age < 30 else (5, 10) if age < 120 else (15, 30)


EMPTY = Observation(ProviderState.EMPTY, word="success")


async def test_a_success_that_stays_without_a_result_ends_soon(harness: Harness) -> None:
    job = await harness.run()
    harness.provider.tasks["task-1"] = EMPTY
    await harness.later(seconds=100)
    for _ in range(10):
        await harness.poll_all()
        await harness.later(seconds=6)

    failed = await harness.job(job)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.RESULT_UNAVAILABLE
    assert len(harness.provider.reads) == 6


async def test_a_success_that_shows_its_result_a_little_later_is_one(harness: Harness) -> None:
    job = await harness.run()
    harness.provider.tasks["task-1"] = EMPTY
    await harness.later(seconds=100)
    for _ in range(4):
        await harness.poll_all()
        await harness.later(seconds=6)
    harness.provider.tasks["task-1"] = SUCCESS
    await harness.poll_all()
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_a_callback_without_a_result_is_looked_into_at_once(harness: Harness) -> None:
    job = await harness.run()
    harness.provider.tasks["task-1"] = SUCCESS
    await harness.callback(EMPTY)
    await harness.poll_all()
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_words_of_a_failure_that_no_table_explains_are_kept(harness: Harness) -> None:
    job = await harness.run()
    harness.provider.tasks["task-1"] = Observation(
        ProviderState.FAILED, word="fail", fail_code="500", fail_message="out of tune"
    )
    await harness.later(seconds=100)
    await harness.poll_all()

    details = await harness.query(
        "SELECT detail FROM job_event WHERE job_id = %s AND kind = 'unexplained'", job.id
    )
    assert [row["detail"]["text"] for row in details] == ["out of tune"]
