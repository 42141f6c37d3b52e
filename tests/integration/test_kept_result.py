"""What is stored of a job that had ended otherwise is told with it, and is media as any other."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import FetchFailed, MediaExpired, MediaNotFound
from generation_svc.domain.job import Job, JobState, Result
from generation_svc.domain.ledger import TransferKind
from generation_svc.domain.money import MoneyMode
from generation_svc.engine.maintenance.retention import forget_expired
from generation_svc.lifecycle import charge
from generation_svc.usecase import cancel_job, download_media, read_job
from generation_svc.usecase.read_job import JobQuery
from tests.lifecycle import CALLER, FAILURE, LINK, SUCCESS, Harness, OpenBench, items_of
from tests.money import FREE, IMAGEN, PRICE, check_ledger, grant, wallet
from tests.statement_count import counting_database

HAS = 100
FRESH = "https://file.aiquickdraw.com/fresh.png"
"""What the provider gives for a link that is no good."""


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    harness = await open_bench(money=MoneyMode.TEST)
    await grant(harness, HAS, kind=TransferKind.TOP_UP)
    return harness


async def read(harness: Harness, job: Job) -> Job:
    """Read a job as GetJob does, and see that ListJobs tells the same."""
    told = await read_job.get(harness.deps, CALLER, job_id=job.id)
    listed = await read_job.page(harness.deps, CALLER, JobQuery(), before=None, limit=10)
    (same,) = [each for each in listed if each.id == job.id]
    assert (same.kept_result, same.kept_time) == (told.kept_result, told.kept_time)
    return told


async def stored(harness: Harness, job: Job) -> Result:
    """Return what a job is charged for, if it is."""
    async with harness.transaction() as tx:
        attempt = await tx.attempts.settled(job.id)
        assert attempt is not None
        return await charge.stored_result(tx, attempt)


async def cancelled_while_running(harness: Harness, **wish: object) -> Job:
    job = await harness.run(**wish)
    return await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)


async def too_late(harness: Harness, **wish: object) -> Job:
    job = await harness.run(**wish)
    await harness.later(days=2)
    await harness.sweep()
    return job


async def downloaded(harness: Harness, job: Job, *, caller: Caller = CALLER) -> list[bytes]:
    """Return the bytes of each file that is kept of a job."""
    kept = (await read(harness, job)).kept_result
    assert kept is not None
    found = [
        await download_media.download(harness.deps, caller, media_id=each.id) for each in kept.media
    ]
    return [b"".join([piece async for piece in each.pieces]) for each in found]


async def test_a_cancelled_job_that_is_charged_tells_what_for(harness: Harness) -> None:
    job = await cancelled_while_running(harness, **IMAGEN)
    assert (await read(harness, job)).kept_result is None

    await harness.callback(SUCCESS)
    assert (await read(harness, job)).kept_result is None
    await harness.fetch_all()

    told = await read(harness, job)
    assert (told.state, told.revision, told.result) == (JobState.CANCELLED, job.revision, None)
    assert told.charged_credits == PRICE
    assert told.kept_result == await stored(harness, job)
    assert [len(each) for each in await downloaded(harness, job)] == [
        each.size_bytes for each in told.kept_result.media
    ]
    assert told.kept_result.media[0].number == 1
    await check_ledger(harness)


async def test_a_success_after_the_deadline_is_there_and_costs_nothing(harness: Harness) -> None:
    job = await too_late(harness, **IMAGEN)
    failed = await read(harness, job)
    assert (failed.state, failed.kept_result) == (JobState.FAILED, None)

    await harness.callback(replace(SUCCESS, cost=Decimal(8)))
    await harness.fetch_all()

    told = await read(harness, job)
    assert (told.state, told.revision) == (JobState.FAILED, failed.revision)
    assert told.failure == failed.failure
    assert told.charged_credits == 0
    assert told.kept_result == await stored(harness, job)
    assert len(await downloaded(harness, job)) == 1
    assert (await wallet(harness)).balance == HAS
    await check_ledger(harness)


@pytest.mark.parametrize("end", [cancelled_while_running, too_late])
async def test_of_a_free_job_it_is_kept_as_well(harness: Harness, end: object) -> None:
    job = await end(harness, **FREE)  # type: ignore[operator]
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    told = await read(harness, job)
    assert told.kept_result == await stored(harness, job)
    assert told.charged_credits == 0


async def test_what_was_kept_says_what_it_lacks(harness: Harness) -> None:
    job = await cancelled_while_running(harness, **FREE)
    second = f"{LINK}?2"
    harness.fetcher.links = {second: FetchFailed("gone"), FRESH: FetchFailed("gone")}
    await harness.callback(replace(SUCCESS, results=items_of(LINK, second)))
    for _ in range(60):
        # Some of it is stored already, and the rest may still come.
        await harness.fetch_all()
        kept = (await read(harness, job)).kept_result
        if kept is not None:
            break
        await harness.later(hours=1)
    assert kept is not None
    assert (len(kept.media), kept.missing_count) == (1, 1)
    assert kept == await stored(harness, job)


async def test_a_text_is_kept_too(harness: Harness) -> None:
    job = await cancelled_while_running(harness, **FREE)
    harness.provider.tasks["task-1"] = replace(SUCCESS, results=(), result_text="a poem")
    await harness.later(minutes=10)
    await harness.poll_all()
    kept = (await read(harness, job)).kept_result
    assert kept == Result(text="a poem")


@pytest.mark.parametrize("outcome", [FAILURE, None])
async def test_nothing_is_kept_where_nothing_came(harness: Harness, outcome: object) -> None:
    job = await cancelled_while_running(harness, **IMAGEN)
    if outcome is not None:
        await harness.callback(FAILURE)
    assert (await read(harness, job)).kept_result is None


async def test_a_job_with_a_result_keeps_nothing_beside_it(harness: Harness) -> None:
    job = await harness.made(**IMAGEN)
    told = await read(harness, job)
    assert told.result is not None
    assert told.kept_result is None


async def test_it_is_forgotten_as_any_other_media(harness: Harness) -> None:
    job = await cancelled_while_running(harness, **FREE)
    await harness.later(days=10)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    kept = (await read(harness, job)).kept_result
    assert kept is not None
    (media,) = kept.media

    await harness.later(days=30)  # 40 after its job ended, and 30 after it came
    while await forget_expired(harness.deps):
        pass
    assert len(await downloaded(harness, job)) == 1

    await harness.later(days=10)
    while await forget_expired(harness.deps):
        pass
    assert harness.store.kept == {}
    assert (await read(harness, job)).kept_result == kept
    with pytest.raises(MediaExpired):
        await download_media.download(harness.deps, CALLER, media_id=media.id)


async def test_nobody_else_reads_it(harness: Harness) -> None:
    job = await cancelled_while_running(harness, **FREE)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    other = Caller("other", scopes=frozenset({Scope.OWN_JOBS}))
    with pytest.raises(MediaNotFound):
        await downloaded(harness, job, caller=other)


async def test_many_jobs_are_read_with_what_is_kept_of_them_in_one_statement(
    harness: Harness, database_url: str
) -> None:
    jobs = [await cancelled_while_running(harness, **FREE) for _ in range(3)]
    for call in (1, 2, 3):
        await harness.callback(SUCCESS, call=call)
    await harness.fetch_all()
    async with counting_database(database_url) as (database, asked):
        harness.deps = replace(harness.deps, database=database)
        await read_job.page(harness.deps, CALLER, JobQuery(), before=None, limit=10)
        asked.clear()  # the first one also read what is read now and then
        listed = await read_job.page(harness.deps, CALLER, JobQuery(), before=None, limit=10)
        assert len(asked.statements) == 1, asked.statements
    assert {each.id for each in listed if each.kept_result} == {each.id for each in jobs}
