import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from generation_svc.domain.error import (
    ProviderAccount,
    ProviderBusy,
    ProviderError,
    ProviderMaintenance,
    ProviderSilent,
    ProviderUnreachable,
)
from generation_svc.domain.job import DelayReason, JobState
from generation_svc.storage.account import FIRST_ACCOUNT
from tests.lifecycle import FakeProvider, Harness, OpenBench
from tests.step import dispatch

PROBE = 16
"""Seconds after which a probe is due."""


async def reason(harness: Harness) -> DelayReason | None:
    async with harness.transaction() as tx:
        return (await tx.breaker.states((FIRST_ACCOUNT,)))[FIRST_ACCOUNT].reason


async def trip(harness: Harness, error: ProviderError | None = None) -> None:
    """Have the provider turn the account away, and look no better to a probe."""
    error = error or ProviderAccount(code="401")
    harness.provider.refuse(error)
    harness.provider.left = error
    await harness.run(owner="tripper")


def heal(harness: Harness) -> None:
    harness.provider.refuse(None)
    harness.provider.left = Decimal(100)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(ProviderAccount(code="401"), DelayReason.PROVIDER_ACCOUNT, id="account"),
        pytest.param(ProviderMaintenance(), DelayReason.PROVIDER_MAINTENANCE, id="maintenance"),
    ],
)
async def test_a_plain_word_opens_it_at_once(
    harness: Harness, error: ProviderError, expected: DelayReason
) -> None:
    await trip(harness, error)
    waiting = await harness.accept()

    assert await reason(harness) is expected
    assert not await dispatch(harness.deps)
    assert len(harness.provider.created) == 1
    await harness.sweep()
    assert (await harness.job(waiting)).delay_reason is expected


@pytest.mark.parametrize("error", [ProviderUnreachable(), ProviderSilent()], ids=repr)
async def test_transport_errors_open_it_when_they_repeat(
    harness: Harness, error: ProviderError
) -> None:
    harness.provider.refuse(error)
    for n in range(5):
        await harness.accept(owner=f"user:{n}")

    await harness.dispatch_all()

    assert len(harness.provider.created) == 3
    assert await reason(harness) is DelayReason.PROVIDER_UNREACHABLE


async def test_a_not_now_never_opens_it(harness: Harness) -> None:
    harness.provider.refuse(ProviderBusy())
    for n in range(6):
        await harness.accept(owner=f"user:{n}")
    await harness.dispatch_all()
    assert await reason(harness) is None


async def test_an_account_without_credits_stays_away(harness: Harness) -> None:
    await trip(harness)
    heal(harness)
    harness.provider.left = Decimal(0)

    await harness.later(seconds=PROBE)
    await harness.dispatch_all()

    assert await reason(harness) is DelayReason.PROVIDER_ACCOUNT
    assert len(harness.provider.created) == 1


async def test_while_it_is_open_one_job_at_a_time_goes_through(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await open_bench(sharing=harness)
    await trip(harness, ProviderMaintenance())
    harness.provider.left = Decimal(100)  # only createTask is in maintenance
    for n in range(10):
        await harness.accept(owner=f"user:{n}")

    for probes in (1, 2):
        await harness.later(seconds=PROBE)
        await asyncio.gather(*(each.dispatch_all() for each in [harness, other] * 4))
        assert harness.provider.probes == probes
        assert len(harness.provider.created) == 1 + probes
    assert await reason(harness) is DelayReason.PROVIDER_MAINTENANCE

    heal(harness)
    await harness.later(minutes=1)
    await harness.dispatch_all()
    assert await reason(harness) is None
    assert len(harness.provider.created) == 3 + 11


async def test_a_dispatcher_that_waited_finds_it_open_and_gives_its_job_back(
    harness: Harness,
) -> None:
    async def trip_behind_its_back(path: Path, **named: str) -> str:
        async with harness.transaction() as tx:
            await tx.breaker.trip(
                FIRST_ACCOUNT,
                reason=DelayReason.PROVIDER_ACCOUNT,
                threshold=1,
                interval=harness.deps.timing.busy_retry,
            )
        return "https://kie.example/x.png"

    harness.provider.upload = trip_behind_its_back  # type: ignore[method-assign]
    job = await harness.accept(
        model_id="qwen/image-edit",
        inputs={"prompt": "a hat", "image": "data:image/png;base64,AAAA"},
    )
    await dispatch(harness.deps)

    assert harness.provider.created == []
    assert (await harness.job(job)).state is JobState.QUEUED


@pytest.mark.parametrize("kind", ["nothing-to-send", "busy"])
async def test_a_probe_that_says_nothing_ill_closes_it(harness: Harness, kind: str) -> None:
    await trip(harness)
    heal(harness)
    if kind == "busy":
        harness.provider.refuse(ProviderBusy())
    else:
        await harness.query("UPDATE job SET dispatch_time = now() + interval '1 hour'")

    await harness.later(seconds=PROBE)
    await dispatch(harness.deps)

    assert await reason(harness) is None


async def test_a_prober_that_was_killed_is_followed_by_another(harness: Harness) -> None:
    await trip(harness)
    heal(harness)
    started = asyncio.Event()

    async def hang(provider: FakeProvider, task_id: str) -> str:
        started.set()
        await asyncio.Event().wait()
        return task_id

    harness.provider.answer = hang
    waiting = await harness.accept()
    await harness.later(seconds=PROBE)
    prober = asyncio.create_task(dispatch(harness.deps))
    await started.wait()
    prober.cancel()
    await asyncio.wait({prober})
    assert not await dispatch(harness.deps)

    heal(harness)
    await harness.later(seconds=61)
    await harness.dispatch_all()

    assert await reason(harness) is None
    assert (await harness.job(waiting)).state is JobState.RUNNING


@pytest.mark.parametrize(
    "error",
    [ProviderUnreachable(), ProviderMaintenance(), ProviderAccount(code="402")],
    ids=lambda error: type(error).__name__,
)
async def test_an_hour_of_outage_fails_no_job_and_users_know_why_they_wait(
    harness: Harness, error: ProviderError
) -> None:
    jobs = [await harness.accept(owner=f"user:{n}") for n in range(6)]
    harness.provider.refuse(error)
    harness.provider.left = error
    for _ in range(30):
        await harness.dispatch_all()
        await harness.sweep()
        await harness.later(minutes=2)

    waiting = [await harness.job(job) for job in jobs]
    assert {job.state for job in waiting} == {JobState.QUEUED}
    assert {job.delay_reason for job in waiting} == {await reason(harness)} != {None}
    assert {len(await harness.history(job)) for job in jobs} == {
        2
    }  # told once, not again and again
    assert harness.provider.probes > 20

    heal(harness)
    for _ in range(2):
        await harness.dispatch_all()
        await harness.sweep()
        await harness.later(seconds=PROBE)
    running = [await harness.job(job) for job in jobs]
    assert {(job.state, job.delay_reason) for job in running} == {(JobState.RUNNING, None)}


async def test_an_hour_of_silence_sends_nothing_a_third_time_and_fails_no_job(
    harness: Harness,
) -> None:
    jobs = [await harness.accept(owner=f"user:{n}") for n in range(4)]
    harness.provider.refuse(ProviderSilent())
    for _ in range(30):
        await harness.dispatch_all()
        await harness.sweep()
        await harness.later(minutes=2)

    assert {(await harness.job(job)).state for job in jobs} == {JobState.QUEUED}
    for job in jobs:
        assert len(await harness.attempts(job)) <= 2


async def test_waiting_jobs_lose_their_label_when_it_closes(open_bench: OpenBench) -> None:
    harness = await open_bench()
    await trip(harness)
    await harness.query("UPDATE job SET dispatch_time = now() + interval '1 day'")
    job = await harness.accept()
    await harness.sweep()
    assert (await harness.job(job)).delay_reason is DelayReason.PROVIDER_ACCOUNT

    async with harness.transaction() as tx:
        await tx.breaker.close(FIRST_ACCOUNT)
    await harness.sweep()
    await harness.sweep()

    assert (await harness.job(job)).delay_reason is None
    assert [revision for revision, _ in await harness.history(job)] == [1, 2, 3]


async def test_what_was_put_off_is_due_at_once_when_it_closes(harness: Harness) -> None:
    await trip(harness)
    (row,) = await harness.query("SELECT dispatch_time > now() AS is_later FROM job")
    assert row["is_later"]
    await harness.later(seconds=PROBE)
    await harness.query("UPDATE job SET dispatch_time = now() + interval '1 hour'")
    heal(harness)
    await harness.run()
    assert await reason(harness) is None

    assert await dispatch(harness.deps)
    (row,) = await harness.query("SELECT count(*) AS waiting FROM job WHERE state = 'queued'")
    assert row["waiting"] == 0
