"""A job that refers to an earlier one goes to its account; a submission may be answered at once."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from generation_svc.domain.error import ReferenceUnavailable
from generation_svc.domain.job import Job, JobState
from generation_svc.engine.dispatch import dispatch
from tests.integration.test_lifecycle_account import ONE, REVOKED, TWO, accept, run_on, states
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


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await open_bench(accounts=(ONE, TWO))


async def made_on(harness: Harness, account: str) -> Job:
    """Have a job made on an account."""
    job = await run_on(harness, account)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    return await harness.job(job)


async def test_a_job_that_refers_to_another_goes_to_the_account_that_made_it(
    harness: Harness,
) -> None:
    for account in (TWO, ONE, TWO):
        first = await made_on(harness, account)
        second = await harness.accept(references=(first.id,))
        assert second.account == account
        assert await dispatch(harness.deps)
        assert harness.provider.used[-1] == account


async def test_a_job_that_has_to_wait_for_its_account_keeps_nobody_from_another(
    harness: Harness,
) -> None:
    first = await made_on(harness, ONE)
    harness.provider.closed[ONE] = REVOKED
    bound = await harness.accept(owner="bound", references=(first.id,))
    await harness.dispatch_all()
    others = await accept(harness, 3)
    await harness.dispatch_all()

    assert (await harness.job(bound)).state is JobState.QUEUED
    assert await states(harness, others) == {JobState.RUNNING: 3}

    harness.provider.closed.clear()
    await harness.later(seconds=16)
    await harness.dispatch_all()
    assert (await harness.job(bound)).state is JobState.RUNNING
    assert harness.provider.used[-1] == ONE


async def test_what_nobody_can_continue_is_refused_before_anything_is_held(
    harness: Harness, open_bench: OpenBench
) -> None:
    made, elsewhere = await made_on(harness, ONE), await made_on(harness, TWO)
    running = await run_on(harness, ONE)
    foreign = replace(CALLER, name="somebody-else")
    without = await open_bench(accounts=(TWO,), sharing=harness)
    refused: list[tuple[Harness, dict[str, Any]]] = [
        (harness, {"references": (running.id,)}),
        (harness, {"references": (made.id, elsewhere.id)}),
        (harness, {"references": (made.id,), "caller": foreign}),
        (without, {"references": (made.id,)}),
    ]
    (before,) = await harness.query("SELECT count(*) FROM job")
    kept = dict(harness.store.kept)
    for replica, wishes in refused:
        with pytest.raises(ReferenceUnavailable):
            await replica.accept(
                model_id="qwen/image-edit",
                inputs={"prompt": "a hat", "image": "data:image/png;base64,AAAA"},
                **wishes,
            )
    assert await harness.query("SELECT count(*) FROM job") == [before]
    assert harness.store.kept == kept


async def test_an_answer_may_be_the_result_already(harness: Harness) -> None:
    async def answer(provider: FakeProvider, task_id: str) -> object:
        return replace(SUCCESS, task_id=task_id, cost=Decimal("0.8"))

    harness.provider.answer = answer  # type: ignore[assignment]
    (job,) = await accept(harness, 1)
    await harness.dispatch_all()
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED
    (attempt,) = await harness.attempts(job)
    assert (attempt["state"], attempt["task_id"]) == ("settled", "task-1")
    assert attempt["cost"] == Decimal("0.8")
    assert harness.fetcher.proved == {LINK}
    assert harness.provider.reads == []


@pytest.mark.parametrize("told", [FAILURE, PENDING], ids=["failed", "pending"])
async def test_an_answer_is_observed_as_a_callback_is(harness: Harness, told: object) -> None:
    async def answer(provider: FakeProvider, task_id: str) -> object:
        return replace(told, task_id=task_id)  # type: ignore[type-var]

    harness.provider.answer = answer  # type: ignore[assignment]
    (job,) = await accept(harness, 1)
    await harness.dispatch_all()
    expected = JobState.FAILED if told is FAILURE else JobState.RUNNING
    assert (await harness.job(job)).state is expected
