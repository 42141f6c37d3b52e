"""Several accounts at one provider: each within its limits, and one of them is of no use."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from generation_svc.domain.account import Account
from generation_svc.domain.error import ProviderAccount
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import DelayReason, Job, JobState
from generation_svc.engine.maintenance.accounts import end_unreadable, watch_accounts
from tests.lifecycle import (
    FAILURE,
    GENEROUS,
    SUCCESS,
    FakeProvider,
    Harness,
    OpenBench,
)
from tests.step import dispatch

ONE, TWO = "one", "two"
WINDOW = timedelta(seconds=60)
REVOKED = ProviderAccount("KIE refuses the account (401)", code="401")
NO_CREDITS = ProviderAccount("KIE refuses the account (402)", code="402")
UNLIMITED = replace(GENEROUS, active_jobs_per_owner=1000)


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await open_bench(accounts=(ONE, TWO))


async def limited(open_bench: OpenBench, **limits: int | timedelta) -> Harness:
    changed = replace(UNLIMITED, create_window=WINDOW, **limits)  # type: ignore[arg-type]
    return await open_bench(accounts=(ONE, TWO), limits=changed)


async def accept(harness: Harness, count: int) -> list[Job]:
    return [await harness.accept(owner=f"user:{n}") for n in range(count)]


async def dispatch_what_is_due(harness: Harness) -> None:
    """Dispatch without waiting for what is due later."""
    async with harness.transaction() as tx:
        before = await harness.claim(tx)
        if before:
            await tx.queue.release(before, due=timedelta(0))
    while before:
        await dispatch(harness.deps)
        async with harness.transaction() as tx:
            before = await harness.claim(tx, most_active=harness.deps.limits.active_tasks)
            if before:
                await tx.queue.release(before, due=timedelta(0))


async def states(harness: Harness, jobs: list[Job]) -> Mapping[JobState, int]:
    return Counter([(await harness.job(job)).state for job in jobs])


async def reasons(harness: Harness) -> dict[str, DelayReason | None]:
    async with harness.transaction() as tx:
        found = await tx.breaker.states(harness.deps.provider.accounts)
    return {account.name: state.reason for account, state in found.items()}


async def test_two_accounts_send_twice_as_much_each_within_its_rate(open_bench: OpenBench) -> None:
    harness = await limited(open_bench, creates_per_window=3)
    jobs = await accept(harness, 8)

    await dispatch_what_is_due(harness)

    assert Counter(harness.provider.used) == {ONE: 3, TWO: 3}
    assert await states(harness, jobs) == {JobState.RUNNING: 6, JobState.QUEUED: 2}
    await harness.later(seconds=WINDOW.total_seconds() * 1.1)
    await dispatch_what_is_due(harness)
    assert Counter(harness.provider.used) == {ONE: 4, TWO: 4}


async def test_two_accounts_hold_twice_as_many_tasks_each_within_its_own(
    open_bench: OpenBench,
) -> None:
    harness = await limited(open_bench, creates_per_window=100, active_tasks=2)
    jobs = await accept(harness, 6)

    await dispatch_what_is_due(harness)
    assert Counter(harness.provider.used) == {ONE: 2, TWO: 2}

    on_two = harness.provider.used.index(TWO) + 1
    await harness.callback(FAILURE, call=on_two)
    await dispatch_what_is_due(harness)
    assert Counter(harness.provider.used) == {ONE: 2, TWO: 3}
    assert (await states(harness, jobs))[JobState.QUEUED] == 1


async def test_an_attempt_knows_its_account_before_it_is_sent(harness: Harness) -> None:
    seen: list[str] = []

    async def answer(provider: FakeProvider, task_id: str) -> str:
        (row,) = await harness.query(
            "SELECT provider, account FROM attempt WHERE state = 'submitting'"
        )
        seen.append(f"{row['provider']}/{row['account']}")
        return task_id

    harness.provider.answer = answer
    for job in await accept(harness, 2):
        await harness.dispatch_all()
        assert (await harness.job(job)).state is JobState.RUNNING
    assert seen == [f"kie/{name}" for name in harness.provider.used]


@pytest.mark.parametrize("error", [REVOKED, NO_CREDITS], ids=["401", "402"])
async def test_what_an_account_refuses_goes_on_with_the_other_at_once(
    harness: Harness, error: ProviderAccount
) -> None:
    harness.provider.closed[ONE] = error
    jobs = await accept(harness, 6)

    await harness.dispatch_all()
    await harness.sweep()

    assert await states(harness, jobs) == {JobState.RUNNING: 6}
    assert Counter(harness.provider.used) == {ONE: 1, TWO: 6}
    assert await reasons(harness) == {ONE: DelayReason.PROVIDER_ACCOUNT, TWO: None}
    assert not [job for job in jobs if "delayed" in await harness.events(job)]


async def test_a_picture_that_one_account_does_not_take_goes_to_the_other(
    harness: Harness,
) -> None:
    harness.provider.closed[ONE] = REVOKED
    job = await harness.accept(
        model_id="qwen/image-edit",
        inputs={"prompt": "a hat", "image": "data:image/png;base64,AAAA"},
    )

    await harness.dispatch_all()

    assert (await harness.job(job)).state is JobState.RUNNING
    assert harness.provider.used == [TWO]
    assert await reasons(harness) == {ONE: DelayReason.PROVIDER_ACCOUNT, TWO: None}


async def test_users_are_told_why_they_wait_only_when_no_account_is_left(
    harness: Harness,
) -> None:
    harness.provider.closed = {ONE: REVOKED, TWO: NO_CREDITS}
    (job,) = await accept(harness, 1)
    await harness.dispatch_all()
    await harness.sweep()
    assert (await harness.job(job)).delay_reason is DelayReason.PROVIDER_ACCOUNT

    del harness.provider.closed[TWO]
    await harness.later(seconds=16)
    await harness.dispatch_all()
    await harness.sweep()

    found = await harness.job(job)
    assert (found.state, found.delay_reason) == (JobState.RUNNING, None)
    assert await reasons(harness) == {ONE: DelayReason.PROVIDER_ACCOUNT, TWO: None}


async def test_a_replica_that_does_not_know_an_account_yet_tells_nothing_else(
    harness: Harness, open_bench: OpenBench
) -> None:
    older = await open_bench(accounts=(ONE,), sharing=harness)
    harness.provider.closed[ONE] = REVOKED
    (job,) = await accept(harness, 1)
    await older.dispatch_all()
    await watch_accounts(harness.deps)
    await older.sweep()
    assert (await harness.job(job)).delay_reason is None

    await harness.later(minutes=3)  # nobody knows the other account any more
    await older.sweep()
    assert (await harness.job(job)).delay_reason is DelayReason.PROVIDER_ACCOUNT


async def test_a_probe_uses_the_account_that_it_probes(harness: Harness) -> None:
    harness.provider.closed[ONE] = REVOKED
    await accept(harness, 2)
    await harness.dispatch_all()
    harness.provider.closed.clear()
    harness.provider.used.clear()

    await harness.later(seconds=16)
    await accept(harness, 1)
    assert await dispatch(harness.deps)

    assert harness.provider.used == [ONE]
    assert await reasons(harness) == {ONE: None, TWO: None}


async def run_on(harness: Harness, account: str, **accepted: Any) -> Job:
    """Have a job run on an account, whatever else has to run for that."""
    while True:
        job = await harness.accept(owner=f"user:{len(harness.provider.used)}", **accepted)
        assert await dispatch(harness.deps)
        if harness.provider.used[-1] == account:
            return job


async def test_what_runs_on_a_revoked_account_ends_by_its_callback(harness: Harness) -> None:
    job = await run_on(harness, ONE)
    call = len(harness.provider.used)
    harness.provider.closed[ONE] = REVOKED
    await harness.later(hours=1)
    await harness.poll_all()
    assert (await harness.job(job)).state is JobState.RUNNING

    await harness.callback(SUCCESS, call=call)
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_what_runs_on_a_revoked_account_is_read_when_it_is_back(harness: Harness) -> None:
    job = await run_on(harness, ONE)
    harness.provider.tasks[f"task-{len(harness.provider.used)}"] = SUCCESS
    harness.provider.closed[ONE] = REVOKED
    for _ in range(5):
        await harness.later(minutes=30)
        await harness.poll_all()
        await harness.sweep()
        await end_unreadable(harness.deps)
    assert (await harness.job(job)).state is JobState.RUNNING

    harness.provider.closed.clear()
    await harness.later(minutes=1)
    await harness.poll_all()
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_what_runs_on_a_revoked_account_ends_at_the_hard_stop(harness: Harness) -> None:
    job = await run_on(harness, ONE)
    harness.provider.closed[ONE] = REVOKED
    await harness.later(hours=25)
    await harness.poll_all()
    await harness.sweep()
    found = await harness.job(job)
    assert found.failure is not None
    assert found.failure.reason is FailureReason.FINISH_DEADLINE


async def test_what_an_account_made_that_is_gone_is_not_read_and_ends_late(
    harness: Harness, open_bench: OpenBench
) -> None:
    job = await run_on(harness, ONE)
    without = await open_bench(accounts=(TWO,), sharing=harness)
    await without.later(minutes=5)
    await without.poll_all()
    with capture_logs() as logs:
        await end_unreadable(without.deps)
    (warning,) = [log for log in logs if log["log_level"] == "warning"]
    assert (warning["account"], warning["tasks"]) == ("kie/one", harness.provider.used.count(ONE))
    assert harness.provider.reads == [f"task-{n}" for n in range(1, len(harness.provider.used))]
    assert (await without.job(job)).state is JobState.RUNNING

    await without.later(minutes=30)
    await end_unreadable(without.deps)

    found = await without.job(job)
    assert found.failure is not None
    assert found.failure.reason is FailureReason.FINISH_DEADLINE


async def test_what_another_replica_reads_is_not_ended_by_one_that_does_not_know_its_account(
    harness: Harness, open_bench: OpenBench
) -> None:
    job = await run_on(harness, ONE)
    without = await open_bench(accounts=(TWO,), sharing=harness)
    harness.provider.closed[ONE] = REVOKED
    for _ in range(6):
        await harness.later(minutes=9)
        await harness.poll_all()  # it tries, and cannot: the provider is away for this account
        await end_unreadable(without.deps)

    assert (await harness.job(job)).state is JobState.RUNNING


async def test_the_callback_of_an_account_that_is_gone_is_believed(
    harness: Harness, open_bench: OpenBench
) -> None:
    job = await run_on(harness, ONE)
    without = await open_bench(accounts=(TWO,), sharing=harness)
    await without.callback(SUCCESS)
    await without.fetch_all()
    assert (await without.job(job)).state is JobState.SUCCEEDED


async def test_jobs_that_wait_for_an_account_that_is_gone_go_to_the_others(
    harness: Harness, open_bench: OpenBench
) -> None:
    harness.provider.closed = {ONE: REVOKED, TWO: REVOKED}
    (job,) = await accept(harness, 1)
    await harness.dispatch_all()
    harness.provider.closed.clear()
    without = await open_bench(accounts=("three",), sharing=harness)
    without.provider.closed.clear()
    await without.dispatch_all()
    assert (await without.job(job)).state is JobState.RUNNING
    assert without.provider.used[-1] == "three"


async def test_one_replica_asks_for_a_balance_and_all_show_it(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await open_bench(sharing=harness)
    harness.provider.left = Decimal("5916.25")
    harness.provider.closed[TWO] = REVOKED
    for _ in range(2):
        await watch_accounts(harness.deps)
        await watch_accounts(other.deps)
    assert harness.provider.probes == 2

    async with harness.transaction() as tx:
        known = await tx.breaker.balances(harness.deps.provider.accounts)
    assert known == {Account("kie", ONE): Decimal("5916.25")}
    for replica in (harness, other):
        (metric,) = replica.deps.meter.account_balance.collect()
        shown = [(each.labels["account"], each.value) for each in metric.samples]
        assert shown == [(ONE, 5916.25)]
    await harness.later(minutes=1)
    await watch_accounts(other.deps)
    assert harness.provider.probes == 4
