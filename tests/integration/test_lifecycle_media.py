"""Results that are songs, videos and files: their titles, lengths and covers; slow fetches."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from generation_svc.domain.attempt import AttemptState
from generation_svc.domain.error import FetchFailed, ResultRejected, Unavailable
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.media import Media, MediaKind
from generation_svc.domain.model import ResultForm
from generation_svc.domain.observation import Observation, ResultItem
from generation_svc.domain.port.media import Examined
from generation_svc.domain.timing import Timing
from generation_svc.engine.maintenance.orphan_bytes import remove_orphans
from generation_svc.usecase.download_media import download
from tests.e2e.program import until
from tests.lifecycle import CALLER, SUCCESS, Harness, OpenBench, items_of
from tests.step import fetch_result

SONG, OTHER = (f"https://tempfile.aiquickdraw.com/{name}.mp3" for name in ("song", "other"))
COVER = "https://tempfile.aiquickdraw.com/cover.jpeg"
TRACK = ResultItem(SONG, title="Iron Man", duration=timedelta(seconds=198.44), cover_url=COVER)


async def succeeded(harness: Harness, *items: ResultItem) -> Job:
    """A job whose task is done at the provider."""
    job = await harness.run()
    await harness.callback(replace(SUCCESS, results=items))
    return job


async def media_of(harness: Harness, job: Job) -> tuple[Media, ...]:
    result = (await harness.job(job)).result
    assert result is not None
    return result.media


async def test_a_song_has_its_title_its_length_and_its_cover(harness: Harness) -> None:
    harness.fetcher.links = {SONG: b"song", COVER: b"cover"}
    harness.fetcher.types = {SONG: "audio/mpeg", COVER: "image/jpeg"}
    job = await succeeded(harness, TRACK)
    await harness.fetch_all()

    (song,) = await media_of(harness, job)
    assert (song.kind, song.title) == (MediaKind.AUDIO, "Iron Man")
    assert song.duration == timedelta(seconds=198.44)
    assert song.cover_id is not None
    cover = await download(harness.deps, CALLER, media_id=song.cover_id)
    assert cover.media.kind is MediaKind.IMAGE
    assert b"".join([piece async for piece in cover.pieces]) == b"cover"
    stored = await download(harness.deps, CALLER, media_id=song.id)
    assert stored.media == song


async def test_what_the_bytes_say_of_the_length_is_right(harness: Harness) -> None:
    harness.fetcher.types = {SONG: "audio/mpeg"}
    fetch = harness.fetcher.fetch

    @asynccontextmanager
    async def probed(
        url: str, *, is_proved: bool = False, form: ResultForm | None = None
    ) -> AsyncIterator[Examined]:
        async with fetch(url, is_proved=is_proved, form=form) as found:
            yield replace(found, duration=timedelta(seconds=3))

    harness.fetcher.fetch = probed  # type: ignore[method-assign]
    job = await succeeded(harness, TRACK)
    await harness.fetch_all()
    assert (await media_of(harness, job))[0].duration == timedelta(seconds=3)


async def test_nothing_plays_that_is_a_file(harness: Harness) -> None:
    harness.fetcher.types = {SONG: "application/octet-stream"}
    job = await succeeded(harness, TRACK)
    await harness.fetch_all()
    (file,) = await media_of(harness, job)
    assert (file.kind, file.duration, file.title) == (MediaKind.FILE, None, "Iron Man")


@pytest.mark.parametrize("cover", [FetchFailed(), ResultRejected(), b"no picture"], ids=str)
async def test_a_cover_that_cannot_be_had_delays_nothing(
    harness: Harness, cover: bytes | Exception
) -> None:
    harness.fetcher.links = {COVER: cover}
    harness.fetcher.types = {SONG: "audio/mpeg", COVER: "text/plain"}
    harness.provider.fresh = FetchFailed()
    job = await succeeded(harness, TRACK)
    await harness.fetch_all()
    (song,) = await media_of(harness, job)
    assert song.cover_id is None
    assert (await harness.job(job)).result.missing_count == 0  # type: ignore[union-attr]


async def test_a_cover_that_never_comes_is_not_waited_for(open_bench: OpenBench) -> None:
    """A host that drips byte after byte would be read for half an hour."""
    harness = await open_bench(timing=Timing(cover_timeout=timedelta(seconds=0.2)))
    harness.fetcher.types = {SONG: "audio/mpeg"}
    fetch = harness.fetcher.fetch

    @asynccontextmanager
    async def dripping(
        url: str, *, is_proved: bool = False, form: ResultForm | None = None
    ) -> AsyncIterator[Examined]:
        async with fetch(url, is_proved=is_proved, form=form) as found:
            if url == COVER:
                await asyncio.Event().wait()
            yield found

    harness.fetcher.fetch = dripping  # type: ignore[method-assign]
    job = await succeeded(harness, TRACK)
    assert await asyncio.wait_for(fetch_result(harness.deps), 10)
    (song,) = await media_of(harness, job)
    assert (song.title, song.cover_id) == ("Iron Man", None)


async def test_covers_are_no_results(harness: Harness) -> None:
    harness.fetcher.types = {SONG: "audio/mpeg", OTHER: "audio/mpeg"}
    job = await succeeded(harness, TRACK, replace(TRACK, url=OTHER, title="Other"))
    await harness.fetch_all()

    songs = await media_of(harness, job)
    assert [each.title for each in songs] == ["Iron Man", "Other"]
    rows = await harness.query("SELECT position, key, cover_id FROM media ORDER BY position")
    assert [row["position"] for row in rows] == [0, 1, 1000, 1001]
    assert len(harness.store.kept) == 4
    harness.store.age = timedelta(hours=49)
    for _ in range(10):
        await remove_orphans(harness.deps)
    assert set(harness.store.kept) == {row["key"] for row in rows}


async def test_what_was_left_unfinished_is_removed_once_it_is_old(harness: Harness) -> None:
    stray, not_ours = f"unfinished/{uuid4()}", "unfinished/a file of somebody"
    harness.store.kept |= {stray: b"x", not_ours: b"x"}
    for _ in range(10):
        await remove_orphans(harness.deps)
    assert set(harness.store.kept) == {stray, not_ours}
    harness.deps.media.walk.__init__()  # type: ignore[misc] # another process begins its walk
    harness.store.age = timedelta(hours=49)
    for _ in range(10):
        await remove_orphans(harness.deps)
    assert set(harness.store.kept) == {not_ours}


async def test_what_was_said_of_files_is_read_as_it_was_written(harness: Harness) -> None:
    job = await succeeded(harness, TRACK, ResultItem(OTHER))
    async with harness.transaction() as tx:
        (attempt,) = await tx.attempts.live(job.id)
    assert attempt.observation is not None
    assert attempt.observation.results == (TRACK, ResultItem(OTHER))


async def test_the_release_before_reads_what_is_written(harness: Harness) -> None:
    """It knows these fields of an observation and no others, and passes all that it reads."""
    job = await succeeded(harness, TRACK)
    (row,) = await harness.attempts(job)
    known = {"state", "task_id", "word", "result_urls", "result_text", "fail_code", "fail_message"}
    assert set(row["observation"]) == known
    assert row["observation"]["result_urls"] == [SONG]


async def test_what_the_release_before_wrote_is_read(harness: Harness) -> None:
    job = await succeeded(harness, TRACK)
    await harness.query("UPDATE attempt SET result_items = NULL")
    async with harness.transaction() as tx:
        (attempt,) = await tx.attempts.live(job.id)
    assert attempt.observation is not None
    assert attempt.observation.results == (ResultItem(SONG),)


SHORT = Timing(fetch_lease=timedelta(seconds=0.3))


def slow_fetch(harness: Harness) -> asyncio.Event:
    """Have every fetch last until the event is set."""
    fetch, gate = harness.fetcher.fetch, asyncio.Event()

    @asynccontextmanager
    async def slow(
        url: str, *, is_proved: bool = False, form: ResultForm | None = None
    ) -> AsyncIterator[Examined]:
        async with fetch(url, is_proved=is_proved, form=form) as found:
            await gate.wait()
            yield found

    harness.fetcher.fetch = slow  # type: ignore[method-assign]
    return gate


async def fetch_time(harness: Harness) -> Any:
    (row,) = await harness.query("SELECT fetch_time FROM attempt")
    return row["fetch_time"]


async def changed(read: Callable[[], Awaitable[Any]], *, what: str, times: int = 1) -> None:
    """Wait until what is read has changed so often."""
    for _ in range(times):
        before = await read()

        async def is_other(before: Any = before) -> bool:
            return bool(await read() != before)

        await until(is_other, within_s=10, what=what)


async def test_a_fetch_that_is_alive_keeps_its_lease(open_bench: OpenBench) -> None:
    harness = await open_bench(timing=SHORT)
    job = await succeeded(harness, TRACK)
    gate = slow_fetch(harness)
    worker = asyncio.create_task(fetch_result(harness.deps))
    await until(lambda: fetched(harness), within_s=10, what="a fetch")
    await changed(lambda: fetch_time(harness), what="a renewal", times=6)  # two leases' time
    assert not await fetch_result(harness.deps)
    gate.set()
    await worker
    assert (await harness.job(job)).state is JobState.SUCCEEDED
    assert (await harness.attempts(job))[0]["fetch_tries"] == 1


async def fetched(harness: Harness) -> bool:
    return bool(harness.fetcher.fetched)


async def test_a_fetch_whose_lease_is_somebody_elses_ends(open_bench: OpenBench) -> None:
    """It stood still for so long that another one claimed the result."""
    harness = await open_bench(timing=SHORT)
    job = await succeeded(harness, TRACK)
    gate = slow_fetch(harness)
    worker = asyncio.create_task(fetch_result(harness.deps))
    await until(lambda: fetched(harness), within_s=10, what="a fetch")
    await harness.query("UPDATE attempt SET fetch_tries = fetch_tries + 1")
    assert await asyncio.wait_for(worker, 10)
    assert (await harness.job(job)).state is JobState.RUNNING
    assert await harness.query("SELECT * FROM media") == []
    gate.set()
    await harness.later(minutes=4)
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.SUCCEEDED


@pytest.mark.parametrize("is_stopped", [False, True], ids=["trouble", "stopped"])
async def test_who_lost_the_lease_decides_nothing(harness: Harness, *, is_stopped: bool) -> None:
    """It wakes up with a trouble whose time is over, while another one has the bytes nearly."""
    job = await succeeded(harness, TRACK)
    await harness.query(
        "UPDATE attempt SET fetch_tries = 5, trouble = 'link', trouble_time = now() - interval '1h'"
    )
    harness.provider.fresh = FetchFailed()
    gate, reached = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def fail_late(
        url: str, *, is_proved: bool = False, form: ResultForm | None = None
    ) -> AsyncIterator[Examined]:
        reached.set()
        await gate.wait()
        raise FetchFailed
        yield

    harness.fetcher.fetch = fail_late  # type: ignore[method-assign]
    worker = asyncio.create_task(fetch_result(harness.deps))
    await reached.wait()
    await harness.query(
        "UPDATE attempt SET fetch_tries = 7, fetch_time = now() + interval '3 minutes'"
    )
    before = await fetch_time(harness)
    gate.set()
    if is_stopped:
        worker.cancel()
    await asyncio.wait({worker})
    assert (await harness.job(job)).state is JobState.RUNNING
    assert await fetch_time(harness) == before


async def test_a_database_that_is_away_ends_no_fetch(open_bench: OpenBench) -> None:
    harness = await open_bench(timing=SHORT)
    job = await succeeded(harness, TRACK)
    gate, database = slow_fetch(harness), AwayDatabase(harness.deps.database)
    away = replace(harness.deps, database=database)
    worker = asyncio.create_task(fetch_result(away))
    await until(lambda: fetched(harness), within_s=10, what="a fetch")
    database.is_away = True
    await until(database.was_asked, within_s=10, what="a renewal that fails")
    database.is_away = False
    gate.set()
    assert await worker
    assert (await harness.job(job)).state is JobState.SUCCEEDED


class AwayDatabase:
    """A database that can be away."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.is_away = False
        self._asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        if self.is_away:
            self._asked += 1
            raise Unavailable
        async with self._database.transaction() as tx:
            yield tx

    async def was_asked(self) -> bool:
        return self._asked >= 2


async def test_links_that_nobody_had_time_for_come_next_without_a_trouble(
    open_bench: OpenBench,
) -> None:
    harness = await open_bench(timing=Timing(fetch_lease=timedelta(seconds=0)))
    job = await succeeded(harness, *items_of(SONG, OTHER))
    assert await fetch_result(harness.deps)
    (attempt,) = await harness.attempts(job)
    assert (attempt["state"], attempt["trouble"]) == (AttemptState.SUCCEEDED, None)
    assert "fetch_failed" not in await harness.events(job)
    await harness.fetch_all()
    assert len(await media_of(harness, job)) == 2
    assert harness.fetcher.fetched == [SONG, OTHER]


def test_an_observation_names_its_links() -> None:
    assert Observation(SUCCESS.state, results=(TRACK, ResultItem(OTHER))).result_urls == (
        SONG,
        OTHER,
    )
