import asyncio
import time
from datetime import timedelta
from functools import partial
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
from generation_svc.domain.job import DelayReason, FailureReason, Job, JobState
from generation_svc.lifecycle import cancel
from generation_svc.lifecycle.context import MOST_UPLOADS, Limits
from generation_svc.lifecycle.dispatch import dispatch
from tests.lifecycle import CALLER, FAILURE, PENDING, SUCCESS, Bench, FakeProvider, OpenBench

EDIT: dict[str, Any] = {
    "model_id": "qwen/image-edit",
    "inputs": {"prompt": "a hat", "image": "data:image/png;base64,AAAA"},
}
REFUSED = partial(ProviderRefused, code="422", reason=FailureReason.REQUEST_REFUSED)


async def states(bench: Bench, job: Job) -> list[str]:
    return [row["state"] for row in await bench.attempts(job)]


async def unanswered(bench: Bench) -> Job:
    """A job whose createTask gave no answer."""
    bench.provider.refuse(ProviderSilent())
    job = await bench.accept()
    assert await dispatch(bench.context)
    bench.provider.refuse(None)
    return await bench.job(job)


async def test_a_taken_job_runs_with_a_deadline_from_its_acceptance(bench: Bench) -> None:
    job = await bench.run()

    assert job.state is JobState.RUNNING
    assert job.finish_deadline_time is not None
    assert job.finish_deadline_time > job.update_time
    assert await bench.history(job) == [(1, "queued"), (2, "running")]
    (url,) = bench.provider.created
    assert url.startswith("https://callbacks.example/callbacks/kie/")
    assert len(bench.provider.token()) >= 32


async def test_without_a_gateway_kie_gets_no_callback_address(open_bench: OpenBench) -> None:
    bench = await open_bench(callback_base_url=None)
    await bench.run()
    assert bench.provider.created == [""]


async def test_a_store_that_is_away_delays_a_job_only_a_little(bench: Bench) -> None:
    job = await bench.accept(**EDIT)
    bench.store.read_error = Unavailable("The store is away.")
    with pytest.raises(Unavailable):
        await dispatch(bench.context)
    bench.store.read_error = None
    await bench.later(seconds=bench.context.pace.busy_retry.total_seconds())

    assert await dispatch(bench.context)
    assert (await bench.job(job)).state is JobState.RUNNING


async def test_pictures_that_take_long_to_hand_over_stop_no_other_job(bench: Bench) -> None:
    bench.provider.may_upload.clear()
    pictures = [await bench.accept(**EDIT, owner=f"user:{n}") for n in range(MOST_UPLOADS + 1)]
    text = await bench.accept()
    lanes = [asyncio.create_task(dispatch(bench.context)) for _ in range(MOST_UPLOADS + 2)]
    done, busy = await asyncio.wait(lanes, timeout=1)

    assert (len(done), len(busy)) == (2, MOST_UPLOADS)
    assert (await bench.job(text)).state is JobState.RUNNING
    bench.provider.may_upload.set()
    await asyncio.gather(*busy)
    await bench.later(seconds=bench.context.pace.busy_retry.total_seconds())
    await bench.dispatch_all()
    assert {(await bench.job(job)).state for job in pictures} == {JobState.RUNNING}


async def test_the_attempt_is_written_before_kie_is_called(bench: Bench) -> None:
    seen = []

    async def look(provider: FakeProvider, task_id: str) -> str:
        seen.extend(await bench.query("SELECT state, task_id FROM attempt"))
        return task_id

    bench.provider.answer = look
    await bench.run()

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

    await asyncio.gather(*(each.dispatch_all() for each in benches for _ in range(5)))

    assert len(first.provider.created) == 20
    assert {(await first.job(job)).state for job in jobs} == {JobState.RUNNING}
    slack = 0.25  # a call is made some time after it was taken
    for earlier, later in zip(times, times[6:], strict=False):
        assert later - earlier >= window.total_seconds() - slack


async def test_no_more_tasks_are_at_kie_than_it_takes_at_once(open_bench: OpenBench) -> None:
    bench = await open_bench(limits=Limits(active_tasks=2, creates_per_window=99))
    jobs = [await bench.accept(owner=f"user:{n}") for n in range(4)]

    await asyncio.gather(*(bench.dispatch_all() for _ in range(4)))
    assert len(bench.provider.created) == 2
    await bench.callback(SUCCESS, call=1)
    await bench.dispatch_all()

    assert len(bench.provider.created) == 3
    assert (await bench.job(jobs[3])).state is JobState.QUEUED


@pytest.mark.parametrize(
    "error",
    [ProviderBusy(), ProviderMaintenance(), ProviderUnreachable()],
    ids=lambda error: type(error).__name__,
)
async def test_a_not_now_puts_the_job_back_and_it_is_sent_again(
    bench: Bench, error: ProviderError
) -> None:
    bench.provider.refuse(error)
    job = await bench.run()
    assert job.state is JobState.QUEUED
    assert await states(bench, job) == ["refused"]

    bench.provider.refuse(None)
    assert not await dispatch(bench.context)
    await bench.later(seconds=16)
    await bench.dispatch_all()

    assert (await bench.job(job)).state is JobState.RUNNING
    assert await states(bench, job) == ["refused", "accepted"]


async def test_a_provider_that_stays_busy_is_asked_less_and_less_and_the_user_is_told(
    bench: Bench,
) -> None:
    bench.provider.refuse(ProviderBusy())
    job = await bench.run()
    assert job.delay_reason is None

    for _ in range(40):
        await bench.later(seconds=30)
        await bench.dispatch_all()

    assert (await bench.job(job)).delay_reason is DelayReason.PROVIDER_BUSY
    assert len(await bench.history(job)) == 2
    assert len(bench.provider.created) < 30
    bench.provider.refuse(None)
    await bench.later(seconds=61)
    await bench.dispatch_all()
    taken = await bench.job(job)
    assert (taken.state, taken.delay_reason) == (JobState.RUNNING, None)


async def test_a_final_refusal_fails_the_job_in_words(bench: Bench) -> None:
    reason = FailureReason.CONTENT_REFUSED
    bench.provider.refuse(ProviderRefused("raw words of KIE", code="422", reason=reason))
    job = await bench.run()

    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.reason is reason
    assert "raw words" not in job.failure.message
    assert (await bench.deliveries(job))["outcome"]["state"] == "pending"


async def test_an_unanswered_attempt_is_sent_again_only_after_its_grace_and_once(
    bench: Bench,
) -> None:
    job = await unanswered(bench)
    assert job.delay_reason is DelayReason.PROVIDER_UNCONFIRMED
    assert job.delay_until_time is not None
    assert 110 < (job.delay_until_time - job.update_time).total_seconds() <= 120

    await bench.later(seconds=110)
    await bench.dispatch_all()
    assert len(bench.provider.created) == 1
    bench.provider.refuse(ProviderSilent())
    await bench.later(seconds=15)
    await bench.dispatch_all()
    assert await states(bench, job) == ["unknown", "unknown"]

    bench.provider.refuse(None)
    await bench.later(minutes=30)
    await bench.dispatch_all()
    await bench.sweep()

    assert len(bench.provider.created) == 2
    waiting = await bench.job(job)
    assert waiting.state is JobState.QUEUED
    assert waiting.delay_until_time is not None
    bench.provider.answer = None
    await bench.callback(SUCCESS, call=2)
    assert (await bench.job(job)).delay_until_time is None


@pytest.mark.parametrize("error", [ProviderUnreachable(), ProviderBusy(code="503")])
async def test_what_was_certainly_not_taken_is_due_again_at_once(
    bench: Bench, error: ProviderError
) -> None:
    bench.provider.refuse(error)
    job = await bench.run()
    assert (job.state, job.delay_reason) == (JobState.QUEUED, None)
    bench.provider.refuse(None)
    await bench.later(seconds=6)
    await bench.dispatch_all()
    assert (await bench.job(job)).state is JobState.RUNNING


async def test_words_that_no_table_explains_are_in_the_trace_and_nowhere_else(
    bench: Bench,
) -> None:
    words = "The flux capacitor is out of tune"
    reason = FailureReason.REQUEST_REFUSED
    bench.provider.refuse(ProviderRefused("ours", code="422", reason=reason, text=words))
    job = await bench.run()

    details = await bench.query(
        "SELECT detail FROM job_event WHERE job_id = %s AND kind = 'unexplained'", job.id
    )
    assert [row["detail"] for row in details] == [{"attempt": 1, "code": "422", "text": words}]
    assert job.failure is not None
    assert words not in job.failure.message


async def test_a_failed_unknown_attempt_makes_no_room_for_a_third(bench: Bench) -> None:
    job = await unanswered(bench)
    await bench.later(seconds=125)
    bench.provider.refuse(ProviderSilent())
    await bench.dispatch_all()
    bench.provider.refuse(None)
    await bench.callback(FAILURE, call=1)

    await bench.later(minutes=30)
    await bench.dispatch_all()

    assert await states(bench, job) == ["failed", "unknown"]
    await bench.callback(SUCCESS, call=2)
    await bench.fetch_all()
    assert (await bench.job(job)).state is JobState.SUCCEEDED


async def test_a_claim_that_ran_out_while_it_waited_does_not_submit(bench: Bench) -> None:
    kept = bench.provider.upload

    async def slow_upload(data: bytes, **named: Any) -> str:
        await bench.later(seconds=61)
        return await kept(data, **named)

    bench.provider.upload = slow_upload  # type: ignore[method-assign]
    job = await bench.accept(**EDIT)

    await dispatch(bench.context)

    assert bench.provider.created == []
    assert (await bench.job(job)).state is JobState.QUEUED
    bench.provider.upload = kept  # type: ignore[method-assign]
    await bench.dispatch_all()
    assert (await bench.job(job)).state is JobState.RUNNING


@pytest.mark.parametrize("error", [ProviderBusy(), ProviderUnreachable(), ProviderSilent()])
async def test_an_upload_host_that_is_away_stops_only_those_who_need_it(
    bench: Bench, error: ProviderError
) -> None:
    bench.provider.upload_error = error
    with_picture = await bench.accept(**EDIT)
    for _ in range(5):
        await bench.dispatch_all()
        await bench.later(seconds=6)
    plain = await bench.accept(owner="user:2")
    await bench.dispatch_all()
    assert (await bench.job(plain)).state is JobState.RUNNING

    bench.provider.upload_error = None
    await bench.later(seconds=6)
    await bench.dispatch_all()
    assert (await bench.job(with_picture)).state is JobState.RUNNING


@pytest.mark.parametrize("cause", ["refused", "bytes-gone"])
async def test_a_picture_that_cannot_be_had_fails_the_job(bench: Bench, cause: str) -> None:
    job = await bench.accept(**EDIT)
    if cause == "refused":
        bench.provider.upload_error = REFUSED()
    else:
        bench.store.kept.clear()

    await bench.dispatch_all()

    failed = await bench.job(job)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.INPUT_UNREADABLE
    assert bench.provider.created == []


async def test_a_cancelled_job_is_not_sent(bench: Bench) -> None:
    job = await bench.accept()
    await cancel.cancel(bench.context, CALLER, job_id=job.id)

    await bench.dispatch_all()

    assert bench.provider.created == []


async def test_a_job_whose_model_was_retired_fails_and_stops_nobody(bench: Bench) -> None:
    retired, running = await bench.accept(), await bench.accept(owner="user:2")
    await bench.dispatch_all()
    waiting = await bench.accept(owner="user:3")
    await bench.query("UPDATE job SET model_id = 'retired'")
    await bench.dispatch_all()
    await bench.callback(SUCCESS, call=1)
    await bench.callback(PENDING, call=2)
    await bench.fetch_all()
    await bench.later(hours=3)
    await bench.sweep()
    await bench.poll_all()

    assert (await bench.job(retired)).state is JobState.SUCCEEDED
    failed = await bench.job(waiting)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.MODEL_UNAVAILABLE
    late = await bench.job(running)
    assert late.failure is not None
    assert late.failure.reason is FailureReason.FINISH_DEADLINE


async def test_a_job_that_could_not_start_in_time_fails_once_nothing_can_come_home(
    bench: Bench,
) -> None:
    waiting = await bench.accept()
    await bench.later(minutes=119)
    unknown = await unanswered(bench)  # the oldest job goes first
    assert unknown.state is JobState.QUEUED
    await bench.later(minutes=1, seconds=30)
    await bench.sweep()
    assert (await bench.job(waiting)).state is JobState.QUEUED  # its attempt has its grace

    await bench.later(minutes=1)
    await bench.sweep()

    failed = await bench.job(waiting)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.START_DEADLINE
    assert await states(bench, waiting) == ["lost"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ProviderBusy(), DelayReason.PROVIDER_BUSY), (ProviderUnreachable(), None)],
)
async def test_a_job_that_was_put_back_waits_for_no_earlier_answer(
    bench: Bench, error: ProviderError, reason: DelayReason | None
) -> None:
    job = await unanswered(bench)
    assert job.delay_reason is DelayReason.PROVIDER_UNCONFIRMED
    await bench.later(seconds=125)
    bench.provider.refuse(error)
    await bench.dispatch_all()

    put_back = await bench.job(job)

    assert await states(bench, job) == ["unknown", "refused"]
    assert (put_back.delay_reason, put_back.delay_until_time) == (reason, None)


@pytest.mark.parametrize("number", [1, 2])
async def test_a_vanished_dispatcher_promises_another_try_only_where_there_is_one(
    bench: Bench, number: int
) -> None:
    job = await unanswered(bench) if number == 2 else await bench.accept()
    await bench.later(seconds=125)
    await dispatch(bench.context)
    await bench.query(
        "UPDATE attempt SET state = 'submitting', task_id = NULL, accept_time = NULL,"
        " read_time = NULL WHERE number = %s",
        number,
    )
    await bench.query(
        "UPDATE job SET state = 'queued', finish_deadline_time = NULL, dispatch_time = now()"
    )
    await bench.later(seconds=61)
    await bench.sweep()

    orphaned = await bench.job(job)
    assert orphaned.delay_reason is DelayReason.PROVIDER_UNCONFIRMED
    is_last = orphaned.delay_until_time == orphaned.start_deadline_time
    assert is_last is (number == 2)


async def test_a_second_attempt_that_is_refused_leaves_the_job_to_the_first(bench: Bench) -> None:
    job = await unanswered(bench)
    await bench.later(seconds=125)
    bench.provider.refuse(REFUSED())
    await bench.dispatch_all()

    left = await bench.job(job)
    assert left.delay_reason is DelayReason.PROVIDER_UNCONFIRMED
    assert left.delay_until_time == left.start_deadline_time
    for _ in range(3):
        await bench.later(minutes=2)
        await bench.dispatch_all()
    assert len(bench.provider.created) == 2
    await bench.callback(SUCCESS, call=1)
    await bench.fetch_all()
    assert (await bench.job(job)).state is JobState.SUCCEEDED
