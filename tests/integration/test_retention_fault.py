"""What retention does to others: queued jobs that need what expires, files that cannot go."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from generation_svc.catalog import validate_inputs
from generation_svc.domain.error import Unavailable
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import JobState
from generation_svc.domain.retention import Retention
from generation_svc.domain.timing import Timing
from generation_svc.engine.batch import BATCH
from generation_svc.engine.maintenance.retention import forget_expired
from generation_svc.lifecycle.dependencies import (
    ModelDependencies,
    StorageDependencies,
)
from generation_svc.usecase import upload_input
from tests.integration.test_retention import forget_all, with_store
from tests.invented_model import MODEL_ID, invented_catalog
from tests.lifecycle import CALLER, SUCCESS, FakeStore, Harness, OpenBench, one_piece
from tests.step import dispatch


async def upload(harness: Harness, data: bytes = b"a picture") -> str:
    pieces = one_piece(data)
    kept = await upload_input.upload(harness.deps, CALLER, owner="user:1", pieces=pieces)
    return f"upload:{kept.id}"


def with_films(harness: Harness) -> Harness:
    models = ModelDependencies(invented_catalog(), validate_inputs)
    return replace(harness, deps=replace(harness.deps, models=models))


async def test_a_job_whose_reference_was_forgotten_while_it_waited_fails_unsent(
    harness: Harness,
) -> None:
    film = with_films(harness)
    earlier = await film.run()
    await film.callback(replace(SUCCESS, item_ids=("song-1",)))
    await film.fetch_all()
    await film.later(days=89, hours=23, minutes=50)
    await forget_all(film)
    song = f"job:{earlier.id}"
    job = await film.accept(model_id=MODEL_ID, inputs={"prompt": "x", "song": song})
    await film.later(minutes=20)
    await forget_all(film)

    await dispatch(film.deps)

    failed = await film.job(job)
    assert failed.state is JobState.FAILED
    assert failed.failure is not None
    assert failed.failure.reason is FailureReason.INPUT_UNREADABLE
    assert await film.attempts(job) == []


async def test_an_upload_outlives_the_wait_of_a_job_that_uses_it(open_bench: OpenBench) -> None:
    harness = await open_bench(
        timing=replace(Timing(), start_deadline=timedelta(days=10)),
        storage=StorageDependencies(retention=Retention(uploads=timedelta(days=1))),
    )
    mine = await upload(harness)
    await harness.accept(model_id="qwen/image-edit", inputs={"prompt": "a hat", "image": mine})
    await forget_all(harness)
    await harness.later(days=9)
    await forget_all(harness)

    await harness.dispatch_all()

    assert harness.provider.uploads == [b"a picture"]


class StubbornStore(FakeStore):
    """Cannot remove some of its files, as if they were somebody else's."""

    stubborn: frozenset[str] = frozenset()

    async def delete(self, key: str) -> None:
        if key in self.stubborn:
            raise Unavailable("permission denied")
        await super().delete(key)


@pytest.mark.parametrize("what", ["media", "upload"])
async def test_a_file_that_cannot_be_removed_keeps_no_other(harness: Harness, what: str) -> None:
    for _ in range(4):
        await (harness.made() if what == "media" else upload(harness))
    (oldest, *_) = await harness.query(f"SELECT key FROM {what} ORDER BY create_time")
    await harness.later(days=60)
    store = StubbornStore(harness.store.kept)
    store.stubborn = frozenset({oldest["key"]})

    with pytest.raises(Unavailable):
        await forget_expired(with_store(harness, store))

    assert set(store.kept) == store.stubborn
    assert await harness.query(f"SELECT key FROM {what} WHERE remove_time IS NULL") == [oldest]


MANY = 2 * BATCH


@pytest.mark.parametrize("what", ["media", "upload"])
@pytest.mark.parametrize("apart", [timedelta(milliseconds=1), timedelta(0)], ids=str)
async def test_files_that_cannot_be_removed_keep_no_other_however_many(
    harness: Harness, apart: timedelta, what: str
) -> None:
    """As where a bucket refuses to delete all that was written in some time."""
    for _ in range(2):
        await (harness.made() if what == "media" else upload(harness))
    _, newest = await harness.query(f"SELECT id, key FROM {what} ORDER BY create_time")
    await harness.query(_REFUSED.format(table=what), apart, apart, newest["id"])
    await harness.later(days=60)
    store = StubbornStore(harness.store.kept)
    rows = await harness.query(f"SELECT key FROM {what} WHERE id <> %s", newest["id"])
    store.stubborn = frozenset(row["key"] for row in rows)
    assert len(store.stubborn) == MANY + 1

    rounds = 0
    while newest["key"] in store.kept:
        rounds += 1
        with suppress(Unavailable):  # and the rest of the round waits
            await forget_expired(with_store(harness, store))
        assert rounds <= MANY / BATCH + 1

    refused = await harness.query(f"SELECT id FROM {what} WHERE remove_time IS NULL")
    assert len(refused) == MANY + 1


_REFUSED = f"""
INSERT INTO {{table}} SELECT (jsonb_populate_record({{table}}, jsonb_build_object(
    'id', gen_random_uuid(), 'key', 'refused/' || n, 'position', n,
    'create_time', create_time - n * %s::interval,
    'expire_time', (to_jsonb({{table}}) ->> 'expire_time')::timestamptz - n * %s::interval))).*
FROM {{table}}, generate_series(1, {MANY}) AS n WHERE id <> %s
"""


@pytest.mark.parametrize("others", [0, MANY])
async def test_jobs_that_cannot_be_forgotten_keep_no_other(harness: Harness, others: int) -> None:
    """As where somebody's own table refers to them."""
    await harness.query("CREATE TABLE evidence (job_id uuid NOT NULL REFERENCES job)")
    for _ in range(3):
        await harness.made()
    await harness.query(_LATER_JOBS, others)
    oldest, *_ = await harness.query("SELECT id FROM job ORDER BY update_time")
    await harness.query(
        "INSERT INTO evidence SELECT id FROM job WHERE id = %s OR owner = 'refused'", oldest["id"]
    )
    await harness.later(days=100)

    rounds = 0
    while len(await harness.query("SELECT id FROM job")) > 1 + others:
        rounds += 1
        with capture_logs():  # each of them is told
            await forget_expired(harness.deps)
        assert rounds <= MANY / BATCH + 2

    left = await harness.query("SELECT id FROM job ORDER BY update_time")
    assert left[0] == oldest


_LATER_JOBS = """
INSERT INTO job SELECT (jsonb_populate_record(job, jsonb_build_object(
    'id', gen_random_uuid(), 'owner', 'refused',
    'update_time', update_time + n * interval '1 microsecond'))).*
FROM job, generate_series(1, %s) AS n
WHERE id = (SELECT id FROM job ORDER BY update_time LIMIT 1)
"""


@pytest.mark.parametrize("days", [400, -400])
async def test_by_a_clock_that_jumped_nothing_is_forgotten(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """The database's clock cannot be set here, so this machine's is: the two differ either way."""
    job = await harness.made()
    await harness.later(days=40)
    true_time = datetime.now(UTC) + timedelta(days=days)
    monkeypatch.setattr("generation_svc.engine.maintenance.retention.utc_now", lambda: true_time)
    with capture_logs() as logs:
        assert await forget_expired(harness.deps) is False
    assert len(harness.store.kept) == 1
    (told,) = [each for each in logs if each.get("action") == "clock_error"]
    assert told["seconds"] == pytest.approx(-days * 86_400, abs=60)

    monkeypatch.undo()
    await forget_all(harness)
    assert harness.store.kept == {}
    assert (await harness.job(job)).result is not None


class CountingStore(FakeStore):
    """Is away, and counts how often it was asked."""

    asked = 0

    async def delete(self, key: str) -> None:
        self.asked += 1
        raise Unavailable


async def test_a_store_that_is_away_is_asked_a_few_times_and_no_more(harness: Harness) -> None:
    for _ in range(8):
        await upload(harness)
    await harness.later(days=60)
    store = CountingStore(harness.store.kept)
    with pytest.raises(Unavailable):
        await forget_expired(with_store(harness, store))
    assert 1 <= store.asked <= 3


async def test_jobs_that_name_the_same_uploads_in_another_order_both_come_in(
    harness: Harness,
) -> None:
    film = with_films(harness)
    one, other = await upload(film, b"one"), await upload(film, b"other")

    async def ask(number: int, *images: str) -> Any:
        inputs = {"prompt": "x", "images": list(images)}
        return await film.accept(owner=f"user:{number}", model_id=MODEL_ID, inputs=inputs)

    asked = [ask(number, *((one, other) if number % 2 else (other, one))) for number in range(40)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [each for each in found if isinstance(each, BaseException)] == []
