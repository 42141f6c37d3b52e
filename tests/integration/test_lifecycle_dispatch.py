import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from generation_svc.domain.error import (
    ProviderBusy,
    ProviderError,
    ProviderMaintenance,
    ProviderRefused,
    ProviderSilent,
    ProviderUnreachable,
    Unavailable,
)
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import DelayReason, Job, JobState
from generation_svc.domain.model import Catalog
from generation_svc.domain.timing import Timing
from generation_svc.engine import dispatch as dispatching
from generation_svc.lifecycle.dependencies import MOST_UPLOADS, Limits
from generation_svc.usecase import cancel_job
from tests.integration.test_scheduler import at_work, seen
from tests.lifecycle import CALLER, FAILURE, PENDING, SUCCESS, FakeProvider, Harness, OpenBench
from tests.step import dispatch

EDIT: dict[str, Any] = {
    "model_id": "qwen/image-edit",
    "inputs": {"prompt": "a hat", "image": "data:image/png;base64,AAAA"},
}
REFUSED = partial(ProviderRefused, code="422", reason=FailureReason.REQUEST_REFUSED)


async def states(harness: Harness, job: Job) -> list[str]:
    return [row["state"] for row in await harness.attempts(job)]


async def unanswered(harness: Harness) -> Job:
    """A job whose createTask gave no answer."""
    harness.provider.refuse(ProviderSilent())
    job = await harness.accept()
    assert await dispatch(harness.deps)
    harness.provider.refuse(None)
    return await harness.job(job)


async def test_a_taken_job_runs_with_a_deadline_from_its_acceptance(harness: Harness) -> None:
    job = await harness.run()

    assert job.state is JobState.RUNNING
    assert job.finish_deadline_time is not None
    assert job.finish_deadline_time > job.update_time
    assert await harness.history(job) == [(1, "queued"), (2, "running")]
    (url,) = harness.provider.created
    assert url.startswith("https://callbacks.example/callbacks/kie/")
    assert len(harness.provider.token()) >= 32


async def test_without_a_gateway_kie_gets_no_callback_address(open_bench: OpenBench) -> None:
    harness = await open_bench(callback_base_url=None)
    await harness.run()
    assert harness.provider.created == [""]


async def test_a_store_that_is_away_delays_a_job_only_a_little(harness: Harness) -> None:
    job = await harness.accept(**EDIT)
    harness.store.read_error = Unavailable("The store is away.")
    with pytest.raises(Unavailable):
        await dispatch(harness.deps)
    harness.store.read_error = None
    await harness.later(seconds=harness.deps.timing.busy_retry.total_seconds())

    assert await dispatch(harness.deps)
    assert (await harness.job(job)).state is JobState.RUNNING


async def test_pictures_that_take_long_to_hand_over_stop_no_other_job(harness: Harness) -> None:
    harness.provider.may_upload.clear()
    pictures = [await harness.accept(**EDIT, owner=f"user:{n}") for n in range(MOST_UPLOADS + 1)]
    text = await harness.accept()
    concurrency = [asyncio.create_task(dispatch(harness.deps)) for _ in range(MOST_UPLOADS + 2)]
    await seen(lambda: sum(each.done() for each in concurrency) >= 2, what="those without a film")
    done, busy = await asyncio.wait(concurrency, timeout=0.1)

    assert (len(done), len(busy)) == (2, MOST_UPLOADS)
    assert (await harness.job(text)).state is JobState.RUNNING
    harness.provider.may_upload.set()
    await asyncio.gather(*busy)
    await harness.later(seconds=harness.deps.timing.busy_retry.total_seconds())
    await harness.dispatch_all()
    assert {(await harness.job(job)).state for job in pictures} == {JobState.RUNNING}


async def test_the_attempt_is_written_before_kie_is_called(harness: Harness) -> None:
    seen = []

    async def look(provider: FakeProvider, task_id: str) -> str:
        seen.extend(await harness.query("SELECT state, task_id FROM attempt"))
        return task_id

    harness.provider.answer = look
    await harness.run()

    assert seen == [{"state": "submitting", "task_id": None}]


async def test_many_dispatchers_keep_to_the_budget_and_send_each_job_once(
    open_bench: OpenBench,
) -> None:
    window = timedelta(seconds=0.5)
    limits = Limits(creates_per_window=6, create_window=window, active_jobs_per_owner=99)
    first = await open_bench(limits=limits)
    benches = [first, await open_bench(limits=limits, sharing=first)]
    times: list[float] = []

    async def note(provider: FakeProvider, task_id: str) -> str:
        times.append(time.monotonic())
        return task_id

    first.provider.answer = note
    jobs = [await first.accept() for _ in range(20)]

    async with AsyncExitStack() as working:
        for each in benches:
            await working.enter_async_context(at_work(each.deps, dispatching.WORK))
        await seen(lambda: len(first.provider.created) >= 20, what="a task of each job")

    assert len(first.provider.created) == 20
    assert {(await first.job(job)).state for job in jobs} == {JobState.RUNNING}
    slack = 0.25  # a call is made some time after it was taken
    for earlier, later in zip(times, times[6:], strict=False):
        assert later - earlier >= window.total_seconds() - slack


async def test_no_more_tasks_are_at_kie_than_it_takes_at_once(open_bench: OpenBench) -> None:
    harness = await open_bench(limits=Limits(active_tasks=2, creates_per_window=99))
    jobs = [await harness.accept(owner=f"user:{n}") for n in range(4)]

    await asyncio.gather(*(harness.dispatch_all() for _ in range(4)))
    assert len(harness.provider.created) == 2
    await harness.callback(SUCCESS, call=1)
    await harness.dispatch_all()

    assert len(harness.provider.created) == 3
    assert (await harness.job(jobs[3])).state is JobState.QUEUED


@pytest.mark.parametrize(
    "error",
    [ProviderBusy(), ProviderMaintenance(), ProviderUnreachable()],
    ids=lambda error: type(error).__name__,
)
async def test_a_not_now_puts_the_job_back_and_it_is_sent_again(
    harness: Harness, error: ProviderError
) -> None:
    harness.provider.refuse(error)
    job = await harness.run()
    assert job.state is JobState.QUEUED
    assert await states(harness, job) == ["refused"]

    harness.provider.refuse(None)
    assert not await dispatch(harness.deps)
    await harness.later(seconds=16)
    await harness.dispatch_all()

    assert (await harness.job(job)).state is JobState.RUNNING
    assert await states(harness, job) == ["refused", "accepted"]


async def test_a_provider_that_stays_busy_is_asked_less_and_less_and_the_user_is_told(
    harness: Harness,
) -> None:
    harness.provider.refuse(ProviderBusy())
    job = await harness.run()
    assert job.delay_reason is None

    for _ in range(40):
        await harness.later(seconds=30)
        await harness.dispatch_all()

    assert (await harness.job(job)).delay_reason is DelayReason.PROVIDER_BUSY
    assert len(await harness.history(job)) == 2
    assert len(harness.provider.created) < 30
    harness.provider.refuse(None)
    await harness.later(seconds=61)
    await harness.dispatch_all()
    taken = await harness.job(job)
    assert (taken.state, taken.delay_reason) == (JobState.RUNNING, None)


async def test_a_final_refusal_fails_the_job_in_words(harness: Harness) -> None:
    reason = FailureReason.CONTENT_REFUSED
    harness.provider.refuse(ProviderRefused("raw words of KIE", code="422", reason=reason))
    job = await harness.run()

    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.reason is reason
    assert "raw words" not in job.failure.message
    assert (await harness.deliveries(job))["outcome"]["state"] == "pending"


async def test_an_unanswered_attempt_is_sent_again_only_after_its_grace_and_once(
    harness: Harness,
) -> None:
    job = await unanswered(harness)
    assert job.delay_reason is DelayReason.PROVIDER_UNCONFIRMED
    assert job.delay_until_time is not None
    assert 110 < (job.delay_until_time - job.update_time).total_seconds() <= 120

    await harness.later(seconds=110)
    await harness.dispatch_all()
    assert len(harness.provider.created) == 1
    harness.provider.refuse(ProviderSilent())
    await harness.later(seconds=15)
    await harness.dispatch_all()
    assert await states(harness, job) == ["unknown", "unknown"]

    harness.provider.refuse(None)
    await harness.later(minutes=30)
    await harness.dispatch_all()
    await harness.sweep()

    assert len(harness.provider.created) == 2
    waiting = await harness.job(job)
    assert waiting.state is JobState.QUEUED
    assert waiting.delay_until_time is not None
    harness.provider.answer = None
    await harness.callback(SUCCESS, call=2)
    assert (await harness.job(job)).delay_until_time is None


@pytest.mark.parametrize("error", [ProviderUnreachable(), ProviderBusy(code="503")])
async def test_what_was_certainly_not_taken_is_due_again_at_once(
    harness: Harness, error: ProviderError
) -> None:
    harness.provider.refuse(error)
    job = await harness.run()
    assert (job.state, job.delay_reason) == (JobState.QUEUED, None)
    harness.provider.refuse(None)
    await harness.later(seconds=6)
    await harness.dispatch_all()
    assert (await harness.job(job)).state is JobState.RUNNING


async def test_words_that_no_table_explains_are_in_the_trace_and_nowhere_else(
    harness: Harness,
) -> None:
    words = "The flux capacitor is out of tune"
    reason = FailureReason.REQUEST_REFUSED
    harness.provider.refuse(ProviderRefused("ours", code="422", reason=reason, text=words))
    job = await harness.run()

    details = await harness.query(
        "SELECT detail FROM job_event WHERE job_id = %s AND kind = 'unexplained'", job.id
    )
    assert [row["detail"] for row in details] == [{"attempt": 1, "code": "422", "text": words}]
    assert job.failure is not None
    assert words not in job.failure.message


async def test_a_failed_unknown_attempt_makes_no_room_for_a_third(harness: Harness) -> None:
    job = await unanswered(harness)
    await harness.later(seconds=125)
    harness.provider.refuse(ProviderSilent())
    await harness.dispatch_all()
    harness.provider.refuse(None)
    await harness.callback(FAILURE, call=1)

    await harness.later(minutes=30)
    await harness.dispatch_all()

    assert await states(harness, job) == ["failed", "unknown"]
    await harness.callback(SUCCESS, call=2)
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_a_claim_that_ran_out_while_it_waited_does_not_submit(harness: Harness) -> None:
    kept = harness.provider.upload

    async def slow_upload(path: Path, **named: Any) -> str:
        await harness.later(seconds=61)
        return await kept(path, **named)

    harness.provider.upload = slow_upload  # type: ignore[method-assign]
    job = await harness.accept(**EDIT)

    await dispatch(harness.deps)

    assert harness.provider.created == []
    assert (await harness.job(job)).state is JobState.QUEUED
    harness.provider.upload = kept  # type: ignore[method-assign]
    await harness.dispatch_all()
    assert (await harness.job(job)).state is JobState.RUNNING


@pytest.mark.parametrize("error", [ProviderBusy(), ProviderUnreachable(), ProviderSilent()])
async def test_an_upload_host_that_is_away_stops_only_those_who_need_it(
    harness: Harness, error: ProviderError
) -> None:
    harness.provider.upload_error = error
    with_picture = await harness.accept(**EDIT)
    for _ in range(5):
        await harness.dispatch_all()
        await harness.later(seconds=6)
    plain = await harness.accept(owner="user:2")
    await harness.dispatch_all()
    assert (await harness.job(plain)).state is JobState.RUNNING

    harness.provider.upload_error = None
    await harness.later(seconds=6)
    await harness.dispatch_all()
    assert (await harness.job(with_picture)).state is JobState.RUNNING


@pytest.mark.parametrize("cause", ["refused", "bytes-gone"])
async def test_a_picture_that_cannot_be_had_fails_the_job(harness: Harness, cause: str) -> None:
    job = await harness.accept(**EDIT)
    if cause == "refused":
        harness.provider.upload_error = REFUSED()
    else:
        harness.store.kept.clear()

    await harness.dispatch_all()

    failed = await harness.job(job)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.INPUT_UNREADABLE
    assert harness.provider.created == []


async def test_a_cancelled_job_is_not_sent(harness: Harness) -> None:
    job = await harness.accept()
    await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)

    await harness.dispatch_all()

    assert harness.provider.created == []


async def test_a_job_whose_model_was_retired_fails_and_stops_nobody(harness: Harness) -> None:
    retired, running = await harness.accept(), await harness.accept(owner="user:2")
    await harness.dispatch_all()
    waiting = await harness.accept(owner="user:3")
    await harness.query("UPDATE job SET model_id = 'retired', model_digest = NULL")
    await harness.dispatch_all()
    await harness.callback(SUCCESS, call=1)
    await harness.callback(PENDING, call=2)
    await harness.fetch_all()
    await harness.later(hours=3)
    await harness.sweep()
    await harness.poll_all()

    assert (await harness.job(retired)).state is JobState.SUCCEEDED
    failed = await harness.job(waiting)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.MODEL_UNAVAILABLE
    late = await harness.job(running)
    assert late.failure is not None
    assert late.failure.reason is FailureReason.FINISH_DEADLINE


async def test_a_job_whose_model_left_the_catalog_runs_by_its_document(harness: Harness) -> None:
    job = await harness.accept()
    models = dict(harness.deps.models.catalog.models)
    del models[job.model_id]
    harness.deps.models.catalog = Catalog("later", models)
    await harness.dispatch_all()
    assert (await harness.job(job)).state is JobState.RUNNING


async def test_a_job_that_could_not_start_in_time_fails_once_nothing_can_come_home(
    harness: Harness,
) -> None:
    waiting = await harness.accept()
    await harness.later(minutes=119)
    unknown = await unanswered(harness)  # the oldest job goes first
    assert unknown.state is JobState.QUEUED
    await harness.later(minutes=1, seconds=30)
    await harness.sweep()
    assert (await harness.job(waiting)).state is JobState.QUEUED  # its attempt has its grace

    await harness.later(minutes=1)
    await harness.sweep()

    failed = await harness.job(waiting)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.START_DEADLINE
    assert await states(harness, waiting) == ["lost"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ProviderBusy(), DelayReason.PROVIDER_BUSY), (ProviderUnreachable(), None)],
)
async def test_a_job_that_was_put_back_waits_for_no_earlier_answer(
    harness: Harness, error: ProviderError, reason: DelayReason | None
) -> None:
    job = await unanswered(harness)
    assert job.delay_reason is DelayReason.PROVIDER_UNCONFIRMED
    await harness.later(seconds=125)
    harness.provider.refuse(error)
    await harness.dispatch_all()

    put_back = await harness.job(job)

    assert await states(harness, job) == ["unknown", "refused"]
    assert (put_back.delay_reason, put_back.delay_until_time) == (reason, None)


@pytest.mark.parametrize("number", [1, 2])
async def test_a_vanished_dispatcher_promises_another_try_only_where_there_is_one(
    harness: Harness, number: int
) -> None:
    job = await unanswered(harness) if number == 2 else await harness.accept()
    await harness.later(seconds=125)
    await dispatch(harness.deps)
    await harness.query(
        "UPDATE attempt SET state = 'submitting', task_id = NULL, accept_time = NULL,"
        " read_time = NULL WHERE number = %s",
        number,
    )
    await harness.query(
        "UPDATE job SET state = 'queued', finish_deadline_time = NULL, dispatch_time = now()"
    )
    await harness.later(seconds=61)
    await harness.sweep()

    orphaned = await harness.job(job)
    assert orphaned.delay_reason is DelayReason.PROVIDER_UNCONFIRMED
    is_last = orphaned.delay_until_time == orphaned.start_deadline_time
    assert is_last is (number == 2)


async def test_a_second_attempt_that_is_refused_leaves_the_job_to_the_first(
    harness: Harness,
) -> None:
    job = await unanswered(harness)
    await harness.later(seconds=125)
    harness.provider.refuse(REFUSED())
    await harness.dispatch_all()

    left = await harness.job(job)
    assert left.delay_reason is DelayReason.PROVIDER_UNCONFIRMED
    assert left.delay_until_time == left.start_deadline_time
    for _ in range(3):
        await harness.later(minutes=2)
        await harness.dispatch_all()
    assert len(harness.provider.created) == 2
    await harness.callback(SUCCESS, call=1)
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_a_claim_is_kept_while_a_film_is_handed_over(open_bench: OpenBench) -> None:
    lease = timedelta(seconds=0.6)
    harness = await open_bench(timing=Timing(submit_lease=lease))
    kept = harness.provider.upload

    async def slow_upload(path: Path, **named: Any) -> str:
        await asyncio.sleep(3 * lease.total_seconds())
        return await kept(path, **named)

    harness.provider.upload = slow_upload  # type: ignore[method-assign]
    job = await harness.accept(**EDIT)
    await dispatch(harness.deps)
    assert (await harness.job(job)).state is JobState.RUNNING
    assert len(harness.provider.created) == 1
