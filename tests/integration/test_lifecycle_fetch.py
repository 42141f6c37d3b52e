import asyncio
import hashlib
from dataclasses import replace

import pytest

from generation_svc.domain.error import (
    FetchFailed,
    LinkDead,
    ProviderRefused,
    ProviderUnreachable,
    ResultRejected,
    Unavailable,
)
from generation_svc.domain.job import FailureReason, Job, JobState
from generation_svc.lifecycle.fetch import fetch
from tests.lifecycle import LINK, SUCCESS, Bench

FRESH = "https://file.aiquickdraw.com/fresh.png"


async def succeeded(bench: Bench, *urls: str) -> Job:
    """A job whose task is done at the provider."""
    job = await bench.run()
    await bench.callback(replace(SUCCESS, result_urls=urls or (LINK,)))
    return job


async def test_the_bytes_are_ours_before_the_job_is_a_success(bench: Bench) -> None:
    second = "https://tempfile.aiquickdraw.com/second.png"
    bench.fetcher.links = {LINK: b"one", second: b"two"}
    job = await succeeded(bench, LINK, second)
    assert (await bench.job(job)).state is JobState.RUNNING

    assert await fetch(bench.context)

    result = (await bench.job(job)).result
    assert result is not None
    assert [media.sha256 for media in result.media] == [
        hashlib.sha256(data).hexdigest() for data in (b"one", b"two")
    ]
    async with bench.transaction() as tx:
        stored = [await tx.media.find_media(each.id, caller="edge") for each in result.media]
        assert await tx.media.find_media(result.media[0].id, caller="b") is None
    assert [bench.store.kept[each.key] for each in stored if each] == [b"one", b"two"]
    assert not await fetch(bench.context)


async def test_a_dead_link_is_followed_by_a_fresh_one(bench: Bench) -> None:
    bench.fetcher.links = {LINK: LinkDead(), FRESH: b"fresh"}
    job = await succeeded(bench)

    await bench.fetch_all()

    assert bench.fetcher.fetched == [LINK, FRESH]
    assert (await bench.job(job)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "error", [FetchFailed(), ProviderUnreachable(), Unavailable()], ids=lambda e: type(e).__name__
)
async def test_what_may_pass_is_tried_again_for_hours(bench: Bench, error: Exception) -> None:
    bench.fetcher.links[LINK] = LinkDead() if isinstance(error, ProviderUnreachable) else error
    if isinstance(error, ProviderUnreachable):
        bench.provider.fresh = error
    job = await succeeded(bench)
    for _ in range(15):
        await bench.fetch_all()
        await bench.later(minutes=15)
    assert (await bench.job(job)).state is JobState.RUNNING
    assert len(bench.fetcher.fetched) == 15

    bench.fetcher.links.clear()
    await bench.fetch_all()

    assert (await bench.job(job)).state is JobState.SUCCEEDED


async def test_a_store_that_is_away_costs_a_retry_and_nothing_else(bench: Bench) -> None:
    job = await succeeded(bench)
    bench.store.put_error = Unavailable()
    await bench.fetch_all()
    bench.store.put_error = None
    await bench.later(seconds=3)

    await bench.fetch_all()

    assert (await bench.job(job)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "fresh", [FRESH, ProviderRefused(code="404", reason=FailureReason.REQUEST_REFUSED)]
)
async def test_a_result_that_nobody_has_any_more_is_given_up(
    bench: Bench, fresh: str | Exception
) -> None:
    bench.fetcher.links = {LINK: LinkDead(), FRESH: LinkDead()}
    bench.provider.fresh = fresh
    job = await succeeded(bench)
    await bench.fetch_all()
    assert (await bench.job(job)).state is JobState.RUNNING
    for _ in range(8):
        await bench.later(minutes=6)
        await bench.fetch_all()

    failed = await bench.job(job)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.RESULT_UNAVAILABLE
    assert (await bench.deliveries(job))["outcome"]["state"] == "pending"


async def test_a_result_that_may_not_be_taken_fails_the_job_at_once(bench: Bench) -> None:
    bench.fetcher.links[LINK] = ResultRejected("https://elsewhere")
    job = await succeeded(bench)

    await bench.fetch_all()

    failed = await bench.job(job)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.RESULT_UNAVAILABLE
    assert len(bench.fetcher.fetched) == 1


async def test_a_fetch_killed_before_its_settlement_is_done_again_in_the_same_place(
    bench: Bench,
) -> None:
    job = await succeeded(bench)
    put, reached = bench.store.put, asyncio.Event()

    async def put_and_hang(key: str, data: bytes) -> None:
        await put(key, data)
        reached.set()
        await asyncio.Event().wait()

    bench.store.put = put_and_hang  # type: ignore[method-assign]
    worker = asyncio.create_task(fetch(bench.context))
    await reached.wait()
    worker.cancel()
    await asyncio.wait({worker})
    assert (await bench.job(job)).state is JobState.RUNNING

    bench.store.put = put  # type: ignore[method-assign]
    await bench.later(minutes=4)
    await bench.fetch_all()

    assert (await bench.job(job)).state is JobState.SUCCEEDED
    assert len(bench.store.kept) == 1


async def test_two_workers_on_one_result_settle_it_once(bench: Bench) -> None:
    """The first one is slower than its lease."""
    job = await succeeded(bench)
    fetch_one, gate, reached = bench.fetcher.fetch, asyncio.Event(), asyncio.Event()

    async def slow(url: str) -> object:
        reached.set()
        await gate.wait()
        return await fetch_one(url)

    bench.fetcher.fetch = slow  # type: ignore[assignment, method-assign]
    first = asyncio.create_task(fetch(bench.context))
    await reached.wait()
    bench.fetcher.fetch = fetch_one  # type: ignore[method-assign]
    await bench.later(minutes=4)
    assert await fetch(bench.context)
    settled = await bench.job(job)
    gate.set()
    await first

    assert settled.state is JobState.SUCCEEDED
    assert await bench.job(job) == settled
    assert len(await bench.query("SELECT * FROM media")) == 1
    assert (await bench.events(job)).count("settled") == 1
