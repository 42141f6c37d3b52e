"""A model that the provider switched off: hidden for a while, then tried by one job."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from generation_svc.domain.error import ModelUnavailable, ProviderRefused, ProviderSilent
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.engine import dispatch as dispatch_module
from generation_svc.lifecycle import model_outage
from generation_svc.storage.model_store import PostgresModelStore
from tests.lifecycle import FakeProvider, Harness, OpenBench
from tests.step import dispatch

OFF = ProviderRefused(
    "switched off",
    code="500",
    reason=FailureReason.MODEL_UNAVAILABLE,
    text="This interface is temporarily paused, please use another one.",
)
OTHER = "qwen/text-to-image"
SWITCHED_OFF = "atelier_provider_models_switched_off_total"


async def switched_off(harness: Harness, **accepted: Any) -> Job:
    harness.provider.refuse(OFF)
    return await harness.run(**accepted)


def reason_of(job: Job) -> FailureReason | None:
    return job.failure.reason if job.failure else None


async def test_a_model_that_is_off_fails_the_job_at_once_and_is_hidden(harness: Harness) -> None:
    job = await switched_off(harness)

    assert reason_of(job) is FailureReason.MODEL_UNAVAILABLE
    with pytest.raises(ModelUnavailable) as caught:
        await harness.accept(owner="user:2")
    assert 590 < caught.value.retry_after.total_seconds() <= 600
    assert set(await model_outage.resting(harness.deps)) == {"z-image"}
    labels = {"model": "z-image"}
    assert harness.registry.get_sample_value(SWITCHED_OFF, labels) == 1
    harness.provider.refuse(None)
    assert (await harness.run(model_id=OTHER)).state is JobState.RUNNING


async def test_every_replica_knows(harness: Harness, open_bench: OpenBench) -> None:
    await switched_off(harness)
    other = await open_bench(sharing=harness)
    with pytest.raises(ModelUnavailable):
        await other.accept(owner="user:2")
    assert set(await model_outage.resting(other.deps)) == {"z-image"}


async def test_jobs_that_wait_for_it_fail_without_being_sent(harness: Harness) -> None:
    waiting = [await harness.accept(owner=f"user:{n}") for n in range(4)]
    harness.provider.refuse(OFF)
    await harness.dispatch_all()

    reasons = {reason_of(await harness.job(job)) for job in waiting}
    assert reasons == {FailureReason.MODEL_UNAVAILABLE}
    assert len(harness.provider.created) == 1


async def test_an_earlier_request_is_still_answered_with_its_job(harness: Harness) -> None:
    job = await switched_off(harness, request_id="r1")
    assert (await harness.accept(request_id="r1")).id == job.id


async def test_after_a_while_one_job_alone_tries_it(harness: Harness) -> None:
    await switched_off(harness)
    await harness.later(minutes=11)
    trial = await harness.accept(owner="user:2")
    for owner in ("user:3", "user:4"):
        with pytest.raises(ModelUnavailable):
            await harness.accept(owner=owner)

    await harness.dispatch_all()

    assert reason_of(await harness.job(trial)) is FailureReason.MODEL_UNAVAILABLE
    assert len(harness.provider.created) == 2
    with pytest.raises(ModelUnavailable) as caught:
        await harness.accept(owner="user:3")
    assert caught.value.retry_after.total_seconds() > 500


@pytest.mark.parametrize(
    "refusal",
    [None, ProviderRefused("no", code="422", reason=FailureReason.CONTENT_REFUSED)],
    ids=["taken", "refused for what it asks for"],
)
async def test_a_trial_that_shows_the_model_ends_the_outage(
    harness: Harness, refusal: ProviderRefused | None
) -> None:
    await switched_off(harness)
    await harness.later(minutes=11)
    harness.provider.refuse(refusal)
    await harness.run(owner="user:2")

    harness.provider.refuse(None)
    assert (await harness.run(owner="user:3")).state is JobState.RUNNING
    assert await harness.query("SELECT * FROM model_outage") == []


async def test_a_trial_without_an_answer_leaves_it_to_another_one(harness: Harness) -> None:
    await switched_off(harness)
    await harness.later(minutes=11)
    harness.provider.refuse(ProviderSilent())
    await harness.run(owner="user:2")
    with pytest.raises(ModelUnavailable):
        await harness.accept(owner="user:3")

    await harness.later(seconds=61)
    harness.provider.refuse(None)
    assert (await harness.run(owner="user:3")).state is JobState.RUNNING


async def test_two_dispatchers_let_one_trial_through(harness: Harness) -> None:
    """Both jobs were accepted before the model went off."""
    first, second = [await harness.accept(owner=f"user:{n}") for n in range(2)]
    async with harness.transaction() as tx:
        await model_outage.begin(harness.deps, tx, model_id="z-image", text="paused")
    await harness.later(minutes=11)
    reached, gate = asyncio.Event(), asyncio.Event()

    async def slowly(provider: FakeProvider, task_id: str) -> str:
        reached.set()
        await gate.wait()
        return task_id

    harness.provider.answer = slowly
    trial = asyncio.create_task(dispatch(harness.deps))
    await reached.wait()
    await dispatch(harness.deps)
    states = [(await harness.job(job)).state for job in (first, second)]
    gate.set()
    await trial

    assert states == [JobState.QUEUED, JobState.QUEUED]
    assert len(harness.provider.created) == 1
    await harness.later(seconds=10)
    await harness.dispatch_all()
    assert [(await harness.job(job)).state for job in (first, second)] == [JobState.RUNNING] * 2


async def test_a_task_that_fails_since_its_model_is_off_hides_it_too(harness: Harness) -> None:
    job = await harness.run()
    failure = Observation(
        ProviderState.FAILED, word="fail", fail_code="505", fail_message="disabled"
    )
    await harness.callback(failure)

    assert reason_of(await harness.job(job)) is FailureReason.MODEL_UNAVAILABLE
    with pytest.raises(ModelUnavailable):
        await harness.accept()


async def test_words_of_a_user_hide_no_model(harness: Harness) -> None:
    job = await harness.run()
    words = "This interface is temporarily paused"
    failure = Observation(
        ProviderState.FAILED, word="fail", fail_code="500", fail_message=f"prompt: {words}"
    )
    await harness.callback(failure)

    assert reason_of(await harness.job(job)) is FailureReason.GENERATION_FAILED
    assert (await harness.run(owner="user:2")).state is JobState.RUNNING


async def test_an_ordinary_job_asks_nothing_about_models_that_are_off(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    rest_left = PostgresModelStore.rest_left

    async def counted(store: PostgresModelStore, model_id: str) -> timedelta | None:
        asked.append(model_id)
        return await rest_left(store, model_id)

    monkeypatch.setattr(PostgresModelStore, "rest_left", counted)
    await harness.run()
    assert asked == []
    await switched_off(harness)
    with pytest.raises(ModelUnavailable):
        await harness.accept(owner="user:2")
    assert asked == ["z-image"]


async def test_a_replica_that_does_not_know_yet_lets_a_job_in_that_fails_unsent(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await open_bench(sharing=harness)
    assert await model_outage.resting(other.deps) == {}
    await switched_off(harness)
    other.deps.models.off._good_until = float("inf")  # its reading is as old as it may be

    late = await other.run(owner="user:2")

    assert reason_of(late) is FailureReason.MODEL_UNAVAILABLE
    assert len(harness.provider.created) == 1


async def test_who_may_try_a_model_is_asked_with_the_jobs_row_locked_first(
    harness: Harness,
) -> None:
    job = await harness.accept()
    async with harness.transaction() as tx:
        await model_outage.begin(harness.deps, tx, model_id="z-image", text="paused")
    await harness.later(minutes=11)
    async with harness.transaction() as tx:
        claim = await harness.claim(tx, most_active=9)
    assert claim is not None
    assert claim.is_trial
    async with harness.connection.transaction():
        await harness.query("SELECT FROM job WHERE id = %s FOR UPDATE", job.id)
        asking = asyncio.create_task(dispatch_module._may_try(harness.deps, claim))
        await until_blocked(harness, asking)
        await harness.query("SELECT FROM model_outage FOR UPDATE NOWAIT")
    assert await asking


async def until_blocked(harness: Harness, work: asyncio.Task[bool]) -> None:
    """Wait until somebody waits for a lock of the test's connection."""
    waiting = "SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    async with asyncio.timeout(30):
        while not (await harness.connection.execute(waiting)).rowcount:
            assert not work.done()
            await asyncio.sleep(0.01)
