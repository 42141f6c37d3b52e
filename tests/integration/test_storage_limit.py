"""What there is no room for is refused before it is begun; what was accepted gets its room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest

from generation_svc.domain.error import Overloaded, StorageQuotaReached
from generation_svc.domain.job import JobState
from generation_svc.domain.media import MediaKind, Upload
from generation_svc.domain.model import Catalog
from generation_svc.domain.purpose import Purpose
from generation_svc.domain.storage_limit import DiskLevel, StorageQuota
from generation_svc.engine.maintenance.usage import measure_usage
from generation_svc.lifecycle.dependencies import StorageDependencies
from generation_svc.lifecycle.queue_view import Recent
from generation_svc.usecase import upload_input
from tests.lifecycle import CALLER, SUCCESS, Harness, OpenBench, one_piece

PICTURE = b"0123456789"
"""Ten bytes of an upload; a result has the seven of `picture`."""


class Disk:
    """A disk that is as full as a test says."""

    def __init__(self, level: DiskLevel) -> None:
        self.now = level

    async def level(self) -> DiskLevel:
        return self.now


async def upload(harness: Harness, *, owner: str = "user:1") -> Upload:
    return await upload_input.upload(harness.deps, CALLER, owner=owner, pieces=one_piece(PICTURE))


def limited(*, owner: int = 2**30, overall: int = 2**40) -> StorageDependencies:
    """Quotas in bytes, with an overall sum that is never old."""
    quota = StorageQuota(overall_bytes=overall, owner_bytes=owner)
    return StorageDependencies(quota=quota, overall=Recent(0, seconds=0))


async def told(calls: list[Awaitable[Any]]) -> tuple[int, int]:
    """Return how many of the calls succeeded, and how many were refused for their quota."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    refused = sum(isinstance(each, StorageQuotaReached) for each in ended)
    faults = [each for each in ended if isinstance(each, Exception)]
    assert len(faults) == refused, faults
    return len(ended) - refused, refused


async def usage_of(harness: Harness, owner: str = "user:1") -> int:
    async with harness.transaction() as tx:
        return await tx.usage.of_owner(owner, caller="edge")


async def test_uploads_of_an_owner_at_once_take_exactly_the_quota(open_bench: OpenBench) -> None:
    harness = await open_bench(storage=limited(owner=55))
    other = await open_bench(storage=limited(owner=55), sharing=harness)

    assert await told([upload(each) for each in [harness, other] * 6]) == (5, 7)

    assert len(harness.store.kept) == 5  # of what was refused no bytes are left
    assert await usage_of(harness) == 50
    await upload(harness, owner="user:2")
    with pytest.raises(StorageQuotaReached, match="owner user:1 have reached") as refused:
        await upload(harness)
    assert refused.value.limit_bytes == 55


async def test_an_owner_without_room_begins_no_job_until_something_expires(
    open_bench: OpenBench,
) -> None:
    harness = await open_bench(storage=limited(owner=10))
    first, second = await harness.run(), await harness.run()
    for call in (1, 2):
        await harness.callback(SUCCESS, call=call)
    await harness.fetch_all()
    await harness.sweep()

    results = [await harness.job(each) for each in (first, second)]
    assert [job.state for job in results] == [JobState.SUCCEEDED] * 2  # they were accepted
    assert await usage_of(harness) == 14
    with pytest.raises(StorageQuotaReached):
        await harness.accept()
    with pytest.raises(StorageQuotaReached):
        await upload(harness)
    await harness.accept(owner="user:2")

    await harness.later(days=40)
    await harness.sweep()
    assert await usage_of(harness) == 0
    await harness.accept()


async def test_a_repeated_request_is_answered_without_room(open_bench: OpenBench) -> None:
    harness = await open_bench(storage=limited(owner=10))
    job = await harness.accept(request_id="r-1")
    await upload(harness)
    assert (await harness.accept(request_id="r-1")).id == job.id


async def test_the_service_without_room_begins_nothing_for_anybody(open_bench: OpenBench) -> None:
    harness = await open_bench(storage=limited(overall=25))
    for owner in ("user:1", "user:2", "user:3"):
        await upload(harness, owner=owner)
    for call in (upload(harness, owner="user:4"), harness.accept(owner="user:4")):
        with pytest.raises(StorageQuotaReached, match="the service have reached"):
            await call

    await harness.later(days=2)
    await harness.sweep()
    await harness.accept(owner="user:4")


async def test_results_are_counted_once_however_many_count(
    harness: Harness, open_bench: OpenBench
) -> None:
    others = [await open_bench(sharing=harness) for _ in range(2)]

    async def make() -> None:
        for number in range(20):
            await harness.made(owner=f"user:{number % 2}")

    making = asyncio.create_task(make())
    while not making.done():
        await asyncio.gather(*(measure_usage(each.deps) for each in [harness, *others]))
    await making
    await harness.sweep()

    assert [await usage_of(harness, f"user:{n}") for n in range(2)] == [70, 70]
    assert await measure_usage(harness.deps) is False


async def test_what_an_older_release_wrote_is_counted_and_what_it_removed_is_not(
    harness: Harness,
) -> None:
    await harness.made()
    kept = await upload(harness)
    await harness.query("UPDATE media SET is_counted = false")  # as that release leaves it
    await harness.query("TRUNCATE storage_usage")
    await harness.sweep()
    assert await usage_of(harness) == 17
    await harness.query("DELETE FROM upload WHERE id = %s", kept.id)
    assert await usage_of(harness) == 7


async def test_media_that_expires_before_it_was_counted_is_never_counted(harness: Harness) -> None:
    await harness.made()
    await harness.query("UPDATE media SET is_counted = false")
    await harness.query("TRUNCATE storage_usage")
    await harness.later(days=40)
    await harness.sweep()
    await harness.sweep()
    assert await usage_of(harness) == 0
    assert await harness.query("SELECT 1 FROM media WHERE remove_time IS NULL") == []


def with_video(harness: Harness) -> Harness:
    """A harness whose model makes videos."""
    models = harness.deps.models
    image = models.catalog.get("z-image")
    result = replace(image.result, kinds=(MediaKind.VIDEO,))
    model = replace(image, purpose=Purpose.TEXT_TO_VIDEO, result=result)
    catalog = Catalog(models.catalog.version, {**models.catalog.models, model.id: model})
    deps = replace(harness.deps, models=replace(models, catalog=catalog))
    return replace(harness, deps=deps)


@pytest.mark.parametrize(
    ("level", "takes"),
    [
        (DiskLevel.ROOMY, {"small", "large", "upload"}),
        (DiskLevel.FILLING, {"small"}),
        (DiskLevel.FULL, set()),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, DiskLevel) else "",
)
async def test_a_disk_that_fills_up_takes_less_and_then_nothing(
    open_bench: OpenBench, level: DiskLevel, takes: set[str]
) -> None:
    harness = await open_bench(storage=StorageDependencies(disk=Disk(level)))
    calls: dict[str, Awaitable[Any]] = {
        "small": harness.accept(),
        "large": with_video(harness).accept(),
        "upload": upload(harness),
    }
    taken, refusals = set(), []
    for name, call in calls.items():
        try:
            await call
            taken.add(name)
        except Overloaded as refused:
            refusals.append((refused.part, refused.retry_after.total_seconds()))
    assert taken == takes
    assert refusals == [("disk", 60)] * (3 - len(takes))


async def test_results_of_accepted_jobs_are_kept_on_a_full_disk(open_bench: OpenBench) -> None:
    disk = Disk(DiskLevel.ROOMY)
    harness = await open_bench(storage=StorageDependencies(disk=disk))
    job = await harness.run()
    disk.now = DiskLevel.FULL
    with pytest.raises(Overloaded):
        await harness.accept()
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.SUCCEEDED
