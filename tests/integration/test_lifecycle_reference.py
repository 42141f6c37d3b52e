"""A job that refers to an earlier one goes to its account; a submission may be answered at once."""

from dataclasses import replace
from decimal import Decimal

import pytest

from generation_svc.domain.error import ReferenceUnavailable
from generation_svc.domain.job import Job, JobState
from tests.integration.test_lifecycle_account import ONE, REVOKED, TWO, accept, run_on, states
from tests.integration.test_special_input import DATA, SONGS, with_catalog
from tests.invented_model import MODEL_ID
from tests.lifecycle import (
    FAILURE,
    LINK,
    PENDING,
    SUCCESS,
    FakeProvider,
    Harness,
    OpenBench,
)
from tests.step import dispatch

FILM = {"model_id": MODEL_ID, "inputs": {"prompt": "the sea"}}


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return with_catalog(await open_bench(accounts=(ONE, TWO)))


async def made_on(harness: Harness, account: str) -> Job:
    """Have a film with songs made on an account."""
    job = await run_on(harness, account, **FILM)
    await harness.callback(SONGS)
    await harness.fetch_all()
    return await harness.job(job)


async def continued(harness: Harness, **references: Job) -> Job:
    """Ask for a film that goes on from earlier ones."""
    inputs = {name: f"job:{job.id}" for name, job in references.items()}
    image = {} if "extends" in inputs else {"images": [DATA]}
    return await harness.accept(
        owner="bound", model_id=MODEL_ID, inputs={"prompt": "x", **inputs, **image}
    )


async def test_a_job_that_refers_to_another_goes_to_the_account_that_made_it(
    harness: Harness,
) -> None:
    for account in (TWO, ONE, TWO):
        first = await made_on(harness, account)
        second = await continued(harness, extends=first, song=first)
        assert second.account == account
        assert await dispatch(harness.deps)
        assert harness.provider.used[-1] == account


async def test_a_job_that_has_to_wait_for_its_account_keeps_nobody_from_another(
    harness: Harness,
) -> None:
    first = await made_on(harness, ONE)
    harness.provider.closed[ONE] = REVOKED
    bound = await continued(harness, song=first)
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


async def test_what_no_account_can_continue_is_refused_before_anything_is_held(
    harness: Harness, open_bench: OpenBench
) -> None:
    made, elsewhere = await made_on(harness, ONE), await made_on(harness, TWO)
    without = with_catalog(await open_bench(accounts=(TWO,), sharing=harness))
    (before,) = await harness.query("SELECT count(*) FROM job")
    kept = dict(harness.store.kept)

    with pytest.raises(ReferenceUnavailable) as caught:
        await continued(without, song=made)
    assert caught.value.job_id == str(made.id)
    with pytest.raises(ReferenceUnavailable):
        await continued(harness, extends=made, song=elsewhere)

    assert await harness.query("SELECT count(*) FROM job") == [before]
    assert harness.store.kept == kept
    assert (await continued(without, song=elsewhere)).account == TWO


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
