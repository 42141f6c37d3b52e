import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from generation_svc.domain.error import (
    FetchFailed,
    HostUnreachable,
    LinkDead,
    NotExamined,
    ProviderRefused,
    ProviderUnreachable,
    ResultRejected,
    ResultTooLarge,
    Unavailable,
)
from generation_svc.domain.job import DelayReason, FailureReason, Job, JobState
from generation_svc.domain.observation import Observation
from generation_svc.domain.pace import Pace
from generation_svc.lifecycle import picture
from generation_svc.lifecycle.fetch import fetch
from generation_svc.lifecycle.orphan import remove_orphans
from generation_svc.lifecycle.poll import poll
from tests.lifecycle import CALLER, LINK, PENDING, SUCCESS, Bench, OpenBench, one_piece

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


async def climb(bench: Bench, job: Job, *, minutes: int) -> Job:
    """Let so many minutes pass, with a try in each."""
    await bench.fetch_all()
    for _ in range(minutes):
        await bench.later(minutes=1)
        await bench.fetch_all()
    return await bench.job(job)


TROUBLES = [
    pytest.param(FetchFailed("HTTP 500"), id="5xx"),
    pytest.param(FetchFailed("redirects too often"), id="redirect loop"),
    pytest.param(FetchFailed("sent nothing"), id="zero bytes"),
    pytest.param(LinkDead(), id="404"),
    pytest.param(ResultRejected("no picture"), id="HTML"),
    pytest.param(ResultRejected("host"), id="foreign host"),
]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_every_trouble_climbs_the_same_ladder(bench: Bench, trouble: Exception) -> None:
    bench.fetcher.links = {LINK: trouble, FRESH: trouble}
    job = await succeeded(bench)

    early = await climb(bench, job, minutes=1)
    assert (early.state, early.delay_reason) == (JobState.RUNNING, None)
    assert bench.provider.fresh_asked
    late = await climb(bench, job, minutes=3)
    assert (late.state, late.delay_reason) == (JobState.RUNNING, DelayReason.RESULT_DELAYED)
    assert late.delay_until_time is not None
    given_up = await climb(bench, job, minutes=12)

    assert given_up.failure is not None
    assert given_up.failure.reason is FailureReason.RESULT_UNAVAILABLE
    assert (given_up.delay_reason, given_up.delay_until_time) == (None, None)
    assert (await bench.deliveries(job))["outcome"]["state"] == "pending"


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_trouble_that_passes_costs_nothing_but_time(
    bench: Bench, trouble: Exception
) -> None:
    bench.fetcher.links = {LINK: trouble, FRESH: LinkDead()}
    job = await succeeded(bench)
    await climb(bench, job, minutes=10)
    bench.fetcher.links = {FRESH: LinkDead()}

    settled = await climb(bench, job, minutes=1)

    assert settled.state is JobState.SUCCEEDED
    assert settled.delay_reason is None


@pytest.mark.parametrize(
    "trouble", [FetchFailed("HTTP 500"), ResultRejected("HTML")], ids=["5xx", "HTML"]
)
async def test_a_fresh_link_helps_whatever_the_trouble_is(bench: Bench, trouble: Exception) -> None:
    bench.fetcher.links = {LINK: trouble, FRESH: b"fresh"}
    job = await succeeded(bench)

    assert (await climb(bench, job, minutes=1)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "fresh",
    [
        pytest.param(ResultRejected("Results are not fetched from http://…"), id="scheme"),
        pytest.param(FetchFailed(), id="fails"),
        pytest.param(LinkDead(), id="dead"),
    ],
)
async def test_a_bad_fresh_link_never_ends_a_job(bench: Bench, fresh: Exception) -> None:
    bench.fetcher.links = {LINK: LinkDead(), FRESH: fresh}
    job = await succeeded(bench)
    await bench.fetch_all()
    assert (await bench.job(job)).state is JobState.RUNNING

    bench.fetcher.links = {FRESH: fresh}
    assert (await climb(bench, job, minutes=1)).state is JobState.SUCCEEDED


@pytest.mark.parametrize("trouble", [HostUnreachable(), ProviderUnreachable()], ids=repr)
async def test_an_hour_of_outage_loses_no_result(bench: Bench, trouble: Exception) -> None:
    is_host = isinstance(trouble, HostUnreachable)
    bench.fetcher.links[LINK] = trouble if is_host else LinkDead()
    bench.provider.fresh = trouble
    job = await succeeded(bench)

    assert (await climb(bench, job, minutes=61)).delay_reason is DelayReason.RESULT_DELAYED
    bench.fetcher.links.clear()
    assert (await climb(bench, job, minutes=2)).state is JobState.SUCCEEDED


async def test_our_own_store_may_be_away_for_hours(bench: Bench) -> None:
    bench.store.put_error = Unavailable()
    job = await succeeded(bench)
    for _ in range(15):
        await climb(bench, job, minutes=1)
        await bench.later(minutes=30)
    assert (await bench.job(job)).state is JobState.RUNNING
    bench.store.put_error = None

    assert (await climb(bench, job, minutes=2)).state is JobState.SUCCEEDED


async def test_a_result_that_is_too_large_is_given_up_at_once(bench: Bench) -> None:
    bench.fetcher.links[LINK] = ResultTooLarge()
    job = await succeeded(bench)

    await bench.fetch_all()

    failed = await bench.job(job)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.RESULT_UNAVAILABLE
    assert len(bench.fetcher.fetched) == 1


SECOND = "https://tempfile.aiquickdraw.com/second.png"


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("bad", [0, 1])
async def test_what_could_be_had_of_two_is_the_result(
    bench: Bench, trouble: Exception, bad: int
) -> None:
    links = (LINK, SECOND)
    bench.fetcher.links = {links[bad]: trouble, links[1 - bad]: b"good", FRESH: trouble}
    job = await succeeded(bench, *links)
    assert (await climb(bench, job, minutes=2)).state is JobState.RUNNING

    settled = await climb(bench, job, minutes=14)

    assert settled.result is not None
    assert [each.size_bytes for each in settled.result.media] == [len(b"good")]
    assert settled.result.missing_count == 1
    assert bench.fetcher.fetched.count(links[1 - bad]) == 1
    rows = await bench.query("SELECT key FROM media")
    assert {row["key"] for row in rows} == set(bench.store.kept)


async def test_a_second_link_that_comes_late_makes_the_result_whole(bench: Bench) -> None:
    bench.fetcher.links = {LINK: b"one", SECOND: FetchFailed(), FRESH: FetchFailed()}
    job = await succeeded(bench, LINK, SECOND)
    await climb(bench, job, minutes=5)
    bench.fetcher.links[SECOND] = b"second"

    settled = await climb(bench, job, minutes=2)

    assert settled.result is not None
    assert [each.size_bytes for each in settled.result.media] == [3, 6]
    assert settled.result.missing_count == 0


async def test_bytes_without_a_row_are_removed_once_they_are_old(bench: Bench) -> None:
    job = await succeeded(bench)
    await bench.fetch_all()
    async with bench.transaction() as tx:
        media = (await bench.job(job)).result.media  # type: ignore[union-attr]
        kept = await tx.media.find_media(media[0].id, caller="edge")
    assert kept is not None
    upload = await picture.upload(bench.context, CALLER, owner="user:1", pieces=one_piece(b"mine"))
    stray = f"result/{uuid4()}/{uuid4()}/0"
    bench.store.kept |= {stray: b"x", f"upload/{uuid4()}": b"x", "upload/not-ours.txt": b"x"}

    await bench.sweep()
    assert len(bench.store.kept) == 5
    bench.store.age = timedelta(hours=49)
    for _ in range(10):
        await remove_orphans(bench.context)

    assert set(bench.store.kept) == {kept.key, f"upload/{upload.id}", "upload/not-ours.txt"}


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
    for _ in range(3):
        await bench.later(minutes=6)
        await bench.fetch_all()

    failed = await bench.job(job)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.RESULT_UNAVAILABLE
    assert (await bench.deliveries(job))["outcome"]["state"] == "pending"


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

    async def slow(url: str, *, is_proved: bool = False) -> object:
        reached.set()
        await gate.wait()
        return await fetch_one(url, is_proved=is_proved)

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


@pytest.mark.parametrize("is_tls", [True, False], ids=["tls", "plain"])
async def test_what_recordinfo_answered_over_tls_is_the_providers_word(
    bench: Bench, is_tls: bool
) -> None:
    bench.provider.is_proved = is_tls
    job = await bench.run()
    bench.provider.tasks["task-1"] = SUCCESS
    await bench.later(minutes=2)
    await bench.poll_all()
    await bench.fetch_all()

    assert (await bench.job(job)).state is JobState.SUCCEEDED
    assert bench.fetcher.proved == ({LINK} if is_tls else set())


async def test_what_a_callback_names_is_nobodys_word(bench: Bench) -> None:
    bench.fetcher.links = {LINK: LinkDead()}
    await succeeded(bench)
    await bench.fetch_all()

    assert bench.fetcher.fetched == [LINK, FRESH]
    assert bench.fetcher.proved == {FRESH}


async def test_a_pause_of_an_hour_costs_no_result_its_tries(bench: Bench) -> None:
    bench.fetcher.links = {LINK: FetchFailed(), FRESH: FetchFailed()}
    job = await succeeded(bench)
    await bench.later(hours=1)
    await bench.fetch_all()
    assert (await bench.job(job)).state is JobState.RUNNING
    bench.fetcher.links.clear()

    assert (await climb(bench, job, minutes=1)).state is JobState.SUCCEEDED


async def test_a_pause_after_the_first_trouble_costs_no_result_its_tries(bench: Bench) -> None:
    bench.fetcher.links = {LINK: FetchFailed(), FRESH: FetchFailed()}
    job = await succeeded(bench)
    await bench.fetch_all()
    for _ in range(2):
        await bench.later(minutes=16)
        await bench.fetch_all()
    waiting = await bench.job(job)
    assert (waiting.state, waiting.delay_reason) == (JobState.RUNNING, DelayReason.RESULT_DELAYED)
    assert waiting.delay_until_time is not None
    assert waiting.delay_until_time > waiting.update_time
    bench.fetcher.links.clear()

    assert (await climb(bench, job, minutes=1)).state is JobState.SUCCEEDED


async def test_an_outage_starts_the_clock_of_the_link_again(bench: Bench) -> None:
    bench.fetcher.links = {LINK: FetchFailed(), FRESH: FetchFailed()}
    job = await succeeded(bench)
    await bench.fetch_all()
    bench.fetcher.links = {LINK: HostUnreachable(), FRESH: HostUnreachable()}
    await climb(bench, job, minutes=20)
    bench.fetcher.links = {LINK: FetchFailed(), FRESH: FetchFailed()}
    assert (await climb(bench, job, minutes=2)).state is JobState.RUNNING
    bench.fetcher.links.clear()

    assert (await climb(bench, job, minutes=1)).state is JobState.SUCCEEDED


async def test_a_fresh_link_on_a_host_that_is_away_is_waited_for(bench: Bench) -> None:
    bench.fetcher.links = {LINK: LinkDead(), FRESH: HostUnreachable()}
    job = await succeeded(bench)
    await climb(bench, job, minutes=20)
    bench.fetcher.links = {LINK: LinkDead()}

    assert (await climb(bench, job, minutes=1)).state is JobState.SUCCEEDED


async def test_an_outage_is_given_two_hours_however_short_the_time_is(
    open_bench: OpenBench,
) -> None:
    bench = await open_bench(pace=Pace(fetch_timeout=timedelta(minutes=1)))
    bench.fetcher.links = {LINK: HostUnreachable()}
    bench.provider.fresh = ProviderUnreachable()
    job = await succeeded(bench)
    assert (await climb(bench, job, minutes=110)).state is JobState.RUNNING

    given_up = await climb(bench, job, minutes=12)

    assert given_up.failure is not None
    assert given_up.failure.reason is FailureReason.RESULT_UNAVAILABLE


async def test_a_picture_that_nobody_survives_ends_like_a_bad_link(bench: Bench) -> None:
    bench.fetcher.links = {LINK: NotExamined()}
    job = await succeeded(bench)
    assert (await climb(bench, job, minutes=10)).state is JobState.RUNNING

    given_up = await climb(bench, job, minutes=8)

    assert given_up.failure is not None
    assert given_up.failure.reason is FailureReason.RESULT_UNAVAILABLE


@pytest.mark.parametrize("kept", [1, 0])
async def test_the_hard_stop_keeps_what_is_ours(bench: Bench, kept: int) -> None:
    away = HostUnreachable()
    bench.fetcher.links = {LINK: b"one" if kept else away, SECOND: away, FRESH: away}
    job = await succeeded(bench, LINK, SECOND)
    await bench.fetch_all()
    await bench.later(hours=25)
    await bench.sweep()

    ended = await bench.job(job)
    if kept:
        assert ended.result is not None
        assert (len(ended.result.media), ended.result.missing_count) == (1, 1)
    else:
        assert ended.failure is not None
        assert ended.failure.reason is FailureReason.RESULT_UNAVAILABLE
    assert (await bench.deliveries(job))["outcome"]["state"] == "pending"


async def test_a_read_that_is_late_ends_no_success(bench: Bench) -> None:
    """A callback tells the success while a read is under way that shows none."""
    job = await bench.run()
    await bench.later(hours=1)

    async def slow(task_id: str) -> Observation:
        await bench.callback(SUCCESS)
        return replace(PENDING, task_id=task_id)

    bench.provider.read_task = slow  # type: ignore[method-assign]
    assert await poll(bench.context)
    await bench.fetch_all()

    assert (await bench.job(job)).state is JobState.SUCCEEDED
