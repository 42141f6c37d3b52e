"""What is kept for how long, and what is left of it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from generation_svc.domain.error import (
    InvalidInputs,
    JobExpired,
    MediaExpired,
    MediaNotFound,
    Unavailable,
)
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.media import Upload
from generation_svc.domain.retention import Retention
from generation_svc.engine.maintenance import retention as steps
from generation_svc.engine.maintenance.orphan_bytes import remove_orphans
from generation_svc.engine.maintenance.retention import forget_expired
from generation_svc.lifecycle.dependencies import Dependencies, StorageDependencies
from generation_svc.rpc.convert import job_to_proto
from generation_svc.storage.retention_store import PostgresRetentionStore
from generation_svc.storage.usage_store import PostgresUsageStore
from generation_svc.usecase import cancel_job, download_media, upload_input
from tests.lifecycle import CALLER, FAILURE, SUCCESS, FakeStore, Harness, OpenBench, one_piece

LARGE = ("job", "attempt", "media", "callback_receipt", "upload", "job_event", "delivery")
PARTS = ("media", "delivery", "job_event", "attempt", "callback_receipt", "job")
EDIT = "qwen/image-edit"


async def upload(harness: Harness, data: bytes = b"a picture") -> Upload:
    return await upload_input.upload(harness.deps, CALLER, owner="user:1", pieces=one_piece(data))


async def edited(harness: Harness, reference: str, **more: Any) -> Job:
    inputs = {"prompt": "a hat", "image": reference}
    return await harness.accept(model_id=EDIT, inputs=inputs, **more)


async def download(harness: Harness, media_id: UUID) -> bytes:
    found = await download_media.download(harness.deps, CALLER, media_id=media_id)
    return b"".join([piece async for piece in found.pieces])


async def forget_all(harness: Harness) -> None:
    while await forget_expired(harness.deps):
        pass


async def counts(harness: Harness) -> dict[str, int]:
    rows = [await harness.query(f"SELECT count(*) AS n FROM {part}") for part in PARTS]
    return {part: row["n"] for part, (row,) in zip(PARTS, rows, strict=True)}


def media_of(job: Job) -> UUID:
    assert job.result is not None
    return job.result.media[0].id


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
async def test_a_job_is_forgotten_with_all_that_is_its_own_90_days_after_it_ended(
    harness: Harness, end: str
) -> None:
    ended = await END[end](harness)
    assert ended.state == end
    await harness.later(days=89, hours=23)
    other = await harness.made(owner="user:2")
    await forget_all(harness)
    assert (await counts(harness))["job"] == 2
    assert "accepted" in await harness.events(ended)

    await harness.later(hours=2)
    await forget_all(harness)

    for table, column in (("job", "id"), ("job_event", "job_id"), ("attempt", "job_id")):
        left = await harness.query(f"SELECT DISTINCT {column} AS id FROM {table}")
        assert [row["id"] for row in left] == [other.id]
    assert await harness.deliveries(ended) == {}
    assert all(str(other.id) in key for key in harness.store.kept)


async def _failed(harness: Harness) -> Job:
    job = await harness.run()
    await harness.callback(FAILURE)
    return await harness.job(job)


async def _cancelled(harness: Harness) -> Job:
    """Cancelled while it ran: its result came later, and is kept in its trace."""
    job = await harness.run()
    await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    assert "kept_late" in await harness.events(job)
    return await harness.job(job)


async def _succeeded(harness: Harness) -> Job:
    return await harness.made()


END: dict[str, Callable[[Harness], Awaitable[Job]]] = {
    "succeeded": _succeeded,
    "failed": _failed,
    "cancelled": _cancelled,
}


async def test_a_job_that_has_not_ended_is_kept_however_old_it_is(harness: Harness) -> None:
    queued = await harness.accept()
    running = await harness.run(owner="user:2")
    await harness.later(days=1000)
    await forget_all(harness)
    assert {row["id"] for row in await harness.query("SELECT id FROM job")} == {
        queued.id,
        running.id,
    }


async def test_media_expires_35_days_after_its_job_ended_and_says_so(harness: Harness) -> None:
    job = await harness.made()
    await harness.later(days=34, hours=23)
    await forget_all(harness)
    assert await download(harness, media_of(job)) == b"picture"

    await harness.later(hours=2)
    with pytest.raises(MediaExpired):
        await download(harness, media_of(job))
    assert len(harness.store.kept) == 1  # what was accepted just before may still need it
    with pytest.raises(InvalidInputs, match="has expired"):
        await edited(harness, f"media:{media_of(job)}")

    await harness.later(days=2)
    await forget_all(harness)
    assert harness.store.kept == {}
    with pytest.raises(MediaExpired):
        await download(harness, media_of(job))
    with pytest.raises(InvalidInputs, match="has expired"):
        await edited(harness, f"media:{media_of(job)}")
    with pytest.raises(MediaNotFound):
        await download(harness, uuid4())


async def test_a_job_whose_media_expired_still_shows_it_and_until_when_it_was_there(
    harness: Harness,
) -> None:
    made = await harness.made()
    await harness.later(days=40)
    await forget_all(harness)

    job = await harness.job(made)
    shown = job_to_proto(job, retention=harness.deps.storage.retention)

    (media,) = shown.result.media
    assert media.id == str(media_of(made))
    expire_time = media.expire_time.ToDatetime(tzinfo=job.update_time.tzinfo)
    assert expire_time == job.update_time + timedelta(days=35)
    assert expire_time < harness.deps.database.now()


async def test_a_video_is_kept_for_14_days_and_a_picture_beside_it_for_longer(
    harness: Harness,
) -> None:
    video, image = await harness.made(), await harness.made()
    await harness.query("UPDATE media SET mime_type = 'video/mp4' WHERE id = %s", media_of(video))
    await harness.later(days=17)
    await forget_all(harness)
    assert await download(harness, media_of(image)) == b"picture"
    with pytest.raises(MediaExpired):
        await download(harness, media_of(video))
    assert len(harness.store.kept) == 1


async def test_what_was_accepted_just_before_its_input_expired_still_gets_it(
    harness: Harness,
) -> None:
    job = await harness.made()
    await harness.later(days=34, hours=23, minutes=50)
    await edited(harness, f"media:{media_of(job)}")
    await harness.later(minutes=20)
    await forget_all(harness)
    await harness.dispatch_all()
    assert harness.provider.uploads == [b"picture"]


async def test_an_upload_lives_for_35_days_after_its_last_use(harness: Harness) -> None:
    kept = await upload(harness)
    for _ in range(3):  # "again" under a result that is a month old
        await edited(harness, f"upload:{kept.id}")
        await harness.later(days=34)
        await forget_all(harness)
    await harness.later(days=2)
    await forget_all(harness)
    assert harness.store.kept == {}
    with pytest.raises(InvalidInputs, match="has expired"):
        await edited(harness, f"upload:{kept.id}")
    unknown = f"upload:{uuid4()}"
    with pytest.raises(InvalidInputs, match=f"Media '{unknown}' not found"):
        await edited(harness, unknown)


async def test_the_row_of_an_expired_upload_is_forgotten_like_a_job(harness: Harness) -> None:
    await upload(harness)
    await harness.later(days=2)
    await forget_all(harness)
    assert len(await harness.query("SELECT 1 FROM upload WHERE remove_time IS NOT NULL")) == 1
    await harness.later(days=90)
    await forget_all(harness)
    assert await harness.query("SELECT 1 FROM upload") == []


async def test_an_upload_of_an_older_release_lives_no_longer_than_ours(harness: Harness) -> None:
    kept = await upload(harness)
    await harness.query(
        "UPDATE upload SET expire_time = now() + interval '400 days' WHERE id = %s", kept.id
    )
    await forget_all(harness)
    await harness.later(days=35, hours=1)
    await forget_all(harness)
    assert harness.store.kept == {}


async def test_a_request_id_whose_job_is_gone_never_makes_another(harness: Harness) -> None:
    job = await harness.made(request_id="r-1")
    await harness.later(days=91)
    await forget_all(harness)
    assert await harness.query("SELECT 1 FROM job") == []

    for prompt in ("a cat", "another"):  # nothing is left that it could be compared with
        with pytest.raises(JobExpired) as told:
            await harness.accept(request_id="r-1", inputs={"prompt": prompt})
        assert told.value.job_id == str(job.id)
    assert await harness.query("SELECT 1 FROM job") == []

    await harness.later(days=310)
    await forget_all(harness)
    assert (await harness.accept(request_id="r-1")).id != job.id


async def test_what_the_provider_posted_is_kept_for_14_days(harness: Harness) -> None:
    await harness.made()
    await harness.callback(SUCCESS, token="nobody's")
    await harness.later(days=13)
    await forget_all(harness)
    assert len(await harness.query("SELECT 1 FROM callback_receipt")) == 2
    await harness.later(days=2)
    await forget_all(harness)
    assert await harness.query("SELECT 1 FROM callback_receipt") == []


async def test_a_job_outlives_its_media_whatever_the_settings_say(open_bench: OpenBench) -> None:
    storage = StorageDependencies(retention=Retention(jobs=timedelta(days=1)))
    harness = await open_bench(storage=storage)
    job = await harness.made()
    await harness.later(days=30)
    await forget_all(harness)
    assert await download(harness, media_of(job)) == b"picture"
    await harness.later(days=7)
    await forget_all(harness)
    assert await harness.query("SELECT 1 FROM job") == []


class Killed(BaseException):
    """The process ended here."""


class DyingStore(FakeStore):
    """Removes bytes, and dies before anybody can be told."""

    async def delete(self, key: str) -> None:
        await super().delete(key)
        raise Killed


class AwayStore(FakeStore):
    """Cannot be reached."""

    async def delete(self, key: str) -> None:
        raise Unavailable


def with_store(harness: Harness, store: FakeStore) -> Dependencies:
    return replace(harness.deps, media=replace(harness.deps.media, store=store))


@pytest.mark.parametrize("what", ["media", "upload"])
async def test_a_kill_between_the_bytes_and_their_row_heals(harness: Harness, what: str) -> None:
    await (harness.made() if what == "media" else upload(harness))
    await harness.later(days=60)
    dying = DyingStore(harness.store.kept)

    with pytest.raises(Killed):
        await forget_expired(with_store(harness, dying))
    assert dying.kept == {}
    assert await harness.query(f"SELECT 1 FROM {what} WHERE remove_time IS NULL")

    await forget_all(harness)
    assert await harness.query(f"SELECT 1 FROM {what} WHERE remove_time IS NULL") == []


async def test_a_store_that_is_away_keeps_its_rows_and_nothing_is_lost(harness: Harness) -> None:
    await harness.made()
    await harness.later(days=100)
    with pytest.raises(Unavailable):
        await forget_expired(with_store(harness, AwayStore()))
    assert await harness.query("SELECT 1 FROM media WHERE remove_time IS NULL")
    assert await harness.query("SELECT 1 FROM job")  # it is kept for as long as its bytes
    assert await harness.query("SELECT 1 FROM callback_receipt") == []  # which has none

    await forget_all(harness)
    assert (await counts(harness))["job"] == 0
    assert harness.store.kept == {}


async def test_replicas_at_work_at_once_forget_each_thing_once(
    harness: Harness, open_bench: OpenBench
) -> None:
    others = [await open_bench(sharing=harness) for _ in range(2)]
    for number in range(30):
        await harness.made(owner=f"user:{number % 3}")
    await harness.sweep()
    await harness.later(days=200)

    await asyncio.gather(*(forget_all(each) for each in [harness, *others]))

    await forget_all(harness)
    assert await counts(harness) == dict.fromkeys(PARTS, 0)
    assert harness.store.kept == {}
    usage = await harness.query("SELECT size_bytes FROM storage_usage")
    assert [row["size_bytes"] for row in usage] == [0, 0, 0]


async def test_a_job_that_is_about_to_use_an_upload_wins_or_is_told(harness: Harness) -> None:
    kept = await upload(harness)
    await edited(harness, f"upload:{kept.id}")
    await harness.later(days=34, hours=23, minutes=59)
    async with harness.transaction() as tx:
        assert await tx.media.keep_upload(kept.id, lifetime=timedelta(days=35))
        await forget_expired(harness.deps)  # it waits for nobody
    assert list(harness.store.kept) == [f"upload/{kept.id}"]

    await harness.query("UPDATE upload SET expire_time = now() - interval '1 s'")
    async with harness.transaction() as tx:
        assert await tx.retention.lock_upload(kept.id) == f"upload/{kept.id}"
        waiting = asyncio.create_task(edited(harness, f"upload:{kept.id}"))
        await tx.retention.upload_removed(kept.id)
    with pytest.raises(InvalidInputs, match="has expired"):
        await waiting


async def test_bytes_that_outlived_their_row_are_orphans(harness: Harness) -> None:
    job = await harness.made()
    kept = dict(harness.store.kept)
    await harness.later(days=60)
    await forget_all(harness)
    harness.store.kept |= kept  # a write that was repeated late
    harness.store.age = timedelta(days=60)
    await remove_orphans(harness.deps)
    assert harness.store.kept == {}
    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_one_step_that_fails_stops_no_other(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(deps: Dependencies) -> bool:
        raise RuntimeError("broken")

    await upload(harness)
    await harness.later(days=2)
    monkeypatch.setattr(steps, "STEPS", (broken, *steps.STEPS))
    assert await forget_expired(harness.deps) is False
    assert harness.store.kept == {}


_FILL = """
INSERT INTO job (id, caller, owner, model_id, inputs, is_free, credits, correlation_id, state,
                 revision, create_time, update_time, start_deadline_time, failure)
SELECT gen_random_uuid(), 'edge', 'user:' || n % 100, 'z-image', '{}', true, 0, 'c', 'failed', 3,
       now() - n * interval '10 minutes', now() - n * interval '10 minutes', now(), '{}'
FROM generate_series(1, 20000) AS n;
INSERT INTO attempt (id, job_id, number, state, token_hash, submit_time, read_tries, fetch_tries,
                     error)
SELECT gen_random_uuid(), id, 1, 'failed', uuid_send(id), now(), 0, 0, '' FROM job;
INSERT INTO media (id, job_id, attempt_id, position, key, mime_type, size_bytes, width, height,
                   sha256, create_time, remove_time, is_counted)
SELECT gen_random_uuid(), job_id, attempt.id, 0, 'k', 'image/png', 1, 1, 1, '', job.update_time,
       CASE WHEN job.update_time < now() - interval '60 days' THEN now() END,
       job.update_time < now() - interval '1 day'
FROM attempt JOIN job ON job.id = job_id;
INSERT INTO callback_receipt (id, attempt_id, body, headers, is_trusted, receive_time, apply_time)
SELECT gen_random_uuid(), attempt.id, '', '{}', true, job.update_time, now()
FROM attempt JOIN job ON job.id = job_id;
INSERT INTO upload (id, caller, owner, key, mime_type, size_bytes, width, height, sha256,
                    create_time, expire_time)
SELECT gen_random_uuid(), 'edge', owner, 'k', 'image/png', 1, 1, 1, '', now(),
       update_time + interval '50 days' FROM job;
INSERT INTO job_event (job_id, time, kind, state, detail)
SELECT id, now(), 'accepted', 'queued', '{}' FROM job;
INSERT INTO delivery (id, job_id, kind, state, caller, bot_id, due_time, try_number, maybe_sent,
                      is_stale, create_time, update_time)
SELECT gen_random_uuid(), id, 'outcome', 'sent', 'edge', 7, now(), 1, false, false, now(), now()
FROM job;
"""


async def test_what_is_done_all_the_time_reads_no_whole_table(harness: Harness) -> None:
    """What the server counted for the very statements: no sequential scan, and rows that go."""
    for statement in (_FILL, "ANALYZE", "SELECT pg_stat_force_next_flush()"):
        await harness.query(statement)
    before, kept = await _scans(harness), Retention()
    retention = PostgresRetentionStore(harness.connection)
    usage = PostgresUsageStore(harness.connection)

    await retention.expired_media(is_video=True, older_than=kept.videos, limit=100)
    age = kept.media
    expired = await retention.expired_media(is_video=False, older_than=age, limit=100)
    await retention.expired_media(is_video=False, older_than=age, after=expired[-1], limit=100)
    assert await retention.lock_media(expired[0].id) == "k"
    await retention.media_removed(expired[0].id)
    (oldest, *_, last) = await retention.expired_uploads(limit=100)
    await retention.expired_uploads(after=last, limit=100)
    assert await retention.lock_upload(oldest.id) == "k"
    await retention.upload_removed(oldest.id)
    assert await retention.shorten_uploads(lifetime=timedelta(days=10), limit=100) == 100
    await retention.forget_uploads(older_than=timedelta(days=80), limit=100)
    age = kept.jobs
    ended = await retention.forgettable_jobs(older_than=age, limit=20)
    assert len(await retention.forgettable_jobs(older_than=age, after=ended[-1], limit=20)) == 20
    assert await retention.forget_job(ended[0].id)
    assert not await retention.forget_job(ended[0].id)
    assert await retention.forget_callbacks(older_than=kept.callbacks, limit=100) == 100
    assert await usage.of_owner("user:1", caller="edge") > 0
    assert await usage.count_media(limit=100) == 100

    await harness.query("SELECT pg_stat_force_next_flush()")
    after = await _scans(harness)
    assert {table: after[table] - before[table] for table in LARGE} == dict.fromkeys(LARGE, 0)


async def _scans(harness: Harness) -> dict[str, int]:
    rows = await harness.query("SELECT relname, seq_scan FROM pg_stat_user_tables")
    return {row["relname"]: row["seq_scan"] for row in rows}
