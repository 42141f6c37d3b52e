import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
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
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import DelayReason, Job, JobState
from generation_svc.domain.model import ResultForm
from generation_svc.domain.observation import Observation
from generation_svc.domain.port.media import Examined
from generation_svc.domain.timing import Timing
from generation_svc.engine.maintenance.orphan_bytes import remove_orphans
from generation_svc.usecase import upload_input
from generation_svc.usecase.download_media import download
from tests.lifecycle import (
    CALLER,
    LINK,
    PENDING,
    SUCCESS,
    Harness,
    OpenBench,
    items_of,
    one_piece,
)
from tests.step import fetch_result, poll

FRESH = "https://file.aiquickdraw.com/fresh.png"


async def succeeded(harness: Harness, *urls: str) -> Job:
    """A job whose task is done at the provider."""
    job = await harness.run()
    await harness.callback(replace(SUCCESS, results=items_of(*(urls or (LINK,)))))
    return job


async def test_the_bytes_are_ours_before_the_job_is_a_success(harness: Harness) -> None:
    second = "https://tempfile.aiquickdraw.com/second.png"
    harness.fetcher.links = {LINK: b"one", second: b"two"}
    job = await succeeded(harness, LINK, second)
    assert (await harness.job(job)).state is JobState.RUNNING

    assert await fetch_result(harness.deps)

    result = (await harness.job(job)).result
    assert result is not None
    assert [media.sha256 for media in result.media] == [
        hashlib.sha256(data).hexdigest() for data in (b"one", b"two")
    ]
    async with harness.transaction() as tx:
        stored = [await tx.media.find_media(each.id, caller="edge") for each in result.media]
        assert await tx.media.find_media(result.media[0].id, caller="b") is None
    assert [harness.store.kept[each.key] for each in stored if each] == [b"one", b"two"]
    assert not await fetch_result(harness.deps)


async def test_a_dead_link_is_followed_by_a_fresh_one(harness: Harness) -> None:
    harness.fetcher.links = {LINK: LinkDead(), FRESH: b"fresh"}
    job = await succeeded(harness)

    await harness.fetch_all()

    assert harness.fetcher.fetched == [LINK, FRESH]
    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def climb(harness: Harness, job: Job, *, minutes: int) -> Job:
    """Let so many minutes pass, with a try in each."""
    await harness.fetch_all()
    for _ in range(minutes):
        await harness.later(minutes=1)
        await harness.fetch_all()
    return await harness.job(job)


TROUBLES = [
    pytest.param(FetchFailed("HTTP 500"), id="5xx"),
    pytest.param(FetchFailed("redirects too often"), id="redirect loop"),
    pytest.param(FetchFailed("sent nothing"), id="zero bytes"),
    pytest.param(LinkDead(), id="404"),
    pytest.param(ResultRejected("no picture"), id="HTML"),
    pytest.param(ResultRejected("host"), id="foreign host"),
]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_every_trouble_climbs_the_same_ladder(harness: Harness, trouble: Exception) -> None:
    harness.fetcher.links = {LINK: trouble, FRESH: trouble}
    job = await succeeded(harness)

    early = await climb(harness, job, minutes=1)
    assert (early.state, early.delay_reason) == (JobState.RUNNING, None)
    assert harness.provider.fresh_asked
    late = await climb(harness, job, minutes=3)
    assert (late.state, late.delay_reason) == (JobState.RUNNING, DelayReason.RESULT_DELAYED)
    assert late.delay_until_time is not None
    given_up = await climb(harness, job, minutes=12)

    assert given_up.failure is not None
    assert given_up.failure.reason is FailureReason.RESULT_UNAVAILABLE
    assert (given_up.delay_reason, given_up.delay_until_time) == (None, None)
    assert (await harness.deliveries(job))["outcome"]["state"] == "pending"


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_trouble_that_passes_costs_nothing_but_time(
    harness: Harness, trouble: Exception
) -> None:
    harness.fetcher.links = {LINK: trouble, FRESH: LinkDead()}
    job = await succeeded(harness)
    await climb(harness, job, minutes=10)
    harness.fetcher.links = {FRESH: LinkDead()}

    settled = await climb(harness, job, minutes=1)

    assert settled.state is JobState.SUCCEEDED
    assert settled.delay_reason is None


@pytest.mark.parametrize(
    "trouble", [FetchFailed("HTTP 500"), ResultRejected("HTML")], ids=["5xx", "HTML"]
)
async def test_a_fresh_link_helps_whatever_the_trouble_is(
    harness: Harness, trouble: Exception
) -> None:
    harness.fetcher.links = {LINK: trouble, FRESH: b"fresh"}
    job = await succeeded(harness)

    assert (await climb(harness, job, minutes=1)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "fresh",
    [
        pytest.param(ResultRejected("Results are not fetched from http://…"), id="scheme"),
        pytest.param(FetchFailed(), id="fails"),
        pytest.param(LinkDead(), id="dead"),
    ],
)
async def test_a_bad_fresh_link_never_ends_a_job(harness: Harness, fresh: Exception) -> None:
    harness.fetcher.links = {LINK: LinkDead(), FRESH: fresh}
    job = await succeeded(harness)
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.RUNNING

    harness.fetcher.links = {FRESH: fresh}
    assert (await climb(harness, job, minutes=1)).state is JobState.SUCCEEDED


@pytest.mark.parametrize("trouble", [HostUnreachable(), ProviderUnreachable()], ids=repr)
async def test_an_hour_of_outage_loses_no_result(harness: Harness, trouble: Exception) -> None:
    is_host = isinstance(trouble, HostUnreachable)
    harness.fetcher.links[LINK] = trouble if is_host else LinkDead()
    harness.provider.fresh = trouble
    job = await succeeded(harness)

    assert (await climb(harness, job, minutes=61)).delay_reason is DelayReason.RESULT_DELAYED
    harness.fetcher.links.clear()
    assert (await climb(harness, job, minutes=2)).state is JobState.SUCCEEDED


async def test_our_own_store_may_be_away_for_hours(harness: Harness) -> None:
    harness.store.put_error = Unavailable()
    job = await succeeded(harness)
    for _ in range(15):
        await climb(harness, job, minutes=1)
        await harness.later(minutes=30)
    assert (await harness.job(job)).state is JobState.RUNNING
    harness.store.put_error = None

    assert (await climb(harness, job, minutes=2)).state is JobState.SUCCEEDED


async def test_a_result_that_is_too_large_is_given_up_at_once(harness: Harness) -> None:
    harness.fetcher.links[LINK] = ResultTooLarge()
    job = await succeeded(harness)

    await harness.fetch_all()

    failed = await harness.job(job)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.RESULT_UNAVAILABLE
    assert len(harness.fetcher.fetched) == 1


SECOND = "https://tempfile.aiquickdraw.com/second.png"


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("bad", [0, 1])
async def test_what_could_be_had_of_two_is_the_result(
    harness: Harness, trouble: Exception, bad: int
) -> None:
    links = (LINK, SECOND)
    harness.fetcher.links = {links[bad]: trouble, links[1 - bad]: b"good", FRESH: trouble}
    job = await succeeded(harness, *links)
    assert (await climb(harness, job, minutes=2)).state is JobState.RUNNING

    settled = await climb(harness, job, minutes=14)

    assert settled.result is not None
    assert [each.size_bytes for each in settled.result.media] == [len(b"good")]
    assert settled.result.missing_count == 1
    assert harness.fetcher.fetched.count(links[1 - bad]) == 1
    rows = await harness.query("SELECT key FROM media")
    assert {row["key"] for row in rows} == set(harness.store.kept)


async def test_a_second_link_that_comes_late_makes_the_result_whole(harness: Harness) -> None:
    harness.fetcher.links = {LINK: b"one", SECOND: FetchFailed(), FRESH: FetchFailed()}
    job = await succeeded(harness, LINK, SECOND)
    await climb(harness, job, minutes=5)
    harness.fetcher.links[SECOND] = b"second"

    settled = await climb(harness, job, minutes=2)

    assert settled.result is not None
    assert [each.size_bytes for each in settled.result.media] == [3, 6]
    assert settled.result.missing_count == 0


async def test_bytes_without_a_row_are_removed_once_they_are_old(harness: Harness) -> None:
    job = await succeeded(harness)
    await harness.fetch_all()
    async with harness.transaction() as tx:
        media = (await harness.job(job)).result.media  # type: ignore[union-attr]
        kept = await tx.media.find_media(media[0].id, caller="edge")
    assert kept is not None
    upload = await upload_input.upload(
        harness.deps, CALLER, owner="user:1", pieces=one_piece(b"mine")
    )
    stray = f"result/{uuid4()}/{uuid4()}/0"
    harness.store.kept |= {stray: b"x", f"upload/{uuid4()}": b"x", "upload/not-ours.txt": b"x"}

    await harness.sweep()
    assert len(harness.store.kept) == 5
    harness.store.age = timedelta(hours=49)
    for _ in range(10):
        await remove_orphans(harness.deps)

    assert set(harness.store.kept) == {kept.key, f"upload/{upload.id}", "upload/not-ours.txt"}


async def test_a_store_that_is_away_costs_a_retry_and_nothing_else(harness: Harness) -> None:
    job = await succeeded(harness)
    harness.store.put_error = Unavailable()
    await harness.fetch_all()
    harness.store.put_error = None
    await harness.later(seconds=3)

    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "fresh", [FRESH, ProviderRefused(code="404", reason=FailureReason.REQUEST_REFUSED)]
)
async def test_a_result_that_nobody_has_any_more_is_given_up(
    harness: Harness, fresh: str | Exception
) -> None:
    harness.fetcher.links = {LINK: LinkDead(), FRESH: LinkDead()}
    harness.provider.fresh = fresh
    job = await succeeded(harness)
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.RUNNING
    for _ in range(3):
        await harness.later(minutes=6)
        await harness.fetch_all()

    failed = await harness.job(job)
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.RESULT_UNAVAILABLE
    assert (await harness.deliveries(job))["outcome"]["state"] == "pending"


async def test_a_fetch_killed_before_its_settlement_is_done_again_and_leaves_nothing(
    harness: Harness,
) -> None:
    job = await succeeded(harness)
    put_file, reached = harness.store.put_file, asyncio.Event()

    async def put_and_hang(key: str, path: Path) -> None:
        await put_file(key, path)
        reached.set()
        await asyncio.Event().wait()

    harness.store.put_file = put_and_hang  # type: ignore[method-assign]
    worker = asyncio.create_task(fetch_result(harness.deps))
    await reached.wait()
    worker.cancel()
    await asyncio.wait({worker})
    assert (await harness.job(job)).state is JobState.RUNNING

    harness.store.put_file = put_file  # type: ignore[method-assign]
    await harness.later(minutes=4)
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED
    (row,) = await harness.query("SELECT key FROM media")
    harness.store.age = timedelta(hours=49)
    for _ in range(10):
        await remove_orphans(harness.deps)
    assert set(harness.store.kept) == {row["key"]}


async def test_who_lost_the_lease_writes_over_nothing_that_a_job_was_settled_with(
    harness: Harness,
) -> None:
    """A copy runs in a thread, which nobody can stop; a host may give other bytes each time."""
    job = await succeeded(harness)
    put_file, gate, reached = harness.store.put_file, asyncio.Event(), asyncio.Event()

    async def stand_still(key: str, path: Path) -> None:
        reached.set()
        await gate.wait()
        await put_file(key, path)

    harness.fetcher.links = {LINK: b"cut o"}
    harness.store.put_file = stand_still  # type: ignore[method-assign]
    first = asyncio.create_task(fetch_result(harness.deps))
    await reached.wait()
    harness.store.put_file = put_file  # type: ignore[method-assign]
    harness.fetcher.links = {LINK: b"whole"}
    await harness.later(minutes=4)
    assert await fetch_result(harness.deps)
    gate.set()
    await first

    (media,) = (await harness.job(job)).result.media  # type: ignore[union-attr]
    found = await download(harness.deps, CALLER, media_id=media.id)
    data = b"".join([piece async for piece in found.pieces])
    assert hashlib.sha256(data).hexdigest() == media.sha256


async def test_two_workers_on_one_result_settle_it_once(harness: Harness) -> None:
    """The first one is slower than its lease."""
    job = await succeeded(harness)
    fetch_one, gate, reached = harness.fetcher.fetch, asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slow(
        url: str, *, is_proved: bool = False, form: ResultForm | None = None
    ) -> AsyncIterator[Examined]:
        reached.set()
        await gate.wait()
        async with fetch_one(url, is_proved=is_proved, form=form) as found:
            yield found

    harness.fetcher.fetch = slow  # type: ignore[method-assign]
    first = asyncio.create_task(fetch_result(harness.deps))
    await reached.wait()
    harness.fetcher.fetch = fetch_one  # type: ignore[method-assign]
    await harness.later(minutes=4)
    assert await fetch_result(harness.deps)
    settled = await harness.job(job)
    gate.set()
    await first

    assert settled.state is JobState.SUCCEEDED
    assert await harness.job(job) == settled
    assert len(await harness.query("SELECT * FROM media")) == 1
    assert (await harness.events(job)).count("settled") == 1


@pytest.mark.parametrize("is_tls", [True, False], ids=["tls", "plain"])
async def test_what_recordinfo_answered_over_tls_is_the_providers_word(
    harness: Harness, is_tls: bool
) -> None:
    harness.provider.is_proved = is_tls
    job = await harness.run()
    harness.provider.tasks["task-1"] = SUCCESS
    await harness.later(minutes=2)
    await harness.poll_all()
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED
    assert harness.fetcher.proved == ({LINK} if is_tls else set())


async def test_what_a_callback_names_is_nobodys_word(harness: Harness) -> None:
    harness.fetcher.links = {LINK: LinkDead()}
    await succeeded(harness)
    await harness.fetch_all()

    assert harness.fetcher.fetched == [LINK, FRESH]
    assert harness.fetcher.proved == {FRESH}


async def test_a_pause_of_an_hour_costs_no_result_its_tries(harness: Harness) -> None:
    harness.fetcher.links = {LINK: FetchFailed(), FRESH: FetchFailed()}
    job = await succeeded(harness)
    await harness.later(hours=1)
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.RUNNING
    harness.fetcher.links.clear()

    assert (await climb(harness, job, minutes=1)).state is JobState.SUCCEEDED


async def test_a_pause_after_the_first_trouble_costs_no_result_its_tries(harness: Harness) -> None:
    harness.fetcher.links = {LINK: FetchFailed(), FRESH: FetchFailed()}
    job = await succeeded(harness)
    await harness.fetch_all()
    for _ in range(2):
        await harness.later(minutes=16)
        await harness.fetch_all()
    waiting = await harness.job(job)
    assert (waiting.state, waiting.delay_reason) == (JobState.RUNNING, DelayReason.RESULT_DELAYED)
    assert waiting.delay_until_time is not None
    assert waiting.delay_until_time > waiting.update_time
    harness.fetcher.links.clear()

    assert (await climb(harness, job, minutes=1)).state is JobState.SUCCEEDED


async def test_an_outage_starts_the_clock_of_the_link_again(harness: Harness) -> None:
    harness.fetcher.links = {LINK: FetchFailed(), FRESH: FetchFailed()}
    job = await succeeded(harness)
    await harness.fetch_all()
    harness.fetcher.links = {LINK: HostUnreachable(), FRESH: HostUnreachable()}
    await climb(harness, job, minutes=20)
    harness.fetcher.links = {LINK: FetchFailed(), FRESH: FetchFailed()}
    assert (await climb(harness, job, minutes=2)).state is JobState.RUNNING
    harness.fetcher.links.clear()

    assert (await climb(harness, job, minutes=1)).state is JobState.SUCCEEDED


async def test_a_fresh_link_on_a_host_that_is_away_is_waited_for(harness: Harness) -> None:
    harness.fetcher.links = {LINK: LinkDead(), FRESH: HostUnreachable()}
    job = await succeeded(harness)
    await climb(harness, job, minutes=20)
    harness.fetcher.links = {LINK: LinkDead()}

    assert (await climb(harness, job, minutes=1)).state is JobState.SUCCEEDED


async def test_an_outage_is_given_two_hours_however_short_the_time_is(
    open_bench: OpenBench,
) -> None:
    harness = await open_bench(timing=Timing(fetch_timeout=timedelta(minutes=1)))
    harness.fetcher.links = {LINK: HostUnreachable()}
    harness.provider.fresh = ProviderUnreachable()
    job = await succeeded(harness)
    assert (await climb(harness, job, minutes=110)).state is JobState.RUNNING

    given_up = await climb(harness, job, minutes=12)

    assert given_up.failure is not None
    assert given_up.failure.reason is FailureReason.RESULT_UNAVAILABLE


async def test_a_picture_that_nobody_survives_ends_like_a_bad_link(harness: Harness) -> None:
    harness.fetcher.links = {LINK: NotExamined()}
    job = await succeeded(harness)
    assert (await climb(harness, job, minutes=10)).state is JobState.RUNNING

    given_up = await climb(harness, job, minutes=8)

    assert given_up.failure is not None
    assert given_up.failure.reason is FailureReason.RESULT_UNAVAILABLE


@pytest.mark.parametrize("kept", [1, 0])
async def test_the_hard_stop_keeps_what_is_ours(harness: Harness, kept: int) -> None:
    away = HostUnreachable()
    harness.fetcher.links = {LINK: b"one" if kept else away, SECOND: away, FRESH: away}
    job = await succeeded(harness, LINK, SECOND)
    await harness.fetch_all()
    await harness.later(hours=25)
    await harness.sweep()

    ended = await harness.job(job)
    if kept:
        assert ended.result is not None
        assert (len(ended.result.media), ended.result.missing_count) == (1, 1)
    else:
        assert ended.failure is not None
        assert ended.failure.reason is FailureReason.RESULT_UNAVAILABLE
    assert (await harness.deliveries(job))["outcome"]["state"] == "pending"


async def test_a_read_that_is_late_ends_no_success(harness: Harness) -> None:
    """A callback tells the success while a read is under way that shows none."""
    job = await harness.run()
    await harness.later(hours=1)

    async def slow(handle: str, *, account: str) -> Observation:
        await harness.callback(SUCCESS)
        return replace(PENDING, task_id=handle)

    harness.provider.read = slow  # type: ignore[method-assign]
    assert await poll(harness.deps)
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED
