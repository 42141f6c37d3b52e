import asyncio
from decimal import Decimal

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
from generation_svc.lifecycle.dispatch import dispatch
from tests.lifecycle import Bench, FakeProvider, OpenBench

PROBE = 16
"""Seconds after which a probe is due."""


async def reason(bench: Bench) -> DelayReason | None:
    async with bench.transaction() as tx:
        return (await tx.budget.breaker()).reason


async def trip(bench: Bench, error: ProviderError | None = None) -> None:
    """Have the provider turn the account away, and look no better to a probe."""
    error = error or ProviderAccount(code="401")
    bench.provider.refuse(error)
    bench.provider.balance = error
    await bench.run(owner="tripper")


def heal(bench: Bench) -> None:
    bench.provider.refuse(None)
    bench.provider.balance = Decimal(100)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(ProviderAccount(code="401"), DelayReason.PROVIDER_ACCOUNT, id="account"),
        pytest.param(ProviderMaintenance(), DelayReason.PROVIDER_MAINTENANCE, id="maintenance"),
    ],
)
async def test_a_plain_word_opens_it_at_once(
    bench: Bench, error: ProviderError, expected: DelayReason
) -> None:
    await trip(bench, error)
    waiting = await bench.accept()

    assert await reason(bench) is expected
    assert not await dispatch(bench.context)
    assert len(bench.provider.created) == 1
    await bench.sweep()
    assert (await bench.job(waiting)).delay_reason is expected


@pytest.mark.parametrize("error", [ProviderUnreachable(), ProviderSilent()], ids=repr)
async def test_transport_errors_open_it_when_they_repeat(
    bench: Bench, error: ProviderError
) -> None:
    bench.provider.refuse(error)
    for n in range(5):
        await bench.accept(owner=f"user:{n}")

    await bench.dispatch_all()

    assert len(bench.provider.created) == 3
    assert await reason(bench) is DelayReason.PROVIDER_UNREACHABLE


async def test_a_not_now_never_opens_it(bench: Bench) -> None:
    bench.provider.refuse(ProviderBusy())
    for n in range(6):
        await bench.accept(owner=f"user:{n}")
    await bench.dispatch_all()
    assert await reason(bench) is None


async def test_an_account_without_credits_stays_away(bench: Bench) -> None:
    await trip(bench)
    heal(bench)
    bench.provider.balance = Decimal(0)

    await bench.later(seconds=PROBE)
    await bench.dispatch_all()

    assert await reason(bench) is DelayReason.PROVIDER_ACCOUNT
    assert len(bench.provider.created) == 1


async def test_while_it_is_open_one_job_at_a_time_goes_through(
    bench: Bench, open_bench: OpenBench
) -> None:
    other = await open_bench(sharing=bench)
    await trip(bench, ProviderMaintenance())
    bench.provider.balance = Decimal(100)  # only createTask is in maintenance
    for n in range(10):
        await bench.accept(owner=f"user:{n}")

    for probes in (1, 2):
        await bench.later(seconds=PROBE)
        await asyncio.gather(*(each.dispatch_all() for each in [bench, other] * 4))
        assert bench.provider.probes == probes
        assert len(bench.provider.created) == 1 + probes
    assert await reason(bench) is DelayReason.PROVIDER_MAINTENANCE

    heal(bench)
    await bench.later(minutes=1)
    await bench.dispatch_all()
    assert await reason(bench) is None
    assert len(bench.provider.created) == 3 + 11


async def test_a_dispatcher_that_waited_finds_it_open_and_gives_its_job_back(
    bench: Bench,
) -> None:
    async def trip_behind_its_back(data: bytes, **named: str) -> str:
        async with bench.transaction() as tx:
            await tx.budget.trip(
                DelayReason.PROVIDER_ACCOUNT, threshold=1, interval=bench.context.pace.busy_retry
            )
        return "https://kie.example/x.png"

    bench.provider.upload = trip_behind_its_back  # type: ignore[method-assign]
    job = await bench.accept(
        model_id="qwen/image-edit",
        inputs={"prompt": "a hat", "image": "data:image/png;base64,AAAA"},
    )
    await dispatch(bench.context)

    assert bench.provider.created == []
    assert (await bench.job(job)).state is JobState.QUEUED


@pytest.mark.parametrize("kind", ["nothing-to-send", "busy"])
async def test_a_probe_that_says_nothing_ill_closes_it(bench: Bench, kind: str) -> None:
    await trip(bench)
    heal(bench)
    if kind == "busy":
        bench.provider.refuse(ProviderBusy())
    else:
        await bench.query("UPDATE job SET dispatch_time = now() + interval '1 hour'")

    await bench.later(seconds=PROBE)
    await dispatch(bench.context)

    assert await reason(bench) is None


async def test_a_prober_that_was_killed_is_followed_by_another(bench: Bench) -> None:
    await trip(bench)
    heal(bench)
    started = asyncio.Event()

    async def hang(provider: FakeProvider, task_id: str) -> str:
        started.set()
        await asyncio.Event().wait()
        return task_id

    bench.provider.answer = hang
    waiting = await bench.accept()
    await bench.later(seconds=PROBE)
    prober = asyncio.create_task(dispatch(bench.context))
    await started.wait()
    prober.cancel()
    await asyncio.wait({prober})
    assert not await dispatch(bench.context)

    heal(bench)
    await bench.later(seconds=61)
    await bench.dispatch_all()

    assert await reason(bench) is None
    assert (await bench.job(waiting)).state is JobState.RUNNING


@pytest.mark.parametrize(
    "error",
    [ProviderUnreachable(), ProviderMaintenance(), ProviderAccount(code="402")],
    ids=lambda error: type(error).__name__,
)
async def test_an_hour_of_outage_fails_no_job_and_users_know_why_they_wait(
    bench: Bench, error: ProviderError
) -> None:
    jobs = [await bench.accept(owner=f"user:{n}") for n in range(6)]
    bench.provider.refuse(error)
    bench.provider.balance = error
    for _ in range(30):
        await bench.dispatch_all()
        await bench.sweep()
        await bench.later(minutes=2)

    waiting = [await bench.job(job) for job in jobs]
    assert {job.state for job in waiting} == {JobState.QUEUED}
    assert {job.delay_reason for job in waiting} == {await reason(bench)} != {None}
    assert {len(await bench.history(job)) for job in jobs} == {2}  # told once, not again and again
    assert bench.provider.probes > 20

    heal(bench)
    for _ in range(2):
        await bench.dispatch_all()
        await bench.sweep()
        await bench.later(seconds=PROBE)
    running = [await bench.job(job) for job in jobs]
    assert {(job.state, job.delay_reason) for job in running} == {(JobState.RUNNING, None)}


async def test_an_hour_of_silence_sends_nothing_a_third_time_and_fails_no_job(
    bench: Bench,
) -> None:
    jobs = [await bench.accept(owner=f"user:{n}") for n in range(4)]
    bench.provider.refuse(ProviderSilent())
    for _ in range(30):
        await bench.dispatch_all()
        await bench.sweep()
        await bench.later(minutes=2)

    assert {(await bench.job(job)).state for job in jobs} == {JobState.QUEUED}
    for job in jobs:
        assert len(await bench.attempts(job)) <= 2


async def test_waiting_jobs_lose_their_label_when_it_closes(open_bench: OpenBench) -> None:
    bench = await open_bench()
    await trip(bench)
    await bench.query("UPDATE job SET dispatch_time = now() + interval '1 day'")
    job = await bench.accept()
    await bench.sweep()
    assert (await bench.job(job)).delay_reason is DelayReason.PROVIDER_ACCOUNT

    async with bench.transaction() as tx:
        await tx.budget.close_breaker()
    await bench.sweep()
    await bench.sweep()

    assert (await bench.job(job)).delay_reason is None
    assert [revision for revision, _ in await bench.history(job)] == [1, 2, 3]


async def test_what_was_put_off_is_due_at_once_when_it_closes(bench: Bench) -> None:
    await trip(bench)
    (row,) = await bench.query("SELECT dispatch_time > now() AS is_later FROM job")
    assert row["is_later"]
    await bench.later(seconds=PROBE)
    await bench.query("UPDATE job SET dispatch_time = now() + interval '1 hour'")
    heal(bench)
    await bench.run()
    assert await reason(bench) is None

    assert await dispatch(bench.context)
    (row,) = await bench.query("SELECT count(*) AS waiting FROM job WHERE state = 'queued'")
    assert row["waiting"] == 0
